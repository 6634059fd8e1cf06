//! What all functions together may send to a system.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use crate::TaskError;

/// Counters that every function sees, one a window of time: see [`guard_domain::Budget`].
#[async_trait]
pub trait RequestBudget: Send + Sync {
    /// Takes one request out of a window that has room for `most`. `false`: none is left.
    async fn take(&self, window: i64, most: u64) -> Result<bool, TaskError>;

    /// Leaves no room in these windows: the system asked for a pause. Closing them twice is closing them once.
    async fn close(&self, windows: RangeInclusive<i64>, most: u64) -> Result<(), TaskError>;
}
