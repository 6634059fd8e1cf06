//! What an observer is told while executions run.

use super::execution::Status;
use crate::machine::Edge;
use jiff::Timestamp;

/// Something visible that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Virtual time.
    pub at: Timestamp,
    /// Machine's name.
    pub machine: String,
    /// Execution's name.
    pub execution: String,
    /// Execution's ARN.
    pub execution_arn: String,
    /// The state concerned; `None` for the execution as a whole.
    pub state: Option<String>,
    /// Index of the Map item, in the innermost Map around the state.
    pub item: Option<usize>,
    /// What happened.
    pub kind: TransitionKind,
    /// The execution's status afterwards.
    pub status: Status,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionKind {
    /// The execution started.
    Started,
    /// The state was entered.
    Entered,
    /// The state failed and will be tried again.
    Retried {
        /// Error name.
        error: String,
        /// When.
        next: Timestamp,
    },
    /// The state was left, by this edge; `None` at the end of a graph.
    Exited(Option<Edge>),
    /// The state failed, and nothing caught it.
    Failed {
        /// Error name.
        error: String,
        /// In words.
        cause: String,
    },
    /// The execution ended.
    Ended,
}
