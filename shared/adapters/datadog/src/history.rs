//! Metrics of many clusters over days, in points of five minutes: what a soak is judged by.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use guard_domain::judge::Series;
use guard_domain::soak::{MetricHistory, STEP};
use guard_domain::{ClusterId, ClusterRecord};
use guard_tasks::{HistoryAsked, TaskError};
use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::measured::LEGACY_COUNT;
use crate::query;
use crate::series::{self, PointsByCluster};

/// Clusters a query: see [`crate::traffic`].
const CLUSTERS_A_QUERY: usize = 50;

/// Points of one series in one answer. From 1,500 on Datadog makes them coarser by itself.
const POINTS_A_QUERY: i64 = 1_440;

/// The count of the integration's newer mode. In the older one it has the same name and is no count.
const COUNT: &str = "istio.mesh.request.count";

/// A distribution, where the agent makes one of the histogram.
const DURATION: &str = "istio.mesh.request.duration.milliseconds";

/// The sidecars.
const PROXY: &str = "kube_container_name:istio-proxy";

/// Seven calls for every fifty clusters and five days, five of critical metrics alone; one more with clusters of both modes.
pub(crate) async fn read(
    client: &Client,
    clusters: &[ClusterRecord],
    asked: HistoryAsked,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<ClusterId, MetricHistory>, TaskError> {
    let mut tags = BTreeMap::new();
    for row in clusters {
        tags.insert(row.cluster_id.clone(), query::tag(&row.datadog_tags.cluster)?);
    }
    let distinct: Vec<String> = tags.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = BTreeMap::new();
    for chunk in distinct.chunks(CLUSTERS_A_QUERY) {
        found.extend(of_chunk(client, chunk, asked, from, to).await?);
    }
    // Two rows may carry the same tag; both get its history.
    Ok(tags.into_iter().filter_map(|(id, tag)| Some((id, found.get(&tag)?.clone()))).collect())
}

async fn of_chunk(
    client: &Client,
    clusters: &[String],
    asked: HistoryAsked,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, MetricHistory>, TaskError> {
    let ask = |text: String| async move { over_days(client, &text, from, to).await };
    let count = |metric: &str, errors: bool, of: &[String]| {
        let code = if errors { &["response_code:5*"][..] } else { &[] };
        let filter = query::filter(&[&["reporter:destination"], code].concat(), of);
        format!("sum:{metric}{{{filter}}} by {{kube_cluster_name}}.as_count().rollup(sum, {STEP})")
    };
    let percentile = |p: u8| {
        let filter = query::filter(&["reporter:destination"], clusters);
        format!("p{p}:{DURATION}{{{filter}}} by {{kube_cluster_name}}.rollup({STEP})")
    };
    let used = |metric: &str| {
        let filter = query::filter(&[PROXY], clusters);
        format!("sum:{metric}{{{filter}}} by {{kube_cluster_name}}.rollup(avg, {STEP})")
    };

    // What is a count in one mode is none in the other: a cluster that has the older one's is never read by the newer.
    let legacy = ask(count(LEGACY_COUNT, false, clusters)).await?;
    let (older, newer): (Vec<String>, Vec<String>) =
        clusters.iter().cloned().partition(|cluster| legacy.contains_key(cluster));
    let mut queries = vec![percentile(95), percentile(99)];
    let is_all = asked == HistoryAsked::All;
    if is_all {
        queries.extend([used("kubernetes.cpu.usage.total"), used("kubernetes.memory.usage")]);
    }
    if !newer.is_empty() {
        queries.extend([count(COUNT, false, &newer), count(COUNT, true, &newer)]);
    }
    if !older.is_empty() {
        queries.push(count(LEGACY_COUNT, true, &older));
    }
    let mut answers = try_join_all(queries.into_iter().map(ask)).await?.into_iter();
    let mut next = |was_asked: bool| {
        let answer = if was_asked { answers.next() } else { None };
        answer.unwrap_or_default()
    };
    let (p95, p99) = (next(true), next(true));
    let (cpu, memory) = (next(is_all), next(is_all));
    let (mut requests, mut errors) = (next(!newer.is_empty()), next(!newer.is_empty()));
    requests.extend(legacy);
    errors.extend(next(!older.is_empty()));

    let start = from.as_second().div_euclid(STEP).saturating_mul(STEP);
    let length = usize::try_from((to.as_second() - start + STEP - 1) / STEP).unwrap_or(0);
    let grid = |points: &PointsByCluster, cluster: &str| -> Result<Series, TaskError> {
        let mut slots = vec![None; length];
        for (second, value) in points.get(cluster).into_iter().flatten() {
            let slot = usize::try_from((second - start).div_euclid(STEP)).ok();
            if let Some(slot) = slot.and_then(|slot| slots.get_mut(slot)) {
                *slot = Some(*value);
            }
        }
        Series::new(start, STEP, &slots).map_err(|error| TaskError::internal(error.to_string()))
    };
    let mut all = BTreeMap::new();
    for cluster in requests.keys() {
        let history = MetricHistory {
            requests: grid(&requests, cluster)?,
            errors: grid(&errors, cluster)?,
            latency_p95: grid(&p95, cluster)?,
            latency_p99: grid(&p99, cluster)?,
            proxy_cpu: grid(&cpu, cluster)?,
            proxy_memory: grid(&memory, cluster)?,
        };
        all.insert(cluster.clone(), history);
    }
    Ok(all)
}

/// One query, in as many calls as its length needs.
async fn over_days(
    client: &Client,
    text: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<PointsByCluster, TaskError> {
    let longest = SignedDuration::from_secs(POINTS_A_QUERY * STEP);
    let mut found = PointsByCluster::new();
    let mut at = from;
    while at < to {
        let end = at.checked_add(longest).map_or(to, |end| end.min(to));
        for (cluster, points) in series::points(client, text, at, end, Some(STEP)).await? {
            found.entry(cluster).or_default().extend(points);
        }
        at = end;
    }
    Ok(found)
}
