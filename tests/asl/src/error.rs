//! The errors this crate answers with.

use thiserror::Error;

/// A definition that the interpreter does not run, told by machine, state and field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{machine}{}: {field}: {reason}", .state.as_ref().map(|name| format!(", state {name}")).unwrap_or_default())]
pub struct ParseError {
    /// Name the machine was given to [`crate::Machine::parse`].
    pub machine: String,
    /// State the field belongs to; `None` for fields of the machine itself.
    pub state: Option<String>,
    /// Field, with its way down inside the state: `Choices[0].And[1].Variable`.
    pub field: String,
    /// What is wrong, in words.
    pub reason: String,
}

/// What the Step Functions API answers instead of a result; the variants carry the service's names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiError {
    /// No machine of this name or ARN was created.
    #[error("StateMachineDoesNotExist: {0}")]
    StateMachineDoesNotExist(String),
    /// A machine of this name was created before.
    #[error("StateMachineAlreadyExists: {0}")]
    StateMachineAlreadyExists(String),
    /// A transition leads to a state that is not there (the service refuses such a definition too).
    #[error("InvalidDefinition: {0}")]
    InvalidDefinition(String),
    /// No execution of this ARN was started.
    #[error("ExecutionDoesNotExist: {0}")]
    ExecutionDoesNotExist(String),
    /// The execution runs, has succeeded, or its history is full.
    #[error("ExecutionNotRedrivable: {0}")]
    ExecutionNotRedrivable(String),
    /// The name was used before with another input, or by an execution that has ended.
    #[error("ExecutionAlreadyExists: {0}")]
    ExecutionAlreadyExists(String),
    /// An execution name is 1 to 80 characters without white space, brackets, wildcards or `"#%\^|~$&,;:/`.
    #[error("InvalidName: {0}")]
    InvalidName(String),
    /// The input is larger than [`crate::MAX_STATE_BYTES`].
    #[error("InvalidExecutionInput: {0} bytes")]
    InvalidExecutionInput(usize),
    /// The output of a task token is larger than [`crate::MAX_STATE_BYTES`].
    #[error("InvalidOutput: {0} bytes")]
    InvalidOutput(usize),
    /// The token is well formed, but was never given out.
    #[error("TaskDoesNotExist: {0}")]
    TaskDoesNotExist(String),
    /// The token's task has ended: answered before, timed out, or its execution is over.
    #[error("TaskTimedOut: {0}")]
    TaskTimedOut(String),
    /// The text is no token at all.
    #[error("InvalidToken: {0}")]
    InvalidToken(String),
}

/// An error answer of a Lambda function: its `errorType` is what `ErrorEquals` matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// Lambda's `errorType`.
    pub error_type: String,
    /// Lambda's `errorMessage`.
    pub error_message: String,
}

/// The error a state ends with: the Error Output that a Catcher places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }

    pub(crate) fn runtime(cause: impl Into<String>) -> Self {
        Self::new("States.Runtime", cause)
    }

    /// Whether one name of an `ErrorEquals` list matches.
    ///
    /// The service never catches or retries `States.Runtime`, and matches `States.DataLimitExceeded` only by
    /// its own name. `States.TaskFailed` stands for every error but `States.Timeout`; `States.Timeout` stands
    /// for a missed heartbeat too.
    pub(crate) fn is_matched_by(&self, name: &str) -> bool {
        match self.error.as_str() {
            "States.Runtime" => false,
            "States.DataLimitExceeded" => name == self.error,
            error if error == name => true,
            error => match name {
                "States.ALL" => true,
                "States.TaskFailed" => !matches!(error, "States.Timeout" | "States.HeartbeatTimeout"),
                "States.Timeout" => error == "States.HeartbeatTimeout",
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn wildcards_match_what_the_service_says() {
        let cases = [
            ("Transient", "States.ALL", true),
            ("Transient", "States.TaskFailed", true),
            ("Transient", "Transient", true),
            ("Transient", "States.Timeout", false),
            ("States.Timeout", "States.ALL", true),
            ("States.Timeout", "States.TaskFailed", false),
            ("States.HeartbeatTimeout", "States.Timeout", true),
            ("States.HeartbeatTimeout", "States.HeartbeatTimeout", true),
            ("States.Timeout", "States.HeartbeatTimeout", false),
            ("States.Runtime", "States.ALL", false),
            ("States.Runtime", "States.Runtime", false),
            ("States.DataLimitExceeded", "States.ALL", false),
            ("States.DataLimitExceeded", "States.TaskFailed", false),
            ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
        ];
        for (error, name, expected) in cases {
            assert_eq!(Failure::new(error, "").is_matched_by(name), expected, "{error} by {name}");
        }
    }
}
