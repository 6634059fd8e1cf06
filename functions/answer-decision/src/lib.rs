//! The Lambda function `answer-decision`: the task of that name, wired to the stores and Step Functions.

use guard_lambda::{InitError, Outside, Settings};
use guard_tasks::answer_decision::AnswerDecision;

/// Wires the task. Nobody is called yet.
pub async fn compose(settings: Settings) -> Result<AnswerDecision, InitError> {
    let outside = Outside::open(settings).await?;
    Ok(AnswerDecision { tokens: outside.stores(), answers: outside.step_functions() })
}
