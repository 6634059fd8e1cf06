//! The run record.

use async_trait::async_trait;
use guard_domain::RunId;
use guard_tasks::{AuditEntry, ErrorName, Lease, RunRecords, TaskError};
use serde_json::Value;

use crate::{MemoryStore, batch_lock};

#[async_trait]
impl RunRecords for MemoryStore {
    async fn entry(&self, run_id: &RunId, name: &str) -> Result<Option<Value>, TaskError> {
        Ok(self.tables().records.get(&(run_id.to_string(), name.to_owned())).cloned())
    }

    async fn entries(&self, run_id: &RunId, prefix: &str) -> Result<Vec<(String, Value)>, TaskError> {
        let tables = self.tables();
        let of_run = tables
            .records
            .iter()
            .filter(|((run, name), _)| run == run_id.as_str() && name.starts_with(prefix));
        Ok(of_run.map(|((_, name), value)| (name.clone(), value.clone())).collect())
    }

    async fn put(
        &self,
        lease: &Lease,
        name: &str,
        expected: Option<&Value>,
        value: &Value,
    ) -> Result<(), TaskError> {
        let mut tables = self.tables();
        tables.check_fence(lease, &batch_lock(&lease.batch_id))?;
        let key = (lease.run_id.to_string(), name.to_owned());
        if tables.records.get(&key) != expected {
            let message = format!("entry {name} of run {} was changed by somebody else", lease.run_id);
            return Err(TaskError::new(ErrorName::Conflict, message));
        }
        tables.records.insert(key, value.clone());
        tables.runs.insert(lease.run_id.to_string());
        Ok(())
    }

    async fn audit(&self, lease: &Lease, line: &AuditEntry) -> Result<(), TaskError> {
        let mut tables = self.tables();
        tables.check_fence(lease, &batch_lock(&lease.batch_id))?;
        let log = tables.audit.entry(lease.run_id.to_string()).or_default();
        if !log.iter().any(|known| known.who == line.who && known.what == line.what) {
            log.push(line.clone());
        }
        Ok(())
    }

    async fn audit_log(&self, run_id: &RunId) -> Result<Vec<AuditEntry>, TaskError> {
        Ok(self.tables().audit.get(run_id.as_str()).cloned().unwrap_or_default())
    }
}
