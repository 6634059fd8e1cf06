//! The Lambda function `plan-batch`: the task of that name, wired to the stores and Step Functions.

use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::plan_batch::PlanBatch;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<PlanBatch, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(PlanBatch { locks: outside.stores(), executions: outside.step_functions(), ledger: outside.ledger() })
}
