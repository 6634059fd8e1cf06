//! The Lambda function `watch-rollout`: the task of that name, wired to the fleet's API servers and GitLab.

use std::sync::Arc;

use guard_gitlab::GitLab;
use guard_kubernetes::Clusters;
use guard_lambda::{Outside, Settings};
use guard_tasks::watch_rollout::WatchRollout;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> WatchRollout {
    let outside = Outside::new(settings);
    let clusters = Arc::new(Clusters::new(outside.transport(), outside.cluster_access()));
    WatchRollout {
        rollouts: clusters.clone(),
        commits: outside.with_gitlab_token(GitLab::new),
        nudger: clusters,
        locks: outside.stores(),
        ledger: outside.ledger(),
    }
}
