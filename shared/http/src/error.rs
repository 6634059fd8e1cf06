//! Calls without an answer.

use guard_tasks::{ErrorName, TaskError};

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The call's time was over. The other side may have acted.
    Timeout,
    /// No connection: name not found, refused, unreachable.
    Connect,
    /// The connection broke before the whole answer was read. The other side may have acted.
    Cut,
    /// The host could not prove who it is.
    Tls,
    /// The body could not be decoded, for example broken gzip.
    Body,
    /// The answer is larger than [`crate::MAX_ANSWER_BYTES`].
    TooLarge,
    /// The request cannot be sent at all: no host, a broken certificate bundle.
    Unsendable,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Timeout, Self::Connect, Self::Cut, Self::Tls, Self::Body, Self::TooLarge, Self::Unsendable];

    /// The remedy.
    pub fn error_name(self) -> ErrorName {
        match self {
            Self::Timeout | Self::Connect | Self::Cut | Self::Body => ErrorName::Transient,
            // The door is shut, by us: a changed authority or somebody in between. Trying again changes nothing and
            // a person has to look, which is what `Denied` means to the state machines.
            Self::Tls => ErrorName::Denied,
            // Asking the same again gives the same answer: ask for less.
            Self::TooLarge => ErrorName::Rejected,
            Self::Unsendable => ErrorName::Internal,
        }
    }

    /// What people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timed out",
            Self::Connect => "could not connect",
            Self::Cut => "connection cut",
            Self::Tls => "certificate not trusted",
            Self::Body => "unreadable body",
            Self::TooLarge => "answer too large",
            Self::Unsendable => "not sendable",
        }
    }
}

/// A call without an answer. `message` names the cause, never a query or a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.as_str())]
pub struct TransportError {
    /// Why.
    pub kind: FailureKind,
    /// The cause in more words.
    pub message: String,
}

impl TransportError {
    /// A new error.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<TransportError> for TaskError {
    fn from(error: TransportError) -> Self {
        Self::new(error.kind.error_name(), error.to_string())
    }
}

impl From<&TransportError> for TaskError {
    fn from(error: &TransportError) -> Self {
        Self::new(error.kind.error_name(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_remedy() {
        for kind in FailureKind::ALL {
            let expected = match kind {
                FailureKind::Timeout | FailureKind::Connect | FailureKind::Cut | FailureKind::Body => {
                    ErrorName::Transient
                }
                FailureKind::Tls => ErrorName::Denied,
                FailureKind::TooLarge => ErrorName::Rejected,
                FailureKind::Unsendable => ErrorName::Internal,
            };
            let error = TaskError::from(TransportError::new(kind, "why"));
            assert_eq!(error.name, expected);
            assert_eq!(error.chain(), format!("{}: why", kind.as_str()));
        }
    }
}
