//! The Lambda function `decide`: the task of that name, wired to the stores and to people.

use guard_lambda::{Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::decide::Decide;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> Decide {
    let outside = Outside::new(settings);
    Decide { notifier: outside.notifier(Slack::new, PagerDuty::new), ledger: outside.ledger() }
}
