//! The Lambda function `plan-rollout`: the task of that name, wired to the stores.

use guard_lambda::{Outside, Settings};
use guard_tasks::plan_rollout::PlanRollout;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> PlanRollout {
    let outside = Outside::new(settings);
    PlanRollout { starts: outside.stores(), ledger: outside.ledger() }
}
