//! What GUARD remembers: the registry, the record of a run, and the locks. Every write carries the lease's fence and
//! the state it expects, and is one conditional write: DynamoDB's semantics, whoever implements the port.

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus, Config, IstioVersion, RunId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TaskError;

/// The configuration document.
#[async_trait]
pub trait ConfigReader: Send + Sync {
    /// Reads and checks it. A document that does not decode is `Rejected` with the field's path.
    async fn config(&self) -> Result<Config, TaskError>;
}

/// One row of the registry.
#[async_trait]
pub trait ClusterReader: Send + Sync {
    /// The row, read consistently; `None` when there is none.
    async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, TaskError>;
}

/// Rows by batch.
#[async_trait]
pub trait BatchReader: Send + Sync {
    /// Every row of the batch, re-read consistently, in order of `cluster_id`. An unknown batch is an empty list.
    async fn batch(&self, id: &BatchId) -> Result<Vec<ClusterRecord>, TaskError>;

    /// Every batch that has a row, with its number of clusters.
    async fn batches(&self) -> Result<std::collections::BTreeMap<BatchId, usize>, TaskError>;
}

/// A change of `current_istio_version` and `target_istio_version`, made together with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionChange {
    /// The run aims at this version.
    Aim(IstioVersion),
    /// The run gave up before anything changed.
    Forget,
    /// The cluster runs this version now, checked: current and history advance.
    Reached(IstioVersion),
    /// The cluster is back at this version, verified: current goes back, history says so.
    WentBack(IstioVersion),
}

/// One move of one cluster: a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMove {
    /// Which cluster.
    pub cluster_id: ClusterId,
    /// The status it must have now.
    pub from: ClusterStatus,
    /// The status it gets.
    pub to: ClusterStatus,
    /// The version change that belongs to it.
    pub version: Option<VersionChange>,
    /// The merge request it is about, as a page for people.
    pub merge_request_url: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Writing statuses.
#[async_trait]
pub trait StatusWriter: Send + Sync {
    /// Makes the move if the row still has status `from` and the lease's fence is the newest of the cluster's lock.
    /// Otherwise `Conflict`, and nothing is changed. A cluster without a row is `Rejected`.
    async fn move_status(&self, lease: &Lease, change: &StatusMove) -> Result<(), TaskError>;
}

/// A number that only grows: a newer holder has a higher one, and a write with an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Proof of holding a batch and its clusters. Writes ask for it; only [`Locks::acquire`] makes a fresh one, tasks
/// later in the run rebuild it from their payload and the stores check it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The run that holds.
    pub run_id: RunId,
    /// The batch it holds.
    pub batch_id: BatchId,
    /// Its fence.
    pub fence: Fence,
}

/// What came of asking for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockOutcome {
    /// Held now, by this run. Asking again as the same run gives the same lease.
    Held(Lease),
    /// Somebody else holds it.
    Taken {
        /// `batch#<id>` or `cluster#<id>`.
        resource: String,
        /// The holder's execution.
        holder_arn: String,
        /// When it was taken.
        since: Timestamp,
    },
}

/// One holder a batch and a cluster.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes the batch's row and one row a cluster, in order of their names, all or none. `replacing` names the
    /// execution whose rows may be taken over, because it was found not to run any more; where it holds the batch, all that
    /// it holds with it is taken over.
    async fn acquire(
        &self,
        run_id: &RunId,
        execution_arn: &str,
        batch_id: &BatchId,
        clusters: &[ClusterId],
        replacing: Option<&str>,
        now: Timestamp,
    ) -> Result<LockOutcome, TaskError>;

    /// Re-reads the fence consistently. `Conflict` when another run has taken over: asked before every outward write.
    async fn confirm(&self, lease: &Lease) -> Result<(), TaskError>;

    /// Gives all that this lease holds a fresh fence, and the holder a new lease: whoever has the old one writes nothing any
    /// more. `Conflict` when the lease does not hold its batch. An error in between leaves the batch's row renewed; renewing
    /// what it tells then completes it.
    async fn renew(&self, lease: &Lease) -> Result<Lease, TaskError>;

    /// Frees what this lease holds. Nothing to free is a success. The fence stays.
    async fn release(&self, lease: &Lease) -> Result<(), TaskError>;
}

/// A batch that somebody holds, with its clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// The holder's lease.
    pub lease: Lease,
    /// The holder's execution.
    pub execution_arn: String,
}

/// Who holds what, across all batches.
#[async_trait]
pub trait LeaseReader: Send + Sync {
    /// One for each batch that is held, by batch, read consistently. A row that does not decode is told beside those
    /// that do: it must not keep them waiting.
    async fn leases(&self) -> Result<Vec<Result<HeldLease, TaskError>>, TaskError>;
}

/// One line of a run's history: who did what, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// The task that acted, or the person it learnt of.
    pub who: String,
    /// What happened, as a sentence.
    pub what: String,
}

/// The record of a run: named JSON entries and an append-only audit log. Entry names are `plan`, `outcome`,
/// `merge-request#upgrade`, `pre-check#<cluster>`, ...
#[async_trait]
pub trait RunRecords: Send + Sync {
    /// An entry, read consistently.
    async fn entry(&self, run_id: &RunId, name: &str) -> Result<Option<Value>, TaskError>;

    /// Entries whose name starts with `prefix`, by name.
    async fn entries(&self, run_id: &RunId, prefix: &str) -> Result<Vec<(String, Value)>, TaskError>;

    /// Writes an entry if it still is `expected` (`None`: absent) and the fence is the newest. Otherwise `Conflict`.
    async fn put(
        &self,
        lease: &Lease,
        name: &str,
        expected: Option<&Value>,
        value: &Value,
    ) -> Result<(), TaskError>;

    /// Adds a line to the audit log. The same line again is not added twice: a repeated task repeats its lines.
    async fn audit(&self, lease: &Lease, line: &AuditEntry) -> Result<(), TaskError>;

    /// The audit log, oldest first.
    async fn audit_log(&self, run_id: &RunId) -> Result<Vec<AuditEntry>, TaskError>;
}
