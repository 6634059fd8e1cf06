//! Step Functions: whether an execution still runs, and the answer to a task token; for the command line, executions
//! as a person drives them and what happened in them.

mod executions;
mod history;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use guard_http::{System, Transport};
use guard_tasks::{Answered, Clock, Context as _, ExecutionReader, Liveness, TaskError, TokenAnswerer};
use serde_json::Value;

use crate::error;
use crate::sdk::Sdk;

pub use executions::{Execution, ExecutionLine, ExecutionState, Start};
pub use history::{Happened, History, HistoryEvent};

/// The state machines of GUARD's own account and region.
pub struct StepFunctions {
    client: aws_sdk_sfn::Client,
}

impl StepFunctions {
    /// `endpoint` is a base URL, when the service is not where AWS has it.
    pub fn new(
        transport: Arc<dyn Transport>,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        region: &str,
        endpoint: Option<&String>,
    ) -> Self {
        let config = Sdk::new(transport, clock).config(System::StepFunctions, region, endpoint, credentials);
        Self { client: aws_sdk_sfn::Client::new(&config) }
    }

    async fn look(&self, execution_arn: &str) -> Result<Liveness, TaskError> {
        let answer = self.client.describe_execution().execution_arn(execution_arn).send().await;
        let execution = match answer {
            Ok(execution) => execution,
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(DescribeExecutionError::is_execution_does_not_exist) =>
            {
                return Ok(Liveness::Unknown);
            }
            Err(refused) => return Err(error::classify("Step Functions DescribeExecution", &refused)),
        };
        match execution.status {
            ExecutionStatus::Succeeded
            | ExecutionStatus::Failed
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Aborted => {
                let stopped = execution.stop_date.ok_or_else(|| {
                    TaskError::internal(format!("it is {} without a stopDate", execution.status.as_str()))
                })?;
                Ok(Liveness::Ended(executions::time(&stopped)?))
            }
            // Running, waiting for a redrive, or something that is new to us: it may go on.
            _ => Ok(Liveness::Running),
        }
    }
}

#[async_trait]
impl ExecutionReader for StepFunctions {
    async fn liveness(&self, execution_arn: &str) -> Result<Liveness, TaskError> {
        self.look(execution_arn).await.context(format!("look at execution {execution_arn}"))
    }
}

#[async_trait]
impl TokenAnswerer for StepFunctions {
    async fn answer(&self, token: &str, output: &Value) -> Result<Answered, TaskError> {
        let answer =
            self.client.send_task_success().task_token(token).output(output.to_string()).send().await;
        match answer {
            Ok(_) => Ok(Answered::InTime),
            // Answered before, timed out, or its execution was stopped: nobody waits for it any more.
            Err(refused)
                if refused.as_service_error().is_some_and(|why| {
                    why.is_task_does_not_exist() || why.is_task_timed_out() || why.is_invalid_token()
                }) =>
            {
                Ok(Answered::TooLate)
            }
            Err(refused) => Err(error::classify("Step Functions SendTaskSuccess", &refused)),
        }
    }
}

impl fmt::Debug for StepFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepFunctions").finish_non_exhaustive()
    }
}
