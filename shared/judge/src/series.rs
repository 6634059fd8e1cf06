//! One metric over time, on a regular grid. What is missing stays missing.

use thiserror::Error;

/// No series is longer: two years of minutes.
const MAX_POINTS: i64 = 1_051_200;

/// A regular series. A gap is a gap: it is never filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// When the first point begins, Unix seconds.
    start: i64,
    /// Seconds from one point to the next, at least 1.
    step: i64,
    /// The points; NaN where there is none.
    values: Vec<f64>,
}

/// Why points are no series.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SeriesError {
    /// Zero or less.
    #[error("a step of {0} seconds is none: give the seconds from one point to the next")]
    Step(i64),
    /// The first and the last point are too far apart for a grid.
    #[error(
        "from {first} to {last} are more than {MAX_POINTS} steps of {step} seconds: are these Unix seconds?"
    )]
    TooLong {
        /// Unix seconds.
        first: i64,
        /// Unix seconds.
        last: i64,
        /// Seconds.
        step: i64,
    },
}

impl Series {
    /// A series whose points stand one after the other; `None` is a gap.
    pub fn new(start: i64, step: i64, points: &[Option<f64>]) -> Result<Self, SeriesError> {
        if step <= 0 {
            return Err(SeriesError::Step(step));
        }
        let values = points.iter().map(|point| point.filter(|v| v.is_finite()).unwrap_or(f64::NAN));
        Ok(Self { start, step, values: values.collect() })
    }

    /// Points as they were recorded, in any order: each goes to the step it lies in, and of two in one step the later in
    /// the list counts. What is no finite number is a gap.
    pub fn from_points(step: i64, points: &[(i64, f64)]) -> Result<Self, SeriesError> {
        if step <= 0 {
            return Err(SeriesError::Step(step));
        }
        let Some(first) = points.iter().map(|(at, _)| *at).min() else {
            return Ok(Self { start: 0, step, values: Vec::new() });
        };
        let last = points.iter().map(|(at, _)| *at).max().unwrap_or(first);
        let steps = last.checked_sub(first).map(|length| length / step).filter(|n| *n < MAX_POINTS);
        let Some(length) = steps.and_then(|n| usize::try_from(n).ok()) else {
            return Err(SeriesError::TooLong { first, last, step });
        };
        let mut values = vec![f64::NAN; length + 1];
        for (at, value) in points {
            let slot = usize::try_from((at - first) / step).ok().and_then(|n| values.get_mut(n));
            if let Some(slot) = slot {
                *slot = if value.is_finite() { *value } else { f64::NAN };
            }
        }
        Ok(Self { start: first, step, values })
    }

    /// Seconds from one point to the next.
    pub fn step(&self) -> i64 {
        self.step
    }

    /// When the first point begins, Unix seconds.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The points, with NaN for gaps.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The points that begin in `[from, to)`; what the series does not reach is a gap.
    #[must_use]
    pub fn between(&self, from: i64, to: i64) -> Self {
        let first = self.slot(from);
        let count = usize::try_from(self.slot(to).saturating_sub(first)).unwrap_or(0);
        let at = |n: usize| {
            let slot = i64::try_from(n).ok().and_then(|n| first.checked_add(n));
            slot.and_then(|slot| usize::try_from(slot).ok()).and_then(|slot| self.values.get(slot))
        };
        let count = count.min(usize::try_from(MAX_POINTS).unwrap_or(usize::MAX));
        let values = (0..count).map(|n| at(n).copied().unwrap_or(f64::NAN)).collect();
        Self { start: self.start.saturating_add(first.saturating_mul(self.step)), step: self.step, values }
    }

    /// The same points, each multiplied.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { values: self.values.iter().map(|value| value * factor).collect(), ..*self }
    }

    /// Every point there is.
    pub fn present(&self) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().copied().filter(|value| !value.is_nan())
    }

    /// Number of the first point that begins at this time or later; negative before the series.
    pub(super) fn slot(&self, at: i64) -> i64 {
        let ahead = at.saturating_sub(self.start);
        ahead.div_euclid(self.step).saturating_add(i64::from(ahead.rem_euclid(self.step) != 0))
    }
}
