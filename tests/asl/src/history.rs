//! The execution history, in the service's words.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// One event, as GetExecutionHistory gives it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryEvent {
    /// Counted from 1, without gaps.
    pub id: u64,
    /// The event that led to this one; 0 for the first. Iterations of a Map interleave, so it is not always
    /// `id - 1`.
    pub previous_id: u64,
    /// Virtual time.
    pub at: Timestamp,
    /// The service's name: `TaskStateEntered`, `TaskScheduled`, `ExecutionSucceeded`, ...
    pub kind: String,
    /// The event's details with the service's field names (`name`, `input`, `output`, `error`, `cause`, ...).
    /// Inputs and outputs are JSON here, where the service gives them as text.
    pub details: Value,
}
