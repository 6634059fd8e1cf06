//! The stores in memory, called as DynamoDB is called: every operation is an outward call that a test can make go wrong.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus, IstioVersion, RunId};
use guard_memory::MemoryStore;
use guard_tasks::{
    AuditEntry, BatchReader, ClusterReader, FirstStart, HeldLease, Lease, LeaseReader, LockOutcome, Locks,
    OpenToken, RequestBudget, RunRecords, Start, StartRegister, StatusMove, StatusWriter, TaskError,
    TokenStore,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::faults::Faults;
use crate::history::{History, Written};
use crate::planted::{Bug, Planted};

/// As the real adapter waits.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Stores {
    pub(crate) memory: MemoryStore,
    pub(crate) faults: Arc<Faults>,
    pub(crate) history: History,
    pub(crate) planted: Planted,
}

impl Stores {
    /// A row as it is, but for what a planted bug makes of it.
    fn read(&self, mut row: ClusterRecord) -> ClusterRecord {
        if self.planted.is(Bug::FailuresLookHealthy) && row.status.needs_an_owner() {
            row.status = ClusterStatus::Healthy;
        }
        let is_of_others = self.planted.is(Bug::OtherBatchesLookDone) && row.batch_id.as_str() == "test";
        if let (true, Ok(version)) = (is_of_others, IstioVersion::parse("1.99.0")) {
            row.status = ClusterStatus::Healthy;
            row.current_istio_version = version;
        }
        row
    }

    async fn moved(&self, lease: &Lease, change: &StatusMove) -> Result<(), TaskError> {
        if self.planted.is(Bug::PendingIsLost) && change.to == ClusterStatus::Pending {
            return Ok(());
        }
        if self.planted.is(Bug::LocksAreGivenAway) || self.planted.is(Bug::FailuresLookHealthy) {
            self.memory.edit_cluster(&change.cluster_id, |row| row.status = change.to);
        } else {
            self.memory.move_status(lease, change).await?;
        }
        self.faults.recorder.moved(lease, change);
        self.history.add(Written::Moved { lease: lease.clone(), change: change.clone() });
        if self.planted.is(Bug::BackIsSaidEarly) && change.to == ClusterStatus::RollbackRequired {
            let said = ClusterStatus::FailedUpgradeRolledBack;
            self.memory.edit_cluster(&change.cluster_id, |row| row.status = said);
        }
        Ok(())
    }

    async fn call<'a, T>(
        &self,
        operation: String,
        act: impl Fn() -> BoxFuture<'a, Result<T, TaskError>> + Send,
    ) -> Result<T, TaskError> {
        self.faults.call("DynamoDB", operation, TIMEOUT, act).await?
    }
}

/// The progress of which no cluster has a soak before it.
fn passed(progress: &Value) -> Value {
    let mut passed = progress.clone();
    for phase in passed.as_object_mut().into_iter().flat_map(|clusters| clusters.values_mut()) {
        if phase == "converged" {
            *phase = "soaked".into();
        }
    }
    passed
}

#[async_trait]
impl ClusterReader for Stores {
    async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, TaskError> {
        let row = self.call(format!("read cluster {id}"), || self.memory.cluster(id)).await?;
        Ok(row.map(|row| self.read(row)))
    }
}

#[async_trait]
impl BatchReader for Stores {
    async fn batch(&self, id: &BatchId) -> Result<Vec<ClusterRecord>, TaskError> {
        let rows = self.call(format!("read batch {id}"), || self.memory.batch(id)).await?;
        Ok(rows.into_iter().map(|row| self.read(row)).collect())
    }

    async fn batches(&self) -> Result<BTreeMap<BatchId, usize>, TaskError> {
        self.call("list batches".to_owned(), || self.memory.batches()).await
    }
}

#[async_trait]
impl StatusWriter for Stores {
    async fn move_status(&self, lease: &Lease, change: &StatusMove) -> Result<(), TaskError> {
        let operation = format!("move cluster {} to {}", change.cluster_id, change.to);
        self.call(operation, || Box::pin(self.moved(lease, change))).await
    }
}

#[async_trait]
impl Locks for Stores {
    async fn acquire(
        &self,
        run_id: &RunId,
        execution_arn: &str,
        batch_id: &BatchId,
        clusters: &[ClusterId],
        replacing: Option<&str>,
        now: Timestamp,
    ) -> Result<LockOutcome, TaskError> {
        self.call(format!("acquire locks of {batch_id}"), || {
            Box::pin(async move {
                let mut asked =
                    self.memory.acquire(run_id, execution_arn, batch_id, clusters, replacing, now).await?;
                if let LockOutcome::Taken { holder_arn, .. } = &asked
                    && self.planted.is(Bug::LocksAreGivenAway)
                {
                    let replacing = Some(holder_arn.as_str());
                    asked = self
                        .memory
                        .acquire(run_id, execution_arn, batch_id, clusters, replacing, now)
                        .await?;
                }
                if let LockOutcome::Held(lease) = &asked {
                    self.faults.recorder.took(lease, execution_arn, clusters, replacing);
                    self.history.add(Written::Took { lease: lease.clone(), clusters: clusters.to_vec() });
                }
                Ok(asked)
            })
        })
        .await
    }

