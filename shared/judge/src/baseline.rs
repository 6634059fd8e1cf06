//! What the soak is compared with: a level before the change, and what the same hours of earlier days added to theirs.
//!
//! No one baseline suits all metrics: for steady ones a long average is best, for seasonal ones the last half hour with
//! days that began alike. So there are eighteen, and the past of the metric itself chooses.

use super::float;
use super::spread::{median, weighted_median};
use super::timeline::{Grid, Timeline};
use super::window::{STATISTICS, Statistics, UNKNOWN, backwards};

/// How many levels and seasons there are.
pub(super) const LEVELS: usize = 6;
pub(super) const SEASONS: usize = 3;

/// Averages over the hours before, by what an hour counts of the one after it. Before them: the last half hour, the last hour.
const DECAYS: [f64; 4] = [0.5, 0.75, 0.9, 0.97];

/// Days that are asked about the season.
const DAYS: usize = 7;

/// A baseline: which level, which season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) level: usize,
    pub(super) season: usize,
}

impl Baseline {
    /// As words of a sentence.
    pub(super) fn words(self) -> String {
        let level = match self.level {
            0 => "the last 30 minutes",
            1 => "the last hour",
            2 => "the last hours",
            3 => "the last 4 hours",
            4 => "the last 10 hours",
            _ => "the last day and more",
        };
        let season = match self.season {
            0 => "",
            1 => ", with the daily pattern",
            _ => ", with the daily pattern of like days",
        };
        format!("{level}{season}")
    }
}

/// Levels at the change and at every pseudo-change, by cells before the change: 0 is the change.
#[derive(Debug)]
pub(super) struct Levels {
    by_level: [Vec<Statistics>; LEVELS],
    grid: Grid,
}

impl Levels {
    /// `cells` of the past.
    pub(super) fn of(line: &Timeline, cells: usize) -> Self {
        let grid = line.grid;
        let before = |cells_long: usize| {
            let points = cells_long * grid.cell;
            let first = isize::try_from(line.change).unwrap_or(isize::MAX)
                - isize::try_from(points).unwrap_or(isize::MAX);
            backwards(&line.values, first, points, grid.cell, cells)
        };
        let hours = before(grid.hour);
        let averages = DECAYS.map(|decay| average(&hours, grid.hour, decay));
        let [fast, medium, slow, slowest] = averages;
        let half = before((grid.hour / 2).max(1));
        Self { by_level: [half, hours, fast, medium, slow, slowest], grid }
    }

    /// The level at a (pseudo-)change.
    pub(super) fn at(&self, level: usize, k: usize) -> Statistics {
        self.by_level.get(level).and_then(|all| all.get(k)).copied().unwrap_or(UNKNOWN)
    }

    /// How much each of the days before counts for a (pseudo-)change: more, the more alike its six hours before were.
    /// Zero where they cannot be compared.
    pub(super) fn alike(&self, k: usize) -> [f64; DAYS] {
        let mean = |k: usize| self.at(1, k)[0];
        let mut distances = [f64::NAN; DAYS];
        for (slot, d) in distances.iter_mut().zip(1..) {
            let differences = (0..6).map(|h| k + h * self.grid.hour);
            let differences = differences.map(|k| mean(k) - mean(k + d * self.grid.day));
            let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
            for difference in differences.filter(|value| !value.is_nan()) {
                n += 1.0;
                sum += difference;
                squares += difference * difference;
            }
            if n >= 3.0 {
                *slot = (squares / n - (sum / n).powi(2)).max(0.0).sqrt();
            }
        }
        let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
        distances.map(|distance| {
            let weight = 1.0 / distance.max(least / 2.0).powi(2);
            // Days that are the same to the last bit: all count alike.
            if distance.is_nan() { 0.0 } else { weight.min(1e18) }
        })
    }
}

/// `sum decay^(h-1) x_h / sum decay^(h-1)` over the hours before each cell.
fn average(hours: &[Statistics], hour: usize, decay: f64) -> Vec<Statistics> {
    let mut sums = vec![([0.0; STATISTICS], [0.0; STATISTICS]); hours.len()];
    let mut found = vec![UNKNOWN; hours.len()];
    for k in (0..hours.len()).rev() {
        let (mut sum, mut weight) = sums.get(k + hour).copied().unwrap_or_default();
        for s in 0..STATISTICS {
            sum[s] *= decay;
            weight[s] *= decay;
            if !hours[k][s].is_nan() {
                sum[s] += hours[k][s];
                weight[s] += 1.0;
            }
            // Half an hour's worth of what was, long ago, is no level.
            found[k][s] = if weight[s] >= 0.5 { sum[s] / weight[s] } else { f64::NAN };
        }
        sums[k] = (sum, weight);
    }
    found
}

/// What the seasons of one statistic add, at one (pseudo-)change.
pub(super) struct Season<'a> {
    pub(super) levels: &'a Levels,
    /// Windows after each (pseudo-)change.
    pub(super) after: &'a [Statistics],
}

impl Season<'_> {
    /// Window minus level, `None` where one is missing.
    fn difference(&self, level: usize, statistic: usize, k: usize) -> Option<f64> {
        let after = self.after.get(k)?[statistic];
        Some(after - self.levels.at(level, k)[statistic]).filter(|value| !value.is_nan())
    }

    /// The shift at `k` against a level, for each season; NaN where it cannot be said.
    pub(super) fn shifts(
        &self,
        level: usize,
        statistic: usize,
        k: usize,
        alike: &[f64; DAYS],
    ) -> [f64; SEASONS] {
        let Some(own) = self.difference(level, statistic, k) else { return [f64::NAN; SEASONS] };
        let mut pairs = [(0.0, 0.0); DAYS];
        let mut plain = [0.0; DAYS];
        let mut days = 0;
        let mut weighted = 0;
        for (d, weight) in (1..).zip(alike) {
            if let Some(other) = self.difference(level, statistic, k + d * self.levels.grid.day) {
                plain[days] = other;
                days += 1;
                if *weight > 0.0 {
                    pairs[weighted] = (other, *weight);
                    weighted += 1;
                }
            }
        }
        if days == 0 {
            return [own, f64::NAN, f64::NAN];
        }
        let trust = |days: usize| float(days) / (float(days) + 1.0);
        [
            own,
            own - trust(days) * median(&mut plain[..days]),
            own - trust(weighted) * weighted_median(&mut pairs[..weighted]),
        ]
    }
}
