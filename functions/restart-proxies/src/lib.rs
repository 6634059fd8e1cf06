//! The Lambda function `restart-proxies`: the task of that name, wired to the fleet's API servers.

use std::sync::Arc;

use guard_kubernetes::Clusters;
use guard_lambda::{Outside, Settings};
use guard_tasks::restart_proxies::RestartProxies;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> RestartProxies {
    let outside = Outside::new(settings);
    let clusters = Arc::new(Clusters::new(outside.transport(), outside.cluster_access()));
    RestartProxies {
        data_plane: clusters.clone(),
        restarts: clusters,
        locks: outside.stores(),
        ledger: outside.ledger(),
    }
}
