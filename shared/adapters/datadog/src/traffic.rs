//! Traffic windows of many clusters.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{ClusterId, ClusterRecord, TrafficWindow};
use guard_tasks::TaskError;
use jiff::Timestamp;

use crate::client::Client;
use crate::query::{self, Metric};
use crate::series::{self, ByCluster};

/// Clusters a query: the query's text travels in the URL, and fifty names of a hundred letters still fit one.
const CLUSTERS_A_QUERY: usize = 50;

/// Three calls for every fifty clusters, however many there are.
pub(crate) async fn read(
    client: &Client,
    clusters: &[ClusterRecord],
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<ClusterId, TrafficWindow>, TaskError> {
    let mut tags = BTreeMap::new();
    for row in clusters {
        tags.insert(row.cluster_id.clone(), query::tag(&row.datadog_tags.cluster)?);
    }
    let distinct: Vec<String> = tags.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let mut windows = BTreeMap::new();
    for chunk in distinct.chunks(CLUSTERS_A_QUERY) {
        let requests = series::read(client, &query::text(Metric::Requests, chunk), from, to).await?;
        let errors = series::read(client, &query::text(Metric::Errors, chunk), from, to).await?;
        let latency = series::read(client, &query::text(Metric::LatencyP95, chunk), from, to).await?;
        windows.extend(join(requests, &errors, latency));
    }
    // Two rows may carry the same tag; both get the window.
    Ok(tags.into_iter().filter_map(|(id, tag)| Some((id, windows.get(&tag)?.clone()))).collect())
}

/// A cluster without requests has no window, whatever else it has: no data is not a zero. Requests without a 5xx series
/// are requests without errors: Datadog has no series for what never happened.
fn join(requests: ByCluster, errors: &ByCluster, mut latency: ByCluster) -> BTreeMap<String, TrafficWindow> {
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    requests
        .into_iter()
        .map(|(cluster, counts)| {
            let window = TrafficWindow {
                requests: sum(&counts),
                errors: errors.get(&cluster).map_or(0.0, |values| sum(values)),
                latency_p95_ms: latency.remove(&cluster).unwrap_or_default(),
                minutes_seen: u32::try_from(counts.len()).unwrap_or(u32::MAX),
            };
            (cluster, window)
        })
        .collect()
}
