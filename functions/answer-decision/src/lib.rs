//! The Lambda function `answer-decision`: the task of that name, wired to the stores and Step Functions.

use guard_lambda::{Outside, Settings};
use guard_tasks::answer_decision::AnswerDecision;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> AnswerDecision {
    let outside = Outside::new(settings);
    AnswerDecision { tokens: outside.stores(), answers: outside.step_functions() }
}
