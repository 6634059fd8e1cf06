//! What cannot wait for the end of a soak.

use super::batch::Moment;
use super::cluster::{Beside, Seen, judged};
use super::metric::{MetricHistory, STEP, SoakMetric};
use crate::Thresholds;
use crate::judge::{Broken, MIN_CONTROLS, MetricVerdict, Times, broken};

/// Deviations of the mean at two looks one after the other, from which on more time would tell nothing new.
const PLAIN: f64 = 6.0;

/// The looks whose results must agree: of the soak so far, and of a point less.
pub(super) fn looks(moment: Moment) -> Vec<Times> {
    let times = moment.times();
    let before = Times { until: times.until.saturating_sub(STEP), ..times };
    if before.until > before.settled { vec![before, times] } else { Vec::new() }
}

/// A limit that is broken. One that was broken before the change too is not the new version's doing.
pub(super) fn limit(history: &MetricHistory, moment: Moment, thresholds: &Thresholds) -> Option<Broken> {
    let times = moment.times();
    let floor = 1.0 - thresholds.error_rate_limit;
    let in_time = |from: i64, until: i64| broken(&history.requests, &history.errors, from, until, floor);
    let found = in_time(times.settled, times.until)?;
    let a_day_before = times.change.saturating_sub(86_400);
    in_time(a_day_before, times.change).is_none().then_some(found)
}

/// As many of the clusters that were not upgraded broke it as make a cause from outside: half of them, two at least.
pub(super) fn is_outside(controls: &[&MetricHistory], moment: Moment, thresholds: &Thresholds) -> bool {
    let broke = controls.iter().filter(|history| limit(history, moment, thresholds).is_some()).count();
    broke >= MIN_CONTROLS && broke * 2 >= controls.len()
}

/// A critical metric that is plainly worse, with its verdict.
pub(super) fn plain(
    own: &Seen,
    history: &MetricHistory,
    beside: &Beside,
    moment: Moment,
) -> Option<(SoakMetric, MetricVerdict)> {
    let looks = looks(moment);
    SoakMetric::ALL.into_iter().filter(|metric| metric.is_critical()).find_map(|metric| {
        if metric == SoakMetric::Errors && !own.errors.are_up(&own.thresholds) {
            return None;
        }
        let series = metric.series(history);
        let tolerable = metric.tolerance(&own.thresholds).tolerable;
        let mut last = None;
        for times in &looks {
            let verdict = judged(metric, &series, beside, *times, &own.thresholds);
            let is_plain = verdict.z().is_some_and(|z| z > PLAIN)
                && verdict.change().is_some_and(|change| change > tolerable);
            if !is_plain {
                return None;
            }
            last = Some(verdict);
        }
        last.map(|verdict| (metric, verdict))
    })
}
