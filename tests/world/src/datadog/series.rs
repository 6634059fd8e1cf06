//! The metrics' values: a function of seed, cluster, metric and minute, bent by what the world did at that minute.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::query::{Aggregator, Query};
use crate::chance;
use crate::cluster::Cluster;
use crate::conditions::LEGACY_COUNT;
use crate::state::State;

/// The share of requests that fail on a healthy day.
const BASE_ERRORS: f64 = 0.000_2;
const MINUTE: i64 = 60;
/// Requests, in the integration's newer mode.
const COUNT: &str = "istio.mesh.request.count";
/// Steps of this length and more are remembered: over days of them the same minutes are added up again and again.
const REMEMBERED: i64 = 300;

/// What a query's metric and filters come down to.
#[derive(Debug)]
pub(crate) enum Metric {
    /// Requests: those that succeeded, those that failed, and how often each is counted.
    Requests {
        good: bool,
        bad: bool,
        times: f64,
    },
    /// What the integration's older mode reports by the name of the newer one's count: it only grows.
    Total,
    /// Processor time and memory of the sidecars.
    ProxyCpu,
    ProxyMemory,
    /// Latency as a multiple of the 95th percentile.
    Latency {
        factor: f64,
    },
    Rejects,
    Memory,
    MemoryLimit,
    MemoryLeft,
}

impl Metric {
    pub(crate) fn of(query: &Query) -> Option<Self> {
        Some(match query.metric.as_str() {
            "istio.mesh.request.count" | "istio.mesh.request.count.total" => {
                let sides =
                    ["source", "destination"].iter().filter(|side| query.allows("reporter", side)).count();
                Self::Requests {
                    good: !query.names("response_code") || query.allows("response_code", "200"),
                    bad: !query.names("response_code") || query.allows("response_code", "503"),
                    times: if sides == 2 {
                        2.0
                    } else if sides == 1 {
                        1.0
                    } else {
                        0.0
                    },
                }
            }
            "istio.mesh.request.duration.milliseconds" => Self::Latency {
                factor: match query.aggregator {
                    Aggregator::Percentile(50) => 0.25,
                    Aggregator::Percentile(75) => 0.5,
                    Aggregator::Percentile(90) => 0.8,
                    Aggregator::Percentile(95) => 1.0,
                    Aggregator::Percentile(_) => 2.1,
                    Aggregator::Max => 6.0,
                    Aggregator::Min => 0.02,
                    Aggregator::Sum | Aggregator::Average => 0.35,
                },
            },
            "istio.pilot.total_xds_rejects" | "istio.pilot.total_xds_rejects.count" => Self::Rejects,
            "kubernetes.cpu.usage.total" if query.names("kube_container_name") => Self::ProxyCpu,
            "kubernetes.memory.usage"
                if query.names("kube_container_name")
                    && query.allows("kube_container_name", "istio-proxy") =>
            {
                Self::ProxyMemory
            }
            "kubernetes.memory.usage" => Self::Memory,
            "kubernetes.memory.limits" => Self::MemoryLimit,
            "system.mem.pct_usable" => Self::MemoryLeft,
            _ => return None,
        })
    }

    /// Whether minutes and clusters add up rather than average.
    fn adds(&self) -> bool {
        matches!(self, Self::Requests { .. } | Self::Rejects)
    }
}

/// What bends one cluster's values at one minute: errors, latency.
fn bend(state: &State, cluster: &Cluster, at: Timestamp) -> (f64, f64) {
    let (mut errors, mut latency) = state.signals.shock_at(at);
    for one in &state.signals.regressions {
        if one.cluster == cluster.spec.cluster_id && one.since <= at {
            let share = cluster.share_at(at, &one.from_version);
            errors *= 1.0 + (one.error_factor - 1.0) * share;
            latency *= 1.0 + (one.latency_factor - 1.0) * share;
        }
    }
    (errors, latency)
}

