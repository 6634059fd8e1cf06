//! The Lambda function `plan-rollout`: the task of that name, wired to the stores.

use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::plan_rollout::PlanRollout;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<PlanRollout, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(PlanRollout { ledger: outside.ledger() })
}
