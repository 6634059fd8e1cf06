//! Ports that AWS serves in production and the interpreter serves here.

use async_trait::async_trait;
use guard_asl::{ApiError, Status, StepFunctions, VirtualClock};
use guard_tasks::{Clock, ExecutionReader, TaskError, TokenAnswerer};
use jiff::Timestamp;
use serde_json::Value;

/// The interpreter's time.
pub(crate) struct VirtualTime(pub(crate) VirtualClock);

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// The interpreter as Step Functions' API.
pub(crate) struct LocalStepFunctions(pub(crate) StepFunctions);

#[async_trait]
impl ExecutionReader for LocalStepFunctions {
    async fn is_running(&self, execution_arn: &str) -> Result<bool, TaskError> {
        Ok(self
            .0
            .describe_execution(execution_arn)
            .is_some_and(|execution| execution.status == Status::Running))
    }
}

#[async_trait]
impl TokenAnswerer for LocalStepFunctions {
    async fn answer(&self, token: &str, output: &Value) -> Result<(), TaskError> {
        match self.0.send_task_success(token, output.clone()) {
            // Answered before, timed out or stopped: nobody waits any more.
            Ok(()) | Err(ApiError::TaskDoesNotExist(_) | ApiError::TaskTimedOut(_)) => Ok(()),
            Err(error) => Err(TaskError::internal(format!("SendTaskSuccess: {error}"))),
        }
    }
}