    async fn confirm(&self, lease: &Lease) -> Result<(), TaskError> {
        self.call(format!("confirm lock of {}", lease.batch_id), || self.memory.confirm(lease)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, TaskError> {
        self.call(format!("renew locks of {}", lease.batch_id), || {
            Box::pin(async move {
                let renewed = self.memory.renew(lease).await?;
                self.history.renewed(lease, &renewed);
                Ok(renewed)
            })
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<(), TaskError> {
        self.call(format!("release locks of {}", lease.batch_id), || {
            Box::pin(async move {
                if self.planted.is(Bug::LocksAreKept) {
                    return Ok(());
                }
                self.memory.release(lease).await?;
                self.faults.recorder.freed(lease);
                self.history.add(Written::Freed(lease.clone()));
                Ok(())
            })
        })
        .await
    }
}

#[async_trait]
impl LeaseReader for Stores {
    async fn leases(&self) -> Result<Vec<Result<HeldLease, TaskError>>, TaskError> {
        self.call("list leases".to_owned(), || self.memory.leases()).await
    }
}

#[async_trait]
impl RunRecords for Stores {
    async fn entry(&self, run_id: &RunId, name: &str) -> Result<Option<Value>, TaskError> {
        self.call(format!("read entry {name}"), || self.memory.entry(run_id, name)).await
    }

    async fn entries(&self, run_id: &RunId, prefix: &str) -> Result<Vec<(String, Value)>, TaskError> {
        self.call(format!("read entries {prefix}"), || self.memory.entries(run_id, prefix)).await
    }

    async fn put(
        &self,
        lease: &Lease,
        name: &str,
        expected: Option<&Value>,
        value: &Value,
    ) -> Result<(), TaskError> {
        self.call(format!("write entry {name}"), || {
            Box::pin(async move {
                let value = match name {
                    "progress" if self.planted.is(Bug::SoaksPassUnseen) => &passed(value),
                    _ => value,
                };
                self.memory.put(lease, name, expected, value).await?;
                self.faults.recorder.put(lease, name, value);
                self.history.add(Written::Noted { lease: lease.clone(), name: name.to_owned() });
                Ok(())
            })
        })
        .await
    }

    async fn audit(&self, lease: &Lease, line: &AuditEntry) -> Result<(), TaskError> {
        if self.planted.is(Bug::AuditIsLost) {
            return Ok(());
        }
        let written =
            self.call(format!("write audit line of {}", line.who), || self.memory.audit(lease, line)).await;
        written.inspect(|()| self.faults.recorder.audited(lease, line))
    }

    async fn audit_log(&self, run_id: &RunId) -> Result<Vec<AuditEntry>, TaskError> {
        self.call("read audit log".to_owned(), || self.memory.audit_log(run_id)).await
    }
}

#[async_trait]
impl TokenStore for Stores {
    async fn keep(&self, token: &OpenToken) -> Result<(), TaskError> {
        let kept =
            self.call(format!("keep token {}", token.waits_for.as_str()), || self.memory.keep(token)).await;
        kept.inspect(|()| self.faults.recorder.kept(token))
    }

    async fn open_tokens(&self) -> Result<Vec<OpenToken>, TaskError> {
        self.call("list open tokens".to_owned(), || self.memory.open_tokens()).await
    }

    async fn drop_token(&self, token: &OpenToken) -> Result<(), TaskError> {
        let dropped = self
            .call(format!("drop token {}", token.waits_for.as_str()), || self.memory.drop_token(token))
            .await;
        dropped.inspect(|()| self.faults.recorder.dropped(token))
    }
}

#[async_trait]
impl RequestBudget for Stores {
    async fn take(&self, window: i64, most: u64) -> Result<bool, TaskError> {
        self.call("take request".to_owned(), || self.memory.take(window, most)).await
    }

    async fn close(&self, windows: RangeInclusive<i64>, most: u64) -> Result<(), TaskError> {
        self.call("close windows".to_owned(), || self.memory.close(windows.clone(), most)).await
    }
}

#[async_trait]
impl StartRegister for Stores {
    async fn note(&self, start: &Start) -> Result<FirstStart, TaskError> {
        let first = self.call(format!("note request {}", start.request_id), || self.memory.note(start)).await;
        first.inspect(|_| self.faults.recorder.noted(start))
    }
}
