//! The Lambda function `restart-proxies`: the task of that name, wired to the fleet's API servers.

use std::sync::Arc;

use guard_kubernetes::Clusters;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::restart_proxies::RestartProxies;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<RestartProxies, InitError> {
    let outside = Outside::open(settings).await?;
    let clusters = Arc::new(Clusters::new(outside.transport(), outside.cluster_access()));
    Ok(RestartProxies {
        workloads: clusters.clone(),
        restarts: clusters,
        locks: outside.stores(),
        ledger: outside.ledger(),
    })
}
