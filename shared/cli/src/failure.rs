//! Why a command did not do what it was asked: the thing, the cause, and what to run next.

use guard_tasks::{ErrorName, TaskError};

use crate::exit::Exit;

/// An end that is told on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The thing and the cause.
    pub(crate) text: String,
    /// What to run or to do next.
    pub(crate) next: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), next: None }
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::new(Exit::Error, text)
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(Exit::Refused, text)
    }

    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        let failure = Self::new(Exit::of_call(error.name), error.chain());
        match error.name {
            ErrorName::Denied => failure.next(
                "look whether the AWS credentials are those of GUARD's account and may do this: \
                 aws sts get-caller-identity",
            ),
            ErrorName::Transient | ErrorName::Throttled => failure.next("run the same command again"),
            ErrorName::Conflict => failure.next("look at what changed meanwhile: guard status"),
            ErrorName::Rejected => failure.next("look at what GUARD needs: guard validate"),
            ErrorName::Internal => failure,
        }
    }
}
