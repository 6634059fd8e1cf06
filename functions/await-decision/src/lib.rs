//! The Lambda function `await-decision`: the task of that name, wired to the stores and to people.

use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::await_decision::AwaitDecision;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> AwaitDecision {
    let outside = Outside::new(settings);
    AwaitDecision {
        tokens: outside.stores(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    }
}
