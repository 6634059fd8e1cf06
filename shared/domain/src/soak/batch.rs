//! The verdicts of a batch.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::cluster::{Beside, Found, Seen, beside};
use super::early;
use super::metric::{MetricHistory, STEP, SoakMetric};
use super::together;
use crate::ValidationConfig;
use crate::judge::{Ground, MetricVerdict, Sign, SoakOutcome, SoakVerdict, Times, grounds, pooled, settles};

/// A soak that is longer is judged by its first and by its last hours: the looks reach as far.
const LONGEST_LOOK: i64 = 240 * 60;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The last moment of the old version.
    pub changed_at: Timestamp,
    /// When the soak began.
    pub from: Timestamp,
    /// Up to when it is judged.
    pub until: Timestamp,
    /// The soak has had its time. Before that only what cannot wait is a fail.
    pub is_over: bool,
}

impl Moment {
    /// On whole points: the point in which something began belongs to what was before, and to no soak.
    pub(super) fn times(self) -> Times {
        let floor = |at: Timestamp| at.as_second().div_euclid(STEP).saturating_mul(STEP);
        let settled = floor(self.from).saturating_add(STEP * i64::from(self.from.as_second() % STEP != 0));
        Times { change: floor(self.changed_at), settled, until: floor(self.until) }
    }

    /// The whole soak, and of a long one also its end.
    pub(super) fn windows(self) -> Vec<Times> {
        let times = self.times();
        let end = times.until.saturating_sub(LONGEST_LOOK);
        let mut windows = vec![times];
        if end > times.settled {
            windows.push(Times { settled: end, ..times });
        }
        windows
    }
}

/// One cluster.
#[derive(Debug, Clone, Copy)]
pub struct Soaked<'a> {
    /// Its environment: what is tolerable, and whom it is compared with.
    pub environment: &'a str,
    /// Its metrics; `None` where Datadog has no series.
    pub history: Option<&'a MetricHistory>,
}

/// Judges the clusters of a batch beside clusters that were not upgraded, in their order.
pub fn judge(
    clusters: &[Soaked<'_>],
    controls: &[Soaked<'_>],
    moment: Moment,
    validation: &ValidationConfig,
) -> Vec<SoakVerdict> {
    let mut environments: BTreeMap<&str, Environment<'_>> = BTreeMap::new();
    for cluster in clusters {
        environments.entry(cluster.environment).or_insert_with(|| {
            let of = controls.iter().filter(|control| control.environment == cluster.environment);
            let controls: Vec<&MetricHistory> = of.filter_map(|control| control.history).collect();
            Environment { beside: beside(&controls, moment), controls }
        });
    }
    let seen: Vec<Option<Seen>> = clusters
        .iter()
        .map(|cluster| {
            let environment = environments.get(cluster.environment)?;
            let thresholds = validation.thresholds_of(cluster.environment);
            Some(Seen::of(cluster.history?, &environment.beside, moment, thresholds))
        })
        .collect();
    let shared = together::shared(&seen);
    let signs = |alone: bool| -> Vec<Vec<Sign>> {
        let of = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.signs(alone, &shared));
        seen.iter().map(|seen| of(seen).unwrap_or_default()).collect()
    };
    let beside = signs(false);
    let (found, alone, in_sum) = (grounds(&beside), grounds(&signs(true)), pooled(&beside));
    clusters
        .iter()
        .zip(&seen)
        .zip(found.iter().zip(&alone))
        .map(|((cluster, own), (ground, alone))| {
            let environment = environments.get(cluster.environment);
            match (own, cluster.history, environment) {
                (Some(own), Some(history), Some(environment)) => at_once(own, history, environment, moment)
                    .unwrap_or_else(|| {
                        one(own, &seen, Grounds { found: *ground, alone: *alone, in_sum: &in_sum }, moment)
                    }),
                _ => verdict(
                    SoakOutcome::Insufficient,
                    vec!["Datadog has no request series since the change".to_owned()],
                ),
            }
        })
        .collect()
}

/// The clusters of one environment that were not upgraded.
struct Environment<'a> {
    controls: Vec<&'a MetricHistory>,
    beside: Beside,
}

/// What cannot wait: a limit that is broken, and before the end what is plain.
fn at_once(
    own: &Seen,
    history: &MetricHistory,
    environment: &Environment<'_>,
    moment: Moment,
) -> Option<SoakVerdict> {
    if let Some(broken) = early::limit(history, moment, &own.thresholds) {
        let mut words = format!(
            "5xx: {:.0} of {:.0} requests failed within {} minutes, the limit is {:.1} %",
            broken.counts.errors,
            broken.counts.requests,
            (broken.until - broken.from) / 60,
            own.thresholds.error_rate_limit * 100.0
        );
        if early::is_broken_outside(&environment.controls, moment, &own.thresholds) {
            words.push_str("; clusters that were not upgraded broke it too");
            return Some(verdict(SoakOutcome::External, vec![words]));
        }
        return Some(verdict(SoakOutcome::Fail, vec![words]));
    }
    if moment.is_over || has_too_few(own).is_some() {
        return None;
    }
    let words = early::plain(history, &environment.controls, moment, &own.thresholds)?;
    Some(verdict(SoakOutcome::Fail, vec![words]))
}

