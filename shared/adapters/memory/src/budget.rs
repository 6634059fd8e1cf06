//! What was sent in each window of time.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use guard_tasks::{RequestBudget, TaskError};

use crate::MemoryStore;

#[async_trait]
impl RequestBudget for MemoryStore {
    async fn take(&self, window: i64, most: u64) -> Result<bool, TaskError> {
        let mut tables = self.tables();
        let spent = tables.spent.entry(window).or_default();
        let has_room = *spent < most;
        *spent += u64::from(has_room);
        Ok(has_room)
    }

    async fn close(&self, windows: RangeInclusive<i64>, most: u64) -> Result<(), TaskError> {
        let mut tables = self.tables();
        for window in windows {
            let spent = tables.spent.entry(window).or_default();
            *spent = most.max(*spent);
        }
        Ok(())
    }
}
