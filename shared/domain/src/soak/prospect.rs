//! What a cluster's own past says of a soak, before anything is changed: how often nothing would have been called a
//! regression, and how small a regression would have been seen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::metric::{MetricHistory, STEP, SoakMetric};
use crate::Thresholds;
use crate::judge::{CRITICAL, Past, false_rollback_rate};

/// What is to be expected of the judge on one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prospect {
    /// Moments of the past at which nothing was changed and a soak was judged.
    pub placebos: usize,
    /// Share of them at which the cluster would have been taken back, 0 to 1.
    pub false_rollbacks: f64,
    /// The smallest rise of each critical metric that alone would have taken it back at four of five of these moments: a
    /// share of the latency (0.1 is 10 %), a difference of the share of 5xx. Absent where nothing is known of the metric,
    /// `None` where not even three times as much would be seen.
    pub smallest_seen: BTreeMap<SoakMetric, Option<f64>>,
}

/// Of a soak of so many minutes that would begin now; `None` where the past is too short to say.
pub fn prospect(
    history: &MetricHistory,
    at: Timestamp,
    soak_minutes: u32,
    thresholds: &Thresholds,
) -> Option<Prospect> {
    let now = at.as_second().div_euclid(STEP).saturating_mul(STEP);
    let series: Vec<_> = SoakMetric::ALL.into_iter().map(|metric| (metric, metric.series(history))).collect();
    let pasts: Vec<(SoakMetric, Past)> = series
        .iter()
        .filter_map(|(metric, series)| {
            let tolerance = metric.tolerance(thresholds);
            Some((*metric, Past::of(&metric.metric(series), now, soak_minutes, tolerance)?))
        })
        .collect();
    let critical = pasts.iter().filter(|(metric, _)| metric.is_critical());
    let smallest_seen = critical
        .filter_map(|(metric, past)| Some((*metric, past.sensitivity(CRITICAL)?.smallest_seen)))
        .collect();
    let together: Vec<(Past, bool)> =
        pasts.into_iter().map(|(metric, past)| (past, metric.is_critical())).collect();
    let taken_back = false_rollback_rate(&together)?;
    Some(Prospect { placebos: taken_back.placebos, false_rollbacks: taken_back.rate, smallest_seen })
}
