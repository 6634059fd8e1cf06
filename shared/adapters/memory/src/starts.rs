//! Starts that name a request.

use async_trait::async_trait;
use guard_tasks::{FirstStart, Start, StartRegister, TaskError};

use crate::MemoryStore;

#[async_trait]
impl StartRegister for MemoryStore {
    async fn note(&self, start: &Start) -> Result<FirstStart, TaskError> {
        let key = (start.machine, start.batch_id.clone(), start.request_id.clone());
        let own = || FirstStart { execution_arn: start.execution_arn.clone(), at: start.at };
        Ok(self.tables().starts.entry(key).or_insert_with(own).clone())
    }
}
