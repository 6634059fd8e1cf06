//! What cannot wait for the end of a soak.

use super::batch::Moment;
use super::errors::Errors;
use super::metric::{MetricHistory, STEP, SoakMetric};
use crate::Thresholds;
use crate::judge::{
    Broken, EARLY, EARLY_MINUTES, MIN_CONTROLS, Metric, MetricVerdict, Times, broken, judge_beside,
    judge_metric,
};

/// Deviations by which the errors of both looks are more than before, from which on more time would tell nothing new.
const MANY: f64 = 6.0;

/// A limit that is broken. One that was broken before the change too is not the new version's doing.
pub(super) fn limit(history: &MetricHistory, moment: Moment, thresholds: &Thresholds) -> Option<Broken> {
    let times = moment.times();
    let floor = 1.0 - thresholds.error_rate_limit;
    let in_time = |from: i64, until: i64| broken(&history.requests, &history.errors, from, until, floor);
    let found = in_time(times.settled, times.until)?;
    let a_day_before = times.change.saturating_sub(86_400);
    in_time(a_day_before, times.change).is_none().then_some(found)
}

/// Enough of the clusters that were not upgraded suffer it too to make a cause from outside: half of them, two at least.
fn is_outside(controls: &[&MetricHistory], suffers: impl Fn(&MetricHistory) -> bool) -> bool {
    let suffering = controls.iter().filter(|history| suffers(history)).count();
    suffering >= MIN_CONTROLS && suffering * 2 >= controls.len()
}

/// See [`is_outside`], of a broken limit.
pub(super) fn is_broken_outside(
    controls: &[&MetricHistory],
    moment: Moment,
    thresholds: &Thresholds,
) -> bool {
    is_outside(controls, |history| limit(history, moment, thresholds).is_some())
}

/// Errors that are intolerable at two looks one after the other, beyond any doubt, and not elsewhere too.
fn many_errors(
    history: &MetricHistory,
    controls: &[&MetricHistory],
    moment: Moment,
    thresholds: &Thresholds,
) -> Option<String> {
    let earlier =
        Moment { until: moment.until.checked_sub(jiff::SignedDuration::from_secs(STEP)).ok()?, ..moment };
    let intolerable = SoakMetric::Errors.tolerance(thresholds).intolerable;
    let are_many = |history: &MetricHistory| {
        [earlier, moment].into_iter().all(|at| {
            let errors = Errors::of(history, at);
            errors.rise >= MANY && errors.soak.share().is_some_and(|share| share > intolerable)
        })
    };
    (are_many(history) && !is_outside(controls, are_many))
        .then(|| Errors::of(history, moment).words(thresholds))
}

/// A critical metric that is so clearly worse that the end need not be awaited, in words.
pub(super) fn plain(
    history: &MetricHistory,
    controls: &[&MetricHistory],
    moment: Moment,
    thresholds: &Thresholds,
) -> Option<String> {
    if let Some(words) = many_errors(history, controls, moment, thresholds) {
        return Some(words);
    }
    let critical = SoakMetric::ALL.into_iter().filter(|metric| metric.is_critical());
    // Shares of few requests are no evidence: errors are counted, above.
    critical.filter(|metric| *metric != SoakMetric::Errors).find_map(|kind| {
        let series = kind.series(history);
        let tolerance = kind.tolerance(thresholds);
        let is_plain = |verdict: &MetricVerdict| {
            verdict.z().is_some_and(|z| z > EARLY)
                && verdict.change().is_some_and(|change| change > tolerance.intolerable)
        };
        let alone = |times: &Times| judge_metric(&kind.metric(&series), *times, tolerance);
        let looks = looks(moment);
        // Mostly the answer is no, and then nobody looks at the controls.
        if looks.is_empty() || !looks.iter().all(|times| is_plain(&alone(times))) {
            return None;
        }
        let theirs: Vec<_> = controls.iter().map(|history| kind.series(history)).collect();
        let theirs: Vec<Metric<'_>> = theirs.iter().map(|series| kind.metric(series)).collect();
        let beside = |times: &Times| judge_beside(&kind.metric(&series), &theirs, *times, tolerance);
        let verdicts: Vec<MetricVerdict> = looks.iter().map(beside).collect();
        let last = verdicts.last().filter(|_| verdicts.iter().all(is_plain))?;
        Some(format!(
            "{} is worse by {:.0} %, {:.0} deviations at two looks one after the other; from {EARLY:.0} on the end is not awaited",
            kind.name(),
            last.change().unwrap_or(0.0) * 100.0,
            last.z().unwrap_or(0.0)
        ))
    })
}

/// The soak so far, and less its last minutes. The first look has nothing before it.
fn looks(moment: Moment) -> Vec<Times> {
    let times = moment.times();
    let earlier = Times { until: times.until.saturating_sub(i64::from(EARLY_MINUTES) * 60), ..times };
    if earlier.until > earlier.settled { vec![earlier, times] } else { Vec::new() }
}
