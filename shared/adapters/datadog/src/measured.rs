//! What is measured of one cluster beside its traffic: a point or two each.

use guard_domain::{IntegrationMode, MemoryFacts};
use guard_tasks::{MemoryAsked, TaskError};
use jiff::Timestamp;

use crate::client::Client;
use crate::{query, series};

/// Seconds a point: few points, and little of the window's first one is lost, which begins before it.
const ROLLUP_SECONDS: i64 = 300;

/// The container that is the control plane.
const ISTIOD: &str = "kube_container_name:discovery";

/// The count of the integration's older mode; the newer one has no metric of this name.
pub(crate) const LEGACY_COUNT: &str = "istio.mesh.request.count.total";

pub(crate) async fn memory(
    client: &Client,
    cluster: &str,
    from: Timestamp,
    to: Timestamp,
    asked: MemoryAsked,
) -> Result<MemoryFacts, TaskError> {
    let cluster = format!("kube_cluster_name:{}", query::tag(cluster)?);
    let mut facts = MemoryFacts::default();
    if asked.istiod {
        let istiod = format!("{cluster},{ISTIOD}");
        let used = text("max", "kubernetes.memory.usage", &istiod);
        facts.istiod_used = values(client, &used, from, to).await?.reduce(f64::max);
        let limit = text("min", "kubernetes.memory.limits", &istiod);
        facts.istiod_limit = values(client, &limit, from, to).await?.reduce(f64::min);
    }
    if asked.nodes {
        let left = text("min", "system.mem.pct_usable", &cluster);
        let left = values(client, &left, from, to).await?.reduce(f64::min);
        facts.node_left_percent = left.map(|share| share * 100.0);
    }
    Ok(facts)
}

pub(crate) async fn integration(
    client: &Client,
    cluster: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<IntegrationMode, TaskError> {
    let filter = format!("kube_cluster_name:{}", query::tag(cluster)?);
    let is_there = values(client, &text("sum", LEGACY_COUNT, &filter), from, to).await?.next().is_some();
    Ok(if is_there { IntegrationMode::Legacy } else { IntegrationMode::OpenMetrics })
}

fn text(way: &str, metric: &str, filter: &str) -> String {
    format!("{way}:{metric}{{{filter}}} by {{kube_cluster_name}}.rollup({way}, {ROLLUP_SECONDS})")
}

async fn values(
    client: &Client,
    query: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<impl Iterator<Item = f64> + use<>, TaskError> {
    Ok(series::read(client, query, from, to).await?.into_values().flatten())
}
