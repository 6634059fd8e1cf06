//! Time and the state machines themselves.

use async_trait::async_trait;
use guard_domain::Direction;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TaskError;

/// Time is an input.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// Step Functions, asked.
#[async_trait]
pub trait ExecutionReader: Send + Sync {
    /// True while the execution has status RUNNING. An unknown execution is not running.
    async fn is_running(&self, execution_arn: &str) -> Result<bool, TaskError>;
}

/// Step Functions, answered.
#[async_trait]
pub trait TokenAnswerer: Send + Sync {
    /// Sends the token's success. A token that is gone (answered before, timed out, its execution stopped) is fine:
    /// answering is safe to repeat.
    async fn answer(&self, token: &str, output: &Value) -> Result<(), TaskError>;
}

/// A task token that waits for a merge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenToken {
    /// The run that waits.
    pub run_id: String,
    /// Which of its merge requests.
    pub direction: Direction,
    /// GitLab project.
    pub project: String,
    /// Merge request number.
    pub iid: u64,
    /// When waiting ends.
    pub expires_at: Timestamp,
    /// The secret that answers the state. Never logged.
    pub token: String,
}

/// Tokens that wait, across all runs.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Keeps a token; the same run and direction again replaces it (a retried state has a new token).
    async fn keep(&self, token: &OpenToken) -> Result<(), TaskError>;

    /// Every token that was kept and not dropped.
    async fn open_tokens(&self) -> Result<Vec<OpenToken>, TaskError>;

    /// Forgets a token, if it is still this one.
    async fn drop_token(&self, token: &OpenToken) -> Result<(), TaskError>;
}