/// The numbers behind one cluster's series, hashed once.
struct Source<'a> {
    cluster: &'a Cluster,
    /// The first moment of each regression and shock need not be looked for when there is none.
    bent: bool,
    base: u64,
}

impl<'a> Source<'a> {
    fn new(state: &State, cluster: &'a Cluster) -> Self {
        let id = &cluster.spec.cluster_id;
        let regressed = state.signals.regressions.iter().any(|one| one.cluster == *id);
        let bent = regressed || !state.signals.shocks.is_empty();
        Self { cluster, bent, base: chance::number(cluster.seed, &["metrics", id]) }
    }

    fn draw(&self, minute: i64, purpose: u64) -> f64 {
        chance::fraction(
            self.base ^ chance::mix(minute.cast_unsigned()).wrapping_add(purpose.wrapping_mul(0x9e37)),
        )
    }

    /// About a standard normal draw: the sum of three uniform ones has the right spread and light tails.
    fn normal(&self, minute: i64, purpose: u64) -> f64 {
        let sum: f64 = (0..3).map(|n| self.draw(minute, purpose * 8 + n)).sum();
        (sum - 1.5) * 2.0
    }

    /// One to three minutes missing in about one of ten four-hour blocks.
    fn gap(&self, minute: i64) -> bool {
        let (block, within) = (minute.div_euclid(240), minute.rem_euclid(240));
        if self.draw(block, 90) >= 0.1 {
            return false;
        }
        let scaled = |purpose: u64, most: f64| self.draw(block, purpose) * most;
        let start = scaled(91, 236.0);
        let length = 1.0 + scaled(92, 2.99).floor();
        let at = f64::from(i32::try_from(within).unwrap_or(0));
        at >= start.floor() && at < start.floor() + length
    }

    /// More by day than by night, a little less at the weekend.
    fn season(minute: i64) -> f64 {
        let of_day = f64::from(i32::try_from(minute.rem_euclid(1440)).unwrap_or(0)) / 1440.0;
        // 1970-01-01 was a Thursday.
        let weekend = matches!((minute.div_euclid(1440) + 3).rem_euclid(7), 5 | 6);
        let day = 1.0 + 0.4 * ((of_day - 0.375) * std::f64::consts::TAU).sin();
        if weekend { day * 0.8 } else { day }
    }

    /// A count with the given mean.
    fn count(&self, mean: f64, minute: i64, purpose: u64) -> f64 {
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal(minute, purpose)).max(0.0).round();
        }
        // Poisson by its inverse distribution function.
        let wanted = self.draw(minute, purpose);
        let (mut count, mut term) = (0.0_f64, (-mean).exp());
        let mut total = term;
        while total < wanted && count < 200.0 {
            count += 1.0;
            term *= mean / count;
            total += term;
        }
        count
    }

    fn value(&self, state: &State, metric: &Metric, minute: i64) -> Option<f64> {
        let at = Timestamp::from_second(minute * MINUTE).ok()?;
        if state.spec.metrics_since.is_some_and(|since| at < since)
            || self.gap(minute)
            || state.signals.silent(&self.cluster.spec.cluster_id, at)
        {
            return None;
        }
        let (errors, latency) = if self.bent { bend(state, self.cluster, at) } else { (1.0, 1.0) };
        let noise = self.normal(minute, 1);
        let requests =
            (self.cluster.spec.requests_per_minute * Self::season(minute) * (1.0 + 0.03 * noise)).round();
        Some(match metric {
            Metric::Requests { good, bad, times } => {
                let failed = self.count(requests * (BASE_ERRORS * errors).min(0.9), minute, 2).min(requests);
                let mut sum = if *good { requests - failed } else { 0.0 };
                if *bad {
                    sum += failed;
                }
                sum * times
            }
            Metric::Latency { factor } => {
                let load = 1.0 + 0.15 * (Self::season(minute) - 1.0);
                let noise = (0.04 * self.normal(minute, 3)).exp();
                let value = self.cluster.spec.latency_p95_ms * factor * load * latency * noise;
                (value * 1000.0).round() / 1000.0
            }
            Metric::Rejects => 0.0,
            Metric::Total => f64::from(i32::try_from(minute.rem_euclid(1_000_000)).unwrap_or(0)) * 600.0,
            Metric::ProxyCpu => (requests * 0.8e6 * (1.0 + 0.03 * self.normal(minute, 5))).round(),
            Metric::ProxyMemory => (9.0e8 * (1.0 + 0.01 * self.normal(minute, 6))).round(),
            Metric::MemoryLimit => self.cluster.gauge("kubernetes.memory.limits").unwrap_or(2_147_483_648.0),
            Metric::MemoryLeft => self.cluster.gauge("system.mem.pct_usable").unwrap_or(0.42),
            Metric::Memory if self.cluster.gauge("kubernetes.memory.usage").is_some() => {
                self.cluster.gauge("kubernetes.memory.usage").unwrap_or_default()
            }
            Metric::Memory => {
                (450.0e6 * (1.0 + 0.05 * Self::season(minute) + 0.01 * self.normal(minute, 4))).round()
            }
        })
    }
}

