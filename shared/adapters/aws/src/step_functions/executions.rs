//! Executions as a person drives them: find the machine, start, look, list, stop.

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::operation::stop_execution::StopExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use guard_tasks::{Context as _, TaskError};
use jiff::Timestamp;
use serde_json::Value;

use super::StepFunctions;
use crate::error;

/// Machines and executions in one page. Source: the API reference of ListStateMachines and ListExecutions.
const PAGE: i32 = 1000;

/// Where an execution stands, in the words of Step Functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionState {
    /// Under way.
    Running,
    /// Ended in a Succeed state, or with the last state.
    Succeeded,
    /// Ended in a Fail state, or by an error that nothing caught.
    Failed,
    /// Its own time-out passed.
    TimedOut,
    /// Stopped from outside.
    Aborted,
    /// Ended, and waits to be driven again.
    PendingRedrive,
    /// A word that this version does not know.
    Unknown,
}

impl ExecutionState {
    fn of(status: &ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Running => Self::Running,
            ExecutionStatus::Succeeded => Self::Succeeded,
            ExecutionStatus::Failed => Self::Failed,
            ExecutionStatus::TimedOut => Self::TimedOut,
            ExecutionStatus::Aborted => Self::Aborted,
            ExecutionStatus::PendingRedrive => Self::PendingRedrive,
            _ => Self::Unknown,
        }
    }

    /// The spelling of Step Functions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
            Self::PendingRedrive => "PENDING_REDRIVE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// One execution, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name; of a machine that people start, the run's id.
    pub name: String,
    /// The machine's ARN.
    pub machine_arn: String,
    /// Where it stands.
    pub state: ExecutionState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// What it was started with; null when that is no JSON or was left out.
    pub input: Value,
    /// What it answered; null unless it succeeded.
    pub output: Value,
    /// The error's name, of one that did not succeed.
    pub error: Option<String>,
    /// Why, for people.
    pub cause: Option<String>,
}

/// One line of a list of executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionLine {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: ExecutionState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
}

/// What came of asking for a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It runs; the same name with the same input that still runs counts as this one.
    Began {
        /// Its ARN.
        execution_arn: String,
    },
    /// The name was used in the last 90 days, by another input or by an execution that has ended.
    NameTaken,
}

impl StepFunctions {
    /// The ARN of the machine with this name; `None` when there is none. Every page is read.
    pub async fn machine(&self, name: &str) -> Result<Option<String>, TaskError> {
        let found = self.machines().await?;
        Ok(found.into_iter().find(|(known, _)| known == name).map(|(_, arn)| arn))
    }

    /// Every machine of the account and region: name and ARN.
    pub async fn machines(&self) -> Result<Vec<(String, String)>, TaskError> {
        let items = self.client.list_state_machines().max_results(PAGE).into_paginator().items().send();
        let found: Vec<_> = items
            .collect::<Result<_, _>>()
            .await
            .map_err(|refused| error::classify("Step Functions ListStateMachines", &refused))?;
        Ok(found.into_iter().map(|machine| (machine.name, machine.state_machine_arn)).collect())
    }

    /// Starts an execution. Repeating the call with the same name and input is safe.
    pub async fn start(&self, machine_arn: &str, name: &str, input: &Value) -> Result<Start, TaskError> {
        let answer = self
            .client
            .start_execution()
            .state_machine_arn(machine_arn)
            .name(name)
            .input(input.to_string())
            .send()
            .await;
        match answer {
            Ok(began) => Ok(Start::Began { execution_arn: began.execution_arn }),
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(StartExecutionError::is_execution_already_exists) =>
            {
                Ok(Start::NameTaken)
            }
            Err(refused) => Err(error::classify("Step Functions StartExecution", &refused))
                .context(format!("start {name} of {machine_arn}")),
        }
    }

    /// One execution; `None` when there is none with this ARN.
    pub async fn execution(&self, arn: &str) -> Result<Option<Execution>, TaskError> {
        let label = "Step Functions DescribeExecution";
        let answer = match self.client.describe_execution().execution_arn(arn).send().await {
            Ok(answer) => answer,
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(DescribeExecutionError::is_execution_does_not_exist) =>
            {
                return Ok(None);
            }
            Err(refused) => {
                return Err(error::classify(label, &refused)).context(format!("look at execution {arn}"));
            }
        };
        Ok(Some(Execution {
            name: answer.name.unwrap_or_else(|| arn.rsplit(':').next().unwrap_or_default().to_owned()),
            arn: answer.execution_arn,
            machine_arn: answer.state_machine_arn,
            state: ExecutionState::of(&answer.status),
            started_at: time(&answer.start_date)?,
            stopped_at: answer.stop_date.as_ref().map(time).transpose()?,
            input: json(answer.input.as_deref()),
            output: json(answer.output.as_deref()),
            error: answer.error,
            cause: answer.cause,
        }))
    }

    /// Executions of a machine, newest first: those that run, or the newest `most` of all.
    pub async fn executions(
        &self,
        machine_arn: &str,
        only_running: bool,
        most: usize,
    ) -> Result<Vec<ExecutionLine>, TaskError> {
        let page = i32::try_from(most).unwrap_or(PAGE).clamp(1, PAGE);
        let mut pages = self
            .client
            .list_executions()
            .state_machine_arn(machine_arn)
            .set_status_filter(only_running.then_some(ExecutionStatus::Running))
            .max_results(page)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|refused| error::classify("Step Functions ListExecutions", &refused))
                .context(format!("list executions of {machine_arn}"))?;
            for line in page.executions {
                found.push(ExecutionLine {
                    arn: line.execution_arn,
                    name: line.name,
                    state: ExecutionState::of(&line.status),
                    started_at: time(&line.start_date)?,
                    stopped_at: line.stop_date.as_ref().map(time).transpose()?,
                });
            }
            if found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }

    /// Stops an execution. One that has ended, or never was, is left as it is.
    pub async fn stop(&self, arn: &str, error_name: &str, cause: &str) -> Result<(), TaskError> {
        let answer =
            self.client.stop_execution().execution_arn(arn).error(error_name).cause(cause).send().await;
        match answer {
            Ok(_) => Ok(()),
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(StopExecutionError::is_execution_does_not_exist) =>
            {
                Ok(())
            }
            Err(refused) => Err(error::classify("Step Functions StopExecution", &refused))
                .context(format!("stop execution {arn}")),
        }
    }
}

pub(super) fn time(at: &aws_smithy_types::DateTime) -> Result<Timestamp, TaskError> {
    let nanos = i32::try_from(at.subsec_nanos()).unwrap_or_default();
    Timestamp::new(at.secs(), nanos)
        .map_err(|wrong| TaskError::internal(format!("Step Functions gave a time that is none: {wrong}")))
}

pub(super) fn json(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
