//! The Lambda function `watch-merges`: the task of that name, wired to GitLab, Step Functions and people.

use guard_gitlab::GitLab;
use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::watch_merges::WatchMerges;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> WatchMerges {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    WatchMerges {
        merge_requests: gitlab.clone(),
        conversation: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab,
        tokens: outside.stores(),
        answers: outside.step_functions(),
        records: outside.stores(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        clock: outside.clock(),
    }
}
