//! Errors are counted: a share of few requests says nothing, and neither does a share of three errors.

use super::batch::Moment;
use super::metric::{MetricHistory, STEP};
use crate::Thresholds;
use crate::judge::Series;
use crate::judge::counts::{Counts, overdispersion, rise};

/// Deviations from which on more errors than before were seen, beyond how they spread in ordinary times.
const SEEN: f64 = 3.0;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// The spread of errors over time is taken from so many days.
const SPREAD_DAYS: i64 = 7;

/// The errors of one cluster, in the soak and on the day before the change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Errors {
    pub(super) before: Counts,
    pub(super) soak: Counts,
    /// Deviations by which the soak has more.
    pub(super) rise: f64,
}

impl Errors {
    pub(super) fn of(history: &MetricHistory, moment: Moment) -> Self {
        let count = |from: i64, to: i64| Counts {
            requests: sum(&history.requests, from, to),
            errors: sum(&history.errors, from, to),
        };
        let times = moment.times();
        let before = count(times.change.saturating_sub(DAY), times.change);
        let soak = count(times.settled, times.until);
        let length = times.until.saturating_sub(times.settled).max(STEP);
        let windows: Vec<Counts> = (1..=SPREAD_DAYS * DAY / length)
            .map(|n| times.change.saturating_sub(n * length))
            .map(|from| count(from, from.saturating_add(length)))
            .collect();
        Self { before, soak, rise: rise(before, soak, overdispersion(&windows)) }
    }

    /// More than is tolerable, and more than before beyond chance.
    pub(super) fn are_up(&self, thresholds: &Thresholds) -> bool {
        self.are_many(thresholds) && self.rise >= SEEN
    }

    /// More than is tolerable, whether or not they were as many before.
    pub(super) fn are_many(&self, thresholds: &Thresholds) -> bool {
        self.soak.share().is_some_and(|share| share > thresholds.error_rate_max)
    }

    /// As a sentence.
    pub(super) fn words(&self, thresholds: &Thresholds) -> String {
        let percent = |counts: Counts| {
            counts.share().map_or_else(|| "unknown".to_owned(), |share| format!("{:.3} %", share * 100.0))
        };
        format!(
            "{:.0} of {:.0} requests failed, {}; on the day before the change {}; tolerable {:.3} %",
            self.soak.errors,
            self.soak.requests,
            percent(self.soak),
            percent(self.before),
            thresholds.error_rate_max * 100.0
        )
    }
}

/// The sum of the points that there are.
fn sum(series: &Series, from: i64, to: i64) -> f64 {
    series.between(from, to).present().sum()
}
