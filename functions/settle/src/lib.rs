//! The Lambda function `settle`: the task of that name, wired to GitLab.

use guard_gitlab::GitLab;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::settle::Settle;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<Settle, InitError> {
    let outside = Outside::open(settings).await?;
    let gitlab = outside.with_gitlab_token(GitLab::new)?;
    Ok(Settle {
        merge_requests: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab,
        locks: outside.stores(),
        ledger: outside.ledger(),
    })
}
