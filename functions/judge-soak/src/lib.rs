//! The Lambda function `judge-soak`: the task of that name, wired to Datadog.

use guard_datadog::Datadog;
use guard_lambda::{Outside, Settings};
use guard_tasks::judge_soak::JudgeSoak;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> JudgeSoak {
    let outside = Outside::new(settings);
    JudgeSoak { metrics: outside.with_datadog_keys(Datadog::new), ledger: outside.ledger() }
}
