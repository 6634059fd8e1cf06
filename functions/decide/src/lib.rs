//! The Lambda function `decide`: the task of that name, wired to the stores and to people.

use guard_lambda::{InitError, Outside, Settings};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::decide::Decide;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<Decide, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(Decide { notifier: outside.notifier(Slack::new, PagerDuty::new), ledger: outside.ledger() })
}