fn verdict(outcome: SoakOutcome, reasons: Vec<String>) -> SoakVerdict {
    SoakVerdict { outcome, reasons }
}

/// Why a cluster is taken back.
#[derive(Clone, Copy)]
struct Grounds<'a> {
    /// Beside the clusters that were not upgraded.
    found: Option<Ground>,
    /// Without a look at them.
    alone: Option<Ground>,
    /// Metrics that are worse over all clusters of the batch: those that show little of it are no pass.
    in_sum: &'a [usize],
}

fn one(own: &Seen, batch: &[Option<Seen>], grounds: Grounds<'_>, moment: Moment) -> SoakVerdict {
    let Grounds { found: ground, alone, in_sum } = grounds;
    let name = |n: usize| SoakMetric::ALL.get(n).map_or_else(String::new, |metric| metric.name().to_owned());
    let what_is_lacking = lacking(own);
    if moment.is_over {
        // A definite no stays one, whatever else cannot be read.
        if let Some(ground) = ground {
            return verdict(SoakOutcome::Fail, with_evidence(own, ground.words(name)));
        }
        if let Some(ground) = alone.filter(|_| what_is_lacking.is_none()) {
            let words =
                format!("clusters that were not upgraded moved alike; without them {}", ground.words(name));
            return verdict(SoakOutcome::External, with_evidence(own, words));
        }
    }
    if let Some(reason) = what_is_lacking {
        return verdict(SoakOutcome::Insufficient, vec![reason]);
    }
    let open: Vec<&Found> = own.found.iter().filter(|found| is_open(own, found, batch, in_sum)).collect();
    if open.is_empty() {
        let mut reasons = vec![own.errors.words(&own.thresholds)];
        let others = own.found.iter().filter(|found| found.metric != SoakMetric::Errors);
        reasons.extend(others.map(in_short));
        return verdict(SoakOutcome::Pass, reasons);
    }
    let mut reasons = Vec::new();
    for found in open {
        reasons.extend(evidence(own, found));
    }
    verdict(SoakOutcome::Marginal, reasons)
}

/// Why there is no verdict at all.
fn lacking(own: &Seen) -> Option<String> {
    if let Some(metric) = own.vanished.first() {
        return Some(format!(
            "{}: the series that was there before the change has ended, or has gaps: does the agent still see the proxies?",
            metric.name()
        ));
    }
    if let Some(reason) = has_too_few(own) {
        return Some(reason);
    }
    let required = own.found.iter().filter(|found| found.metric.is_required());
    let mut silent = required.filter(|found| found.verdict.outcome == SoakOutcome::Insufficient);
    silent.find_map(|found| found.verdict.reasons.first()).cloned()
}

/// So few requests that a window says nothing.
fn has_too_few(own: &Seen) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "a request volume is far below 2^52")]
    let volume = own.thresholds.min_request_volume as f64;
    let requests = own.errors.soak.requests;
    (requests < volume).then(|| format!("{requests:.0} requests, {volume:.0} are needed"))
}

/// Whether a metric stands in the way of a pass.
fn is_open(own: &Seen, found: &Found, batch: &[Option<Seen>], in_sum: &[usize]) -> bool {
    let (metric, outcome) = (found.metric, found.verdict.outcome);
    if in_sum.iter().any(|n| SoakMetric::ALL.get(*n) == Some(&metric)) {
        return true;
    }
    match outcome {
        SoakOutcome::Pass | SoakOutcome::Insufficient => false,
        // What the configuration calls tolerable is.
        _ if metric == SoakMetric::Errors && !own.errors.are_many(&own.thresholds) => false,
        SoakOutcome::Marginal if metric.is_critical() => {
            let alike: Vec<&MetricVerdict> = batch
                .iter()
                .flatten()
                .flat_map(|seen| &seen.found)
                .filter(|other| other.metric == metric)
                .map(|other| &other.verdict)
                .collect();
            !settles(&found.verdict, &alike, metric.tolerance(&own.thresholds), metric.kind())
        }
        SoakOutcome::Marginal => false,
        SoakOutcome::Fail | SoakOutcome::External => true,
    }
}

/// The ground, and what the metrics show that speak for it.
fn with_evidence(own: &Seen, ground: String) -> Vec<String> {
    let mut reasons = vec![ground];
    let speaks = |found: &&Found| matches!(found.verdict.outcome, SoakOutcome::Fail | SoakOutcome::External);
    for found in own.found.iter().filter(speaks) {
        reasons.extend(evidence(own, found));
    }
    reasons
}

fn evidence(own: &Seen, found: &Found) -> Vec<String> {
    let counted = (found.metric == SoakMetric::Errors).then(|| own.errors.words(&own.thresholds));
    counted.into_iter().chain(found.verdict.reasons.iter().cloned()).collect()
}

/// `p95 latency +0.4 %`.
fn in_short(found: &Found) -> String {
    let name = found.metric.name();
    match found.verdict.change() {
        // Positive is worse: of what should not become less, a loss.
        Some(change) if found.metric == SoakMetric::Requests => {
            format!("{name} {:+.1} %", (1.0 / (1.0 + change).max(1e-6) - 1.0) * 100.0)
        }
        Some(change) => format!("{name} {:+.1} %", change * 100.0),
        None => format!("{name} not judged: {}", found.verdict.reasons.join(", ")),
    }
}
