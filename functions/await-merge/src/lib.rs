//! The Lambda function `await-merge`: the task of that name, wired to GitLab, Step Functions and people.

use guard_gitlab::GitLab;
use guard_lambda::{InitError, Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::await_merge::AwaitMerge;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<AwaitMerge, InitError> {
    let outside = Outside::open(settings).await?;
    let gitlab = outside.with_gitlab_token(GitLab::new)?;
    Ok(AwaitMerge {
        merge_requests: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab,
        tokens: outside.stores(),
        answers: outside.step_functions(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    })
}
