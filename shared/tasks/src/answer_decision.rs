//! `answer-decision`: hand a person's answer to the run that waits for it.
//!
//! No state calls it: a person does, through the command line or the console. Of two people who answer at once the first
//! one counts and the second is told. Safe to run twice for the same reason.

use std::sync::Arc;

use guard_domain::RunId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{DecisionAnswer, DecisionEnd};
use crate::task::Task;
use crate::{Answered, Context, TaskError, TokenAnswerer, TokenStore, WaitsFor};

/// Longest name or reason, in characters: they travel through the state machine's data and into the audit log.
const LONGEST_TEXT: usize = 1_000;

/// The task.
pub struct AnswerDecision {
    /// Tokens that wait.
    pub tokens: Arc<dyn TokenStore>,
    /// Step Functions.
    pub answers: Arc<dyn TokenAnswerer>,
}

/// What a person may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The clusters are well enough: go on.
    Approve,
    /// They are not: take them back.
    Reject,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run that asks.
    pub run_id: RunId,
    /// The answer.
    pub answer: Answer,
    /// Who answers.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// What happened, for people.
    pub summary: String,
}

impl Task for AnswerDecision {
    const NAME: &'static str = "answer-decision";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run_id, answer, who, reason } = input;
        let (who, reason) = (said("who", &who)?, said("reason", &reason)?);
        let open = self.tokens.open_tokens().await.context("list open task tokens")?;
        let waiting = open
            .into_iter()
            .find(|token| token.lease.run_id == run_id && token.waits_for == WaitsFor::Decision)
            .ok_or_else(|| TaskError::rejected(format!("payload.run_id: run {run_id} asks nothing now")))?;
        let answer = match answer {
            Answer::Approve => DecisionEnd::Approve,
            Answer::Reject => DecisionEnd::Reject,
        };
        let output = serde_json::to_value(DecisionAnswer { answer, who, reason })
            .map_err(|error| TaskError::internal(format!("encode answer: {error}")))?;
        let answered = self.answers.answer(&waiting.token, &output).await.context("answer the task token")?;
        self.tokens.drop_token(&waiting).await.context("drop the task token")?;
        match answered {
            Answered::InTime => Ok(Output { summary: format!("run {run_id} goes on with this answer") }),
            Answered::TooLate => Err(TaskError::rejected(format!(
                "payload.run_id: run {run_id} waits no more: somebody answered before, or its execution has ended; \
                 its audit log says which"
            ))),
        }
    }
}

/// A text that says something.
fn said(field: &str, text: &str) -> Result<String, TaskError> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=LONGEST_TEXT).contains(&length) {
        return Ok(text.to_owned());
    }
    Err(TaskError::rejected(format!(
        "payload.{field}: {length} characters, 1 to {LONGEST_TEXT} are kept in the audit log"
    )))
}
