//! The Lambda function `sweep`: the task of that name, wired to GitLab, Step Functions and people.

use guard_gitlab::GitLab;
use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::settle::Settle;
use guard_tasks::sweep::Sweep;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> Sweep {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    Sweep {
        leases: outside.stores(),
        executions: outside.step_functions(),
        tokens: outside.stores(),
        settle: Settle {
            merge_requests: gitlab.clone(),
            looks: gitlab.clone(),
            commits: gitlab.clone(),
            files: gitlab,
            locks: outside.stores(),
            notifier: outside.notifier(Slack::new, PagerDuty::new),
            ledger: outside.ledger(),
        },
    }
}
