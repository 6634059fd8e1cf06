//! The Lambda function `plan-batch`: the task of that name, wired to the stores and Step Functions.

use guard_lambda::{Outside, Settings};
use guard_tasks::plan_batch::PlanBatch;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> PlanBatch {
    let outside = Outside::new(settings);
    PlanBatch {
        starts: outside.stores(),
        locks: outside.stores(),
        executions: outside.step_functions(),
        ledger: outside.ledger(),
    }
}