/// The points of one series; a step counts once it is over.
pub(super) fn points(
    state: &State,
    query: &Query,
    metric: &Metric,
    clusters: &[&Cluster],
    from: i64,
    to: i64,
) -> Vec<[Value; 2]> {
    let sources: Vec<Source<'_>> = clusters.iter().map(|cluster| Source::new(state, cluster)).collect();
    let step = query.interval;
    let end = to.min(state.now.as_second());
    let mut points = Vec::new();
    let mut at = from.div_euclid(step) * step;
    if at < from {
        at += step;
    }
    let mut known = match clusters {
        [only] if step >= REMEMBERED => {
            let key = format!(
                "{} {} {metric:?} {:?} {:?} {step}",
                only.spec.cluster_id, query.metric, query.aggregator, query.rollup
            );
            Some((state.signals.remembered(&key), key))
        }
        _ => None,
    };
    while at.saturating_add(step) <= end {
        let minutes = at.div_euclid(MINUTE)..(at + step).div_euclid(MINUTE);
        let computed = || {
            let over_time: Vec<f64> =
                minutes.filter_map(|minute| over_clusters(state, query, metric, &sources, minute)).collect();
            join(
                query.rollup.unwrap_or(if metric.adds() { Aggregator::Sum } else { Aggregator::Average }),
                &over_time,
            )
        };
        let joined = match &mut known {
            Some((known, _)) => *known.entry(at).or_insert_with(computed),
            None => computed(),
        };
        // Counts without `.as_count()` are shown as a rate.
        let seconds = f64::from(i32::try_from(step).unwrap_or(60));
        let rate = metric.adds() && !query.as_count && query.rollup.is_none();
        let value = joined.map(|value| if rate { value / seconds } else { value });
        points.push([json!(at.saturating_mul(1000)), json!(value)]);
        at += step;
    }
    if let Some((known, key)) = known {
        state.signals.remember(key, known);
    }
    points
}

fn over_clusters(
    state: &State,
    query: &Query,
    metric: &Metric,
    sources: &[Source<'_>],
    minute: i64,
) -> Option<f64> {
    let of = |source: &Source<'_>| {
        let is_total = query.metric == COUNT && source.cluster.gauge(LEGACY_COUNT).is_some();
        source.value(state, if is_total { &Metric::Total } else { metric }, minute)
    };
    let values: Vec<f64> = sources.iter().filter_map(of).collect();
    let how = match query.aggregator {
        Aggregator::Percentile(_) => Aggregator::Average,
        other => other,
    };
    join(how, &values)
}

fn join(how: Aggregator, values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let sum: f64 = values.iter().sum();
    Some(match how {
        Aggregator::Sum => sum,
        Aggregator::Max => values.iter().copied().fold(f64::MIN, f64::max),
        Aggregator::Min => values.iter().copied().fold(f64::MAX, f64::min),
        Aggregator::Average | Aggregator::Percentile(_) => {
            sum / f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX))
        }
    })
}
