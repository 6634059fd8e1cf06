//! What the metrics of one cluster show.

use std::collections::BTreeMap;

use super::batch::Moment;
use super::errors::Errors;
use super::metric::{MetricHistory, SoakMetric};
use super::together::Shared;
use crate::Thresholds;
use crate::judge::{
    ControlEvidence, Metric, MetricVerdict, Series, Sign, SoakOutcome, Times, judge_beside_evidence,
};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The last day before the change has so many of its points at least, where a metric is said to have been there.
const WAS_THERE: f64 = 0.5;

/// The evidence of the clusters that were not upgraded, by metric, for each window of the soak.
pub(super) type Beside = BTreeMap<(SoakMetric, i64), ControlEvidence>;

/// One metric of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) metric: SoakMetric,
    pub(super) verdict: MetricVerdict,
}

/// All metrics of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) found: Vec<Found>,
    pub(super) errors: Errors,
    pub(super) thresholds: Thresholds,
    /// Metrics that had a record and have no soak.
    pub(super) vanished: Vec<SoakMetric>,
}

/// Share of the points that there are.
fn coverage(series: &Series, from: i64, to: i64) -> f64 {
    let part = series.between(from, to);
    #[expect(clippy::cast_precision_loss, reason = "counts of points are far below 2^52")]
    let share = part.present().count() as f64 / part.values().len().max(1) as f64;
    share
}

/// What the controls show.
pub(super) fn beside(controls: &[&MetricHistory], moment: Moment) -> Beside {
    let mut all = Beside::new();
    for kind in SoakMetric::ALL {
        let series: Vec<_> = controls.iter().map(|history| kind.series(history)).collect();
        let metrics: Vec<Metric<'_>> = series.iter().map(|series| kind.metric(series)).collect();
        for times in moment.windows() {
            all.insert((kind, times.settled), ControlEvidence::of(&metrics, times, kind.bad()));
        }
    }
    all
}

/// One metric in one window of the soak, beside the controls.
fn judged(
    kind: SoakMetric,
    series: &Series,
    beside: &Beside,
    times: Times,
    thresholds: &Thresholds,
) -> MetricVerdict {
    let none = ControlEvidence::default();
    let controls = beside.get(&(kind, times.settled)).unwrap_or(&none);
    judge_beside_evidence(&kind.metric(series), controls, times, kind.tolerance(thresholds))
}

impl Seen {
    pub(super) fn of(
        history: &MetricHistory,
        beside: &Beside,
        moment: Moment,
        thresholds: Thresholds,
    ) -> Self {
        let (mut found, mut vanished) = (Vec::new(), Vec::new());
        let times = moment.times();
        for kind in SoakMetric::ALL {
            let series = kind.series(history);
            let was_there = coverage(&series, times.change.saturating_sub(DAY), times.change) >= WAS_THERE;
            if was_there && coverage(&series, times.settled, times.until) < WAS_THERE {
                vanished.push(kind);
                continue;
            }
            // What was never measured is no metric of this cluster.
            if !was_there && !kind.is_required() {
                continue;
            }
            let judged = |times: Times| judged(kind, &series, beside, times, &thresholds);
            let worst = moment.windows().into_iter().map(judged).reduce(|one, other| {
                let order = |verdict: &MetricVerdict| (rank(verdict.outcome), verdict.strength);
                if order(&other) > order(&one) { other } else { one }
            });
            found.extend(worst.map(|verdict| Found { metric: kind, verdict }));
        }
        Self { found, errors: Errors::of(history, moment), thresholds, vanished }
    }

    /// For the rules across metrics and clusters: by strength beside the controls, or without them.
    pub(super) fn signs(&self, alone: bool, shared: &Shared) -> Vec<Sign> {
        let sign = |(n, found): (usize, &Found)| {
            let verdict = &found.verdict;
            let tolerable = found.metric.tolerance(&self.thresholds).tolerable;
            // What is tolerable, or as it was, is no sign, however clearly it is seen.
            let counts = found.metric != SoakMetric::Errors || self.errors.are_up(&self.thresholds);
            let strength = if alone { verdict.alone } else { verdict.strength };
            Sign {
                metric: n,
                is_critical: found.metric.is_critical(),
                strength: if counts { strength } else { 0.0 },
                // Nor does it lend weight to what others show; but it counts against that.
                z: verdict.z().map_or(f64::NAN, |z| if counts { z } else { z.min(0.0) })
                    / shared.of(found.metric),
                shift: verdict.change().map_or(f64::NAN, |change| change / tolerable),
            }
        };
        self.found.iter().map(|found| (index(found.metric), found)).map(sign).collect()
    }
}

/// The number of a metric: the same on all clusters.
fn index(metric: SoakMetric) -> usize {
    SoakMetric::ALL.iter().position(|other| *other == metric).unwrap_or(usize::MAX)
}

/// Of two windows of a soak the worse one speaks; one without data does not hide the other.
fn rank(outcome: SoakOutcome) -> u8 {
    match outcome {
        SoakOutcome::Pass => 0,
        SoakOutcome::Insufficient => 1,
        SoakOutcome::Marginal => 2,
        SoakOutcome::External => 3,
        SoakOutcome::Fail => 4,
    }
}
