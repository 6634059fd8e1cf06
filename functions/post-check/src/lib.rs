//! The Lambda function `post-check`: the task of that name, wired to the fleet's API servers.

use std::sync::Arc;

use guard_kubernetes::Clusters;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::post_check::PostCheck;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<PostCheck, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(PostCheck {
        health: Arc::new(Clusters::new(outside.transport(), outside.cluster_access())),
        ledger: outside.ledger(),
    })
}
