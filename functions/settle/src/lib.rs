//! The Lambda function `settle`: the task of that name, wired to GitLab and to people.

use guard_gitlab::GitLab;
use guard_lambda::{InitError, Outside, Settings};
use guard_notify::{PagerDuty, Slack};
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
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    })
}
