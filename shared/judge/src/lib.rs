//! Is a cluster as well with the new version as it was before? A verdict with a known error rate.

mod baseline;
mod controls;
pub mod counts;
mod evidence;
mod limits;
mod metric;
mod null;
mod pool;
mod rules;
mod sensitivity;
mod series;
mod spread;
mod timeline;
mod verdict;
mod window;

pub use controls::{Beside, MIN_CONTROLS, beside};
pub use evidence::{Evidence, LookEvidence};
pub use limits::{BROKEN_MINUTES, Broken, EARLY, EARLY_MINUTES, broken};
pub use metric::{
    ControlEvidence, FAIL_AT, LOOKS, Metric, MetricVerdict, Record, Tolerance, evidence, judge_beside,
    judge_beside_evidence, judge_metric,
};
pub use pool::settles;
pub use rules::{CRITICAL, Ground, POOLED, SECOND, Sign, TOGETHER, TWICE, grounds, pooled};
pub use sensitivity::{FalseRollbacks, Past, Sensitivity, false_rollback_rate, sensitivity};
pub use series::{Series, SeriesError};
pub use timeline::Times;
pub use verdict::{SoakOutcome, SoakVerdict};

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Times; never negative.
    Latency,
    /// Shares of requests or successes.
    ErrorRate,
    /// Requests or records in a time; never negative.
    Throughput,
    /// Processor, memory; never negative.
    Resource,
    /// Anything else.
    Other,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Up,
    /// Less.
    Down,
}

/// Which direction is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadDirection {
    /// More is worse.
    Up,
    /// Less is worse.
    Down,
    /// Neither is wanted.
    Both,
}

impl BadDirection {
    /// Each by itself.
    pub fn each(self) -> &'static [Direction] {
        match self {
            Self::Up => &[Direction::Up],
            Self::Down => &[Direction::Down],
            Self::Both => &[Direction::Up, Direction::Down],
        }
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of points are far below 2^52")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
