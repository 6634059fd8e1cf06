//! What the service would count.

/// Counters of one execution, one machine's executions, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Billable state transitions: each state entered, and each retry (AWS bills retries as transitions).
    pub transitions: u64,
    /// History events, against [`crate::MAX_EVENTS`] an execution.
    pub events: u64,
    /// Largest input, result or output of a state in UTF-8 bytes, against [`crate::MAX_STATE_BYTES`].
    pub peak_state_bytes: usize,
    /// Lambda functions called.
    pub lambda_invocations: u64,
}

impl Bill {
    pub(crate) fn add(&mut self, other: &Self) {
        self.transitions += other.transitions;
        self.events += other.events;
        self.peak_state_bytes = self.peak_state_bytes.max(other.peak_state_bytes);
        self.lambda_invocations += other.lambda_invocations;
    }
}
