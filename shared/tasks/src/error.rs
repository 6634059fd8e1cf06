//! Six names for everything that can go wrong, each named by its remedy.

use std::fmt;

use guard_domain::Unread;

/// The name Step Functions matches in `ErrorEquals`; it is the Lambda's `errorType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorName {
    /// The same call may succeed shortly: time-outs, 5xx, cut connections.
    Transient,
    /// Right, but too fast: 429 and its kin.
    Throttled,
    /// The world moved under us: a lock is held, a branch moved, a condition failed.
    Conflict,
    /// Not allowed: 401, 403.
    Denied,
    /// We asked for something wrong: bad payload, bad configuration, 400, 404, 422.
    Rejected,
    /// An invariant of ours is broken, or nobody knows: never retried.
    Internal,
}

impl ErrorName {
    /// All six.
    pub const ALL: [Self; 6] =
        [Self::Transient, Self::Throttled, Self::Conflict, Self::Denied, Self::Rejected, Self::Internal];

    /// The spelling in state machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Throttled => "Throttled",
            Self::Conflict => "Conflict",
            Self::Denied => "Denied",
            Self::Rejected => "Rejected",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// "No answer": what was being done, and why it did not work. A "no" is never an error but an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// What to do about it.
    pub name: ErrorName,
    /// From the outermost action to the innermost cause.
    chain: Vec<String>,
}

impl TaskError {
    /// A new error. `message` names the thing and the cause; it never holds a secret.
    pub fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self { name, chain: vec![message.into()] }
    }

    /// Shorthand for [`ErrorName::Rejected`].
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorName::Rejected, message)
    }

    /// Shorthand for [`ErrorName::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorName::Conflict, message)
    }

    /// Shorthand for [`ErrorName::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorName::Internal, message)
    }

    /// Says what was being done when it happened.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.chain.insert(0, doing.into());
        self
    }

    /// `open merge request in mesh/prod-eu: POST /merge_requests: 503`.
    pub fn chain(&self) -> String {
        self.chain.join(": ")
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl std::error::Error for TaskError {}

/// What a check could not read. The names that the state machines try again are those that may pass.
impl From<TaskError> for Unread {
    fn from(error: TaskError) -> Self {
        let may_pass =
            matches!(error.name, ErrorName::Transient | ErrorName::Throttled | ErrorName::Conflict);
        Self { why: error.chain(), may_pass }
    }
}

/// Adds what was being done to an error on its way out.
pub trait Context<T> {
    /// See [`TaskError::context`].
    fn context(self, doing: impl Into<String>) -> Result<T, TaskError>;
}

impl<T> Context<T> for Result<T, TaskError> {
    fn context(self, doing: impl Into<String>) -> Result<T, TaskError> {
        self.map_err(|error| error.context(doing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_reads_from_the_outside_in() {
        let error = TaskError::new(ErrorName::Transient, "503")
            .context("POST /merge_requests")
            .context("open merge request");
        assert_eq!(error.chain(), "open merge request: POST /merge_requests: 503");
        assert_eq!(error.name.as_str(), "Transient");
    }

    #[test]
    fn what_may_pass_is_what_is_tried_again() {
        for name in ErrorName::ALL {
            let unread = Unread::from(TaskError::new(name, "why").context("list nodes"));
            let is_retried = ["Transient", "Throttled", "Conflict"].contains(&name.as_str());
            assert_eq!(unread, Unread { why: "list nodes: why".into(), may_pass: is_retried });
        }
    }
}
