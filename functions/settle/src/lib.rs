//! The Lambda function `settle`: the task of that name, wired to GitLab and to people.

use guard_gitlab::GitLab;
use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::settle::Settle;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> Settle {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    Settle {
        merge_requests: gitlab.clone(),
        looks: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab,
        locks: outside.stores(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    }
}
