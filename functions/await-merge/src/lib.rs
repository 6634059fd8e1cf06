//! The Lambda function `await-merge`: the task of that name, wired to GitLab, Step Functions and people.

use guard_gitlab::GitLab;
use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::await_merge::AwaitMerge;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> AwaitMerge {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    AwaitMerge {
        merge_requests: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab,
        tokens: outside.stores(),
        answers: outside.step_functions(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    }
}
