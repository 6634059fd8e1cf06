//! A series before and after a change on one time line, in the form in which it is judged: bad is up.

use super::series::Series;
use super::spread::median;
use super::{Direction, MetricKind, float};

/// A change, and what is judged after it. Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The last moment of the old version: the baseline ends here.
    pub change: i64,
    /// From when on the new version is judged. Between the two, the restart, nothing is.
    pub settled: i64,
    /// Up to when.
    pub until: i64,
}

/// Share of the usual value below which a logarithm is not taken: a zero is a hundredth, not minus infinity.
const FLOOR: f64 = 0.01;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// By their ratio: the logarithm, not below this value.
    Ratio { floor: f64 },
    /// By their difference.
    Difference,
}

impl Scale {
    /// Rates are compared by their difference; what is measured from zero on by its ratio. Of a metric of unknown kind its
    /// record tells: what was ever negative has no ratio, and neither has what has no typical value.
    pub(super) fn of(kind: MetricKind, record: &Series) -> Self {
        let mut all: Vec<f64> = record.present().collect();
        let has_negative = all.iter().any(|value| *value < 0.0);
        let has_zero = all.contains(&0.0);
        let typical = median(&mut all);
        let is_ratio = match kind {
            MetricKind::ErrorRate => false,
            MetricKind::Latency | MetricKind::Throughput | MetricKind::Resource => !has_negative,
            MetricKind::Other => !has_negative && !has_zero,
        };
        if is_ratio && typical > 0.0 { Self::Ratio { floor: typical * FLOOR } } else { Self::Difference }
    }

    fn apply(self, value: f64, direction: Direction) -> f64 {
        let value = match self {
            Self::Ratio { floor } if !value.is_nan() => value.max(floor).ln(),
            Self::Ratio { .. } | Self::Difference => value,
        };
        match direction {
            Direction::Up => value,
            Direction::Down => -value,
        }
    }

    /// Back to what people measure.
    pub(super) fn back(self, value: f64, direction: Direction) -> f64 {
        let value = match direction {
            Direction::Up => value,
            Direction::Down => -value,
        };
        match self {
            Self::Ratio { .. } => value.exp(),
            Self::Difference => value,
        }
    }

    pub(super) fn all(self, values: &[f64], direction: Direction) -> Vec<f64> {
        values.iter().map(|value| self.apply(*value, direction)).collect()
    }
}

/// The grid of ten minutes on which pseudo-changes lie, in points and in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Points of a cell.
    pub(super) cell: usize,
    /// Cells of an hour.
    pub(super) hour: usize,
    /// Cells of a day.
    pub(super) day: usize,
    /// Seconds of a point.
    pub(super) step: i64,
}

impl Grid {
    pub(super) fn of(step: i64) -> Self {
        let whole = |seconds: i64, of: i64| usize::try_from((seconds + of / 2) / of).unwrap_or(1).max(1);
        let step = step.max(1);
        let cell = whole(600, step);
        let cell_seconds = step.saturating_mul(i64::try_from(cell).unwrap_or(1));
        Self { cell, hour: whole(3_600, cell_seconds), day: whole(86_400, cell_seconds), step }
    }

    /// Points of so many minutes.
    pub(super) fn points(self, minutes: u32) -> usize {
        usize::try_from(i64::from(minutes) * 60 / self.step).unwrap_or(1).max(1)
    }

    /// Minutes of so many points.
    pub(super) fn minutes(self, points: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a step")]
        let step = self.step as f64;
        float(points) * step / 60.0
    }
}

/// Before and after, one after the other.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Transformed values, bad is up; NaN for gaps and for the restart.
    pub(super) values: Vec<f64>,
    /// Number of the first point after the old version.
    pub(super) change: usize,
    /// Number of the first point that is judged.
    pub(super) settled: usize,
    pub(super) grid: Grid,
}

impl Timeline {
    /// `before` up to the change, `after` from when it has settled.
    pub(super) fn of(
        before: &Series,
        after: &Series,
        times: Times,
        scale: Scale,
        direction: Direction,
    ) -> Self {
        let past = before.between(before.start(), times.change);
        let soak = after.between(times.settled, times.until);
        let change = past.values().len();
        let rest = times.settled.saturating_sub(times.change).max(0) / before.step();
        let settled = change.saturating_add(usize::try_from(rest).unwrap_or(0));
        let mut values = scale.all(past.values(), direction);
        values.resize(settled, f64::NAN);
        values.extend(scale.all(soak.values(), direction));
        Self { values, change, settled, grid: Grid::of(before.step()) }
    }
}
