//! The Lambda function `open-merge-request`: the task of that name, wired to GitLab.

use guard_gitlab::GitLab;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::open_merge_request::OpenMergeRequest;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<OpenMergeRequest, InitError> {
    let outside = Outside::open(settings).await?;
    let gitlab = outside.with_gitlab_token(GitLab::new)?;
    Ok(OpenMergeRequest {
        commits: gitlab.clone(),
        files: gitlab.clone(),
        merge_requests: gitlab,
        batches: outside.stores(),
        locks: outside.stores(),
        ledger: outside.ledger(),
    })
}
