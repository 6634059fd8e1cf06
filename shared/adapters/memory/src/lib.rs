//! Registry, run record, locks and task tokens in memory, with the conditional-write semantics that DynamoDB has: every
//! write names the state it expects and the fence it holds, and is refused as a whole otherwise.
//!
//! For simulation and tests: what is kept here is gone with the process.

mod budget;
mod locks;
mod records;
mod registry;
mod starts;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, ClusterRecord, Config, RequestId};
use guard_tasks::{AuditEntry, ConfigReader, ErrorName, FirstStart, Lease, OpenToken, TaskError};
use jiff::Timestamp;
use serde_json::Value;

/// All tables. Cloning shares them.
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Clone, Default)]
struct Tables {
    clusters: BTreeMap<ClusterId, ClusterRecord>,
    locks: BTreeMap<String, LockRow>,
    /// (run, entry) to value.
    records: BTreeMap<(String, String), Value>,
    audit: BTreeMap<String, Vec<AuditEntry>>,
    /// (run, what it waits for) to token.
    tokens: BTreeMap<(String, &'static str), OpenToken>,
    /// Requests sent to GitLab, by window of time.
    spent: BTreeMap<i64, u64>,
    /// (machine, batch, request) to the execution that was first.
    starts: BTreeMap<(&'static str, Option<BatchId>, RequestId), FirstStart>,
    /// Names of runs that wrote anything, for a caller that lists them.
    runs: BTreeSet<String>,
}

/// One lock row; it outlives its holder, so that the fence only grows.
#[derive(Debug, Clone)]
struct LockRow {
    fence: u64,
    holder: Option<Holder>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    run_id: String,
    execution_arn: String,
    since: Timestamp,
}

impl MemoryStore {
    /// A store with these registry rows.
    pub fn with_clusters(rows: impl IntoIterator<Item = ClusterRecord>) -> Self {
        let store = Self::default();
        store.put_clusters(rows);
        store
    }

    /// Another store that holds the same, and shares nothing with this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { tables: Arc::new(Mutex::new(self.tables().clone())) }
    }

    /// Adds registry rows, or replaces them whole, as another tool would.
    pub fn put_clusters(&self, rows: impl IntoIterator<Item = ClusterRecord>) {
        self.tables().clusters.extend(rows.into_iter().map(|row| (row.cluster_id.clone(), row)));
    }

    /// Every registry row, by id.
    pub fn clusters(&self) -> Vec<ClusterRecord> {
        self.tables().clusters.values().cloned().collect()
    }

    /// Changes a row past all conditions, as a person with the console would. For tests.
    pub fn edit_cluster(&self, id: &ClusterId, edit: impl FnOnce(&mut ClusterRecord)) {
        if let Some(row) = self.tables().clusters.get_mut(id) {
            edit(row);
        }
    }

    /// Takes a row away past all conditions. For tests.
    pub fn remove_cluster(&self, id: &ClusterId) {
        self.tables().clusters.remove(id);
    }

    /// Writes a lock row past all conditions, as a person with the console would. For tests.
    pub fn write_lock(&self, name: &str, run_id: &str, execution_arn: &str) {
        let holder = Holder {
            run_id: run_id.to_owned(),
            execution_arn: execution_arn.to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        self.tables().locks.insert(name.to_owned(), LockRow { fence: 1, holder: Some(holder) });
    }

    /// Names of the lock rows that somebody holds, with the holder's execution.
    pub fn held_locks(&self) -> Vec<(String, String)> {
        let tables = self.tables();
        let held = tables
            .locks
            .iter()
            .filter_map(|(name, row)| Some((name.clone(), row.holder.as_ref()?.execution_arn.clone())));
        held.collect()
    }

    /// Runs that have a record.
    pub fn runs(&self) -> Vec<String> {
        self.tables().runs.iter().cloned().collect()
    }

    /// A panic while the tables were held is a bug elsewhere; the tables themselves are whole after every method.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// The condition on the fence that every write carries.
    fn check_fence(&self, lease: &Lease, resource: &str) -> Result<(), TaskError> {
        let row = self.locks.get(resource);
        let holds = row.is_some_and(|row| {
            row.fence == lease.fence.0
                && row.holder.as_ref().is_some_and(|holder| holder.run_id == lease.run_id.as_str())
        });
        if holds {
            return Ok(());
        }
        let holder =
            row.and_then(|row| row.holder.as_ref()).map_or("nobody", |holder| holder.execution_arn.as_str());
        let message = format!(
            "run {} with fence {} does not hold {resource}; {holder} does",
            lease.run_id, lease.fence.0
        );
        Err(TaskError::new(ErrorName::Conflict, message))
    }
}

/// Resource name of a batch's lock.
fn batch_lock(id: &BatchId) -> String {
    format!("batch#{id}")
}

/// Resource name of a cluster's lock.
fn cluster_lock(id: &ClusterId) -> String {
    format!("cluster#{id}")
}

/// A configuration that does not change.
pub struct FixedConfig(pub Config);

#[async_trait]
impl ConfigReader for FixedConfig {
    async fn config(&self) -> Result<Config, TaskError> {
        Ok(self.0.clone())
    }
}
