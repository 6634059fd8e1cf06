//! The Lambda function `judge-soak`: the task of that name, wired to Datadog.

use guard_datadog::Datadog;
use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::judge_soak::JudgeSoak;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<JudgeSoak, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(JudgeSoak { traffic: outside.with_datadog_keys(Datadog::new), ledger: outside.ledger() })
}
