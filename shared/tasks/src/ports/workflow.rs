//! Time and the state machines themselves.

use async_trait::async_trait;
use guard_domain::Direction;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Lease, TaskError};

/// Time is an input.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// Step Functions, asked.
#[async_trait]
pub trait ExecutionReader: Send + Sync {
    /// Whether the execution lives. A status that nobody knows is not taken for an end.
    async fn liveness(&self, execution_arn: &str) -> Result<Liveness, TaskError>;
}

/// Whether an execution lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs, or may run on.
    Running,
    /// It is over.
    Ended(Timestamp),
    /// Step Functions knows no such execution: it was never started, or ended so long ago that it was forgotten.
    Unknown,
}

/// Step Functions, answered.
#[async_trait]
pub trait TokenAnswerer: Send + Sync {
    /// Sends the token's success. A token that is gone (answered before, timed out, its execution stopped) is no error:
    /// answering is safe to repeat.
    async fn answer(&self, token: &str, output: &Value) -> Result<Answered, TaskError>;
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The state that waited goes on with it.
    InTime,
    /// Nobody waited any more.
    TooLate,
}

/// A task token that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenToken {
    /// The run that waits, its batch and its fence: whoever answers writes down what it saw.
    pub lease: Lease,
    /// For what.
    pub waits_for: WaitsFor,
    /// When waiting ends.
    pub expires_at: Timestamp,
    /// The secret that answers the state. Never logged.
    pub token: String,
}

/// What ends the waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// The merge requests of a change are merged, or one is closed.
    Merge {
        /// Which of the run's changes.
        direction: Direction,
    },
    /// A person answers the judge's question.
    Decision,
}

impl WaitsFor {
    /// Its name inside of a run: no run waits twice for the same at once.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Merge { direction } => direction.as_str(),
            Self::Decision => "decision",
        }
    }
}

/// Tokens that wait, across all runs.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Keeps a token; the same run waiting for the same again replaces it (a retried state has a new token).
    async fn keep(&self, token: &OpenToken) -> Result<(), TaskError>;

    /// Every token that was kept and not dropped.
    async fn open_tokens(&self) -> Result<Vec<OpenToken>, TaskError>;

    /// Forgets a token, if it is still this one.
    async fn drop_token(&self, token: &OpenToken) -> Result<(), TaskError>;
}
