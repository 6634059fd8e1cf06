//! The Lambda function `watch-rollout`: the task of that name, wired to the fleet's API servers and GitLab.

use std::sync::Arc;

use guard_gitlab::GitLab;
use guard_kubernetes::Clusters;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::watch_rollout::WatchRollout;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<WatchRollout, InitError> {
    let outside = Outside::open(settings).await?;
    let gitlab = outside.with_gitlab_token(GitLab::new)?;
    Ok(WatchRollout {
        rollouts: Arc::new(Clusters::new(outside.transport(), outside.cluster_access())),
        commits: gitlab,
        ledger: outside.ledger(),
    })
}
