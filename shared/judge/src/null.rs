//! How much a metric moves when nothing is changed: the same comparison at pseudo-changes in its own past.

use super::baseline::{Baseline, LEVELS, Levels, SEASONS, Season};
use super::evidence::{Evidence, LookEvidence};
use super::spread::Spread;
use super::timeline::{Grid, Timeline};
use super::window::{STATISTICS, Statistics, UNKNOWN, backwards, of};

/// At most so many pseudo-changes, the latest: regimes of noise change.
const MAX_PLACEBOS: usize = 250;
/// Fewer say nothing about what is usual.
const MIN_PLACEBOS: usize = 12;
/// Days of the past that the seasons may ask about.
const SEASON_DAYS: usize = 7;

/// The looks of these lengths, in points, at a soak that follows its record. `None` where the past is too short.
pub(super) fn continuous(line: &Timeline, lengths: &[usize]) -> Option<Evidence> {
    let grid = line.grid;
    let gap = (line.settled - line.change).div_ceil(grid.cell);
    let longest = lengths.iter().copied().max()?.div_ceil(grid.cell);
    // The latest pseudo-change lies three hours back, and its windows end before the change.
    let first = (3 * grid.hour).max(longest) + gap;
    let history = line.change / grid.cell;
    let count = MAX_PLACEBOS.min(history.saturating_sub(first));
    if count < MIN_PLACEBOS {
        return None;
    }
    let cells = (first + count + SEASON_DAYS * grid.day + 1).min(history + 1);
    let levels = Levels::of(line, history + 1);
    let settled = isize::try_from(line.settled).ok()?;
    let after: Vec<Vec<Statistics>> =
        lengths.iter().map(|length| backwards(&line.values, settled, *length, grid.cell, cells)).collect();
    let places: Vec<usize> = std::iter::once(0).chain(first..first + count).collect();
    let alike: Vec<_> = places.iter().map(|k| levels.alike(*k)).collect();
    let has_seasons = history >= 2 * grid.day;
    let mut scratch = Vec::new();

    // Chosen by the placebos of the shortest look, before the soak is read.
    let shortest = Season { levels: &levels, after: after.first()? };
    let mut baselines = [Baseline { level: 1, season: 0 }; STATISTICS];
    for (statistic, chosen) in baselines.iter_mut().enumerate() {
        let mut best = f64::INFINITY;
        for level in 0..LEVELS {
            let mut samples: [Vec<f64>; SEASONS] = Default::default();
            for (k, alike) in places.iter().zip(&alike).skip(1) {
                let shifts = shortest.shifts(level, statistic, *k, alike);
                for (sample, shift) in samples.iter_mut().zip(shifts) {
                    if !shift.is_nan() {
                        sample.push(shift);
                    }
                }
            }
            let needed = MIN_PLACEBOS.max(samples[0].len() / 2);
            for (season, sample) in samples.iter().enumerate() {
                if sample.len() < needed || (season > 0 && !has_seasons) {
                    continue;
                }
                let rank = Spread::of(sample, &mut scratch).rank();
                if rank < best {
                    best = rank;
                    *chosen = Baseline { level, season };
                }
            }
        }
        if best.is_infinite() {
            return None;
        }
    }
    let looks = lengths.iter().zip(&after).map(|(length, after)| {
        let season = Season { levels: &levels, after };
        let shifts = places.iter().zip(&alike).map(|(k, alike)| {
            let mut shift = UNKNOWN;
            for (statistic, slot) in shift.iter_mut().enumerate() {
                let Baseline { level, season: s } = baselines[statistic];
                *slot = season.shifts(level, statistic, *k, alike)[s];
            }
            shift
        });
        LookEvidence::of(grid.minutes(*length), shifts.collect())
    });
    let looks: Vec<LookEvidence> = looks.collect();
    Some(Evidence::of(looks, Some(baselines)))
}

/// A soak and a record of another time: windows of the record are the placebos.
pub(super) fn elsewhere(record: &[f64], soak: &[f64], lengths: &[usize], grid: Grid) -> Option<Evidence> {
    let mut looks = Vec::new();
    for length in lengths {
        let windows = record.len().checked_sub(*length)? + 1;
        let first = isize::try_from(windows).ok()? - 1;
        let mut all = vec![of(soak.get(..*length)?, *length)];
        all.extend(backwards(record, first, *length, 1, windows));
        looks.push(LookEvidence::of(grid.minutes(*length), all));
    }
    let known = looks.first()?.placebos.iter().filter(|p| !p[0].is_nan()).count();
    (known >= MIN_PLACEBOS).then(|| Evidence::of(looks, None))
}
