//! The Lambda function `await-decision`: the task of that name, wired to the stores and to people.

use guard_lambda::{InitError, Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::await_decision::AwaitDecision;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<AwaitDecision, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(AwaitDecision {
        tokens: outside.stores(),
        notifier: outside.notifier(Slack::new, PagerDuty::new),
        ledger: outside.ledger(),
    })
}
