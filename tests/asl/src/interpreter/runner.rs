//! The one thing the interpreter asks from outside: run a Lambda function.

use crate::error::FunctionError;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// One call of a Lambda function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// `FunctionName` as it stands in `Parameters`.
    pub function: String,
    /// `Payload`, `{}` when the state gives none.
    pub payload: Value,
    /// Execution that calls; `None` for [`crate::StepFunctions::schedule_invocation`].
    pub execution_arn: Option<String>,
    /// State that calls.
    pub state: Option<String>,
    /// `$$.State.RetryCount`: 0 for the first attempt.
    pub attempt: u32,
    /// Virtual time of the call.
    pub at: Timestamp,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The function's answer.
    pub outcome: Result<Value, FunctionError>,
    /// Virtual time it took. A reply that lands at or after the state's time-out is dropped, as the service
    /// does; what the function changed stays changed.
    pub took: Duration,
}

/// Runs functions. It may call any method of [`crate::StepFunctions`] meanwhile: no lock is held.
#[async_trait]
pub trait TaskRunner: Send + Sync {
    /// Runs the function to its end.
    async fn invoke(&self, invocation: Invocation) -> Reply;
}
