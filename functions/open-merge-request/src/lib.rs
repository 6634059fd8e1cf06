//! The Lambda function `open-merge-request`: the task of that name, wired to GitLab and Datadog.

use guard_datadog::Datadog;
use guard_gitlab::GitLab;
use guard_lambda::{Outside, Settings};
use guard_tasks::open_merge_request::OpenMergeRequest;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> OpenMergeRequest {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    OpenMergeRequest {
        commits: gitlab.clone(),
        files: gitlab.clone(),
        merge_requests: gitlab.clone(),
        looks: gitlab,
        metrics: outside.with_datadog_keys(Datadog::new),
        batches: outside.stores(),
        locks: outside.stores(),
        ledger: outside.ledger(),
    }
}
