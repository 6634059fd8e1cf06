//! The Lambda function `pre-check`: the task of that name, wired to the fleet's API servers, Datadog and GitLab.

use std::sync::Arc;

use guard_datadog::Datadog;
use guard_gitlab::GitLab;
use guard_kubernetes::Clusters;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::pre_check::PreCheck;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<PreCheck, InitError> {
    let outside = Outside::open(settings).await?;
    let gitlab = outside.with_gitlab_token(GitLab::new)?;
    let datadog = outside.with_datadog_keys(Datadog::new);
    Ok(PreCheck {
        health: Arc::new(Clusters::new(outside.transport(), outside.cluster_access())),
        traffic: datadog.clone(),
        monitors: datadog,
        commits: gitlab.clone(),
        files: gitlab,
        ledger: outside.ledger(),
    })
}
