//! The time of the simulated world.

use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};

/// A clock that only the interpreter moves; every clone reads the same time.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl VirtualClock {
    /// A clock at `start`. One that no [`crate::StepFunctions`] owns stands still.
    pub fn new(start: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new(start)) }
    }

    /// The virtual time.
    pub fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves forward; a time in the past changes nothing, since virtual time never goes back.
    pub(crate) fn advance_to(&self, at: Timestamp) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = at.max(*now);
    }
}
