//! What a soak is judged by.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Thresholds;
use crate::judge::{BadDirection, Metric, MetricKind, Record, Series, Tolerance};

/// Seconds of a point. Datadog answers with at most 1,500 points a series: five days of these.
pub const STEP: i64 = 300;

/// The next beginning of a point, or this very moment.
pub fn next_point(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    let beyond = i64::from(at.subsec_nanosecond() != 0 || second.rem_euclid(STEP) != 0);
    let next = second.div_euclid(STEP).saturating_add(beyond).saturating_mul(STEP);
    Timestamp::from_second(next).unwrap_or(at)
}

/// Days before the change that the judge is given: a season needs seven days before the oldest of its pseudo-changes.
pub const HISTORY_DAYS: i64 = 9;

/// Days before the change that a look before the end is given: 250 pseudo-changes ten minutes apart, and their windows.
pub const EARLY_DAYS: i64 = 3;

/// What is measured of one cluster, before and after the change, in points of [`STEP`] seconds. All begin at the same time.
/// What is missing is a gap; what was never measured has gaps only.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricHistory {
    /// Requests seen at the destination.
    pub requests: Series,
    /// Of these, answers 5xx. A gap beside requests is a zero: there is no series of what never happened.
    pub errors: Series,
    /// 95th percentile of the latency, milliseconds.
    pub latency_p95: Series,
    /// 99th percentile of the latency, milliseconds.
    pub latency_p99: Series,
    /// Processor time of all proxies.
    pub proxy_cpu: Series,
    /// Memory of all proxies, bytes.
    pub proxy_memory: Series,
}

/// One of the metrics that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoakMetric {
    /// Share of 5xx answers.
    Errors,
    /// 95th percentile of the latency.
    LatencyP95,
    /// 99th percentile of the latency.
    LatencyP99,
    /// Requests.
    Requests,
    /// Processor time of the proxies.
    ProxyCpu,
    /// Memory of the proxies.
    ProxyMemory,
}

impl SoakMetric {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Errors, Self::LatencyP95, Self::LatencyP99, Self::Requests, Self::ProxyCpu, Self::ProxyMemory];

    /// In sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "5xx",
            Self::LatencyP95 => "p95 latency",
            Self::LatencyP99 => "p99 latency",
            Self::Requests => "requests",
            Self::ProxyCpu => "CPU of the proxies",
            Self::ProxyMemory => "memory of the proxies",
        }
    }

    /// One alone may be enough for a rollback, and one that is not well is no pass.
    pub fn is_critical(self) -> bool {
        matches!(self, Self::Errors | Self::LatencyP95 | Self::LatencyP99)
    }

    /// Without it there is no verdict.
    pub(super) fn is_required(self) -> bool {
        matches!(self, Self::Errors | Self::LatencyP95)
    }

    /// What it measures.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::Errors => MetricKind::ErrorRate,
            Self::LatencyP95 | Self::LatencyP99 => MetricKind::Latency,
            Self::Requests => MetricKind::Throughput,
            Self::ProxyCpu | Self::ProxyMemory => MetricKind::Resource,
        }
    }

    /// Which direction is bad.
    pub fn bad(self) -> BadDirection {
        match self {
            Self::Requests => BadDirection::Down,
            _ => BadDirection::Up,
        }
    }

    /// The configuration says what is tolerable; twice as much must not pass unseen, and of errors ten times as much.
    pub fn tolerance(self, thresholds: &Thresholds) -> Tolerance {
        let twice = |share: f64| Tolerance { tolerable: share, intolerable: share * 2.0 };
        match self {
            Self::Errors => Tolerance {
                tolerable: thresholds.error_rate_increase_max,
                intolerable: thresholds.error_rate_max.max(thresholds.error_rate_increase_max) * 10.0,
            },
            Self::LatencyP95 | Self::LatencyP99 => twice(thresholds.latency_increase_percent / 100.0),
            Self::Requests => {
                // A loss of a fifth is a quarter on the way back, which is how shifts are counted.
                let kept = |percent: f64| (1.0 / (1.0 - percent / 100.0).max(0.01)) - 1.0;
                let loss = thresholds.throughput_decrease_percent;
                Tolerance { tolerable: kept(loss), intolerable: kept(loss * 2.0) }
            }
            Self::ProxyCpu | Self::ProxyMemory => twice(thresholds.resource_increase_percent / 100.0),
        }
    }

    /// With a series of before and after, as the judge takes it.
    pub fn metric(self, series: &Series) -> Metric<'_> {
        Metric {
            name: self.name(),
            kind: self.kind(),
            bad: self.bad(),
            before: series,
            after: series,
            record: Record::UpToTheChange,
        }
    }

    /// Its series.
    pub fn series(self, history: &MetricHistory) -> Cow<'_, Series> {
        match self {
            Self::Errors => Cow::Owned(history.error_share()),
            Self::LatencyP95 => Cow::Borrowed(&history.latency_p95),
            Self::LatencyP99 => Cow::Borrowed(&history.latency_p99),
            Self::Requests => Cow::Borrowed(&history.requests),
            Self::ProxyCpu => Cow::Borrowed(&history.proxy_cpu),
            Self::ProxyMemory => Cow::Borrowed(&history.proxy_memory),
        }
    }
}

impl MetricHistory {
    /// The share of requests that failed, 0 to 1; a gap without requests.
    fn error_share(&self) -> Series {
        let start = self.requests.start();
        let errors = self.errors.between(start, start.saturating_add(STEP.saturating_mul(self.length())));
        let share = self.requests.values().iter().zip(errors.values()).map(|(requests, errors)| {
            let failed = if errors.is_nan() { 0.0 } else { *errors };
            (*requests > 0.0).then(|| (failed / requests).clamp(0.0, 1.0))
        });
        let points: Vec<Option<f64>> = share.collect();
        Series::new(start, self.requests.step(), &points).unwrap_or_else(|_| self.requests.times(f64::NAN))
    }

    fn length(&self) -> i64 {
        i64::try_from(self.requests.values().len()).unwrap_or(i64::MAX)
    }
}
