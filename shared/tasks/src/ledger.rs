//! What every task of a run reads and writes the same way: the plan, the clusters' statuses, the progress, the audit
//! log. In a dry run every write is left out; the plan is computed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guard_domain::{
    ClusterId, ClusterStatus, Direction, IstioVersion, MergeEnd, Plan, Progress, RunId, UpgradeSpec,
    manifest::Change,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AuditEntry, BatchReader, Clock, ClusterReader, ConfigReader, Context, Fence, Lease, PayloadSchema,
    RunRecords, StatusMove, StatusWriter, TaskError, VersionChange, draft,
};

/// What the payload carries of a run: ids only, the details live in the run record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRef {
    /// The shape of this payload.
    #[serde(default = "PayloadSchema::first")]
    pub schema: PayloadSchema,
    /// The run: name of the execution that people started.
    pub run_id: RunId,
    /// Its batch.
    pub batch_id: guard_domain::BatchId,
    /// Its fence; 0 in a dry run, which holds no lock.
    pub fence: Fence,
    /// Nothing is written anywhere.
    pub dry_run: bool,
    /// Target of an upgrade; a dry run needs it to compute the plan.
    pub target_version: Option<IstioVersion>,
    /// Settings of an upgrade, in a dry run only: a run keeps them in its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_spec: Option<UpgradeSpec>,
}

impl RunRef {
    /// The proof that writes ask for.
    pub fn lease(&self) -> Lease {
        Lease { run_id: self.run_id.clone(), batch_id: self.batch_id.clone(), fence: self.fence }
    }
}

/// One cluster in the payload, under 200 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Name of its child execution.
    pub child: String,
}

/// A merge request as the run record keeps it, one entry each. It is written before the request is opened: whoever comes
/// after a crash makes the same change from the same commit, and finds what is there by the marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestEntry {
    /// GitLab project.
    pub project: String,
    /// The clusters it is about.
    pub clusters: Vec<ClusterId>,
    /// Commit the files were read at; the change is built on exactly it.
    pub base_commit: String,
    /// Branch it comes from; a later attempt has a number behind it.
    pub source_branch: String,
    /// Branch it goes to.
    pub target_branch: String,
    /// What its description holds and no other's does.
    pub marker: String,
    /// What it changes.
    pub changes: Vec<Change>,
    /// Digest of the changed files as proposed.
    pub digest: String,
    /// Absent until it was opened.
    pub opened: Option<Opened>,
    /// Absent until it was seen merged.
    pub landed: Option<Landed>,
}

/// Where it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Number.
    pub iid: u64,
    /// Page for people.
    pub web_url: String,
    /// The branch's head as GUARD made it; empty when it is not known.
    pub commit: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    /// The commit on the target branch.
    pub commit: String,
    /// The run may follow it: it is what was proposed, or the policy accepts what it is.
    pub may_be_followed: bool,
}

impl MergeRequestEntry {
    /// The files it changes.
    pub fn files(&self) -> BTreeSet<&str> {
        self.changes.iter().map(|change| change.file.as_str()).collect()
    }

    /// How people call it: its page, or where it would come from.
    pub fn shown(&self) -> String {
        match &self.opened {
            Some(opened) => opened.web_url.clone(),
            None => format!("{}, branch {}", self.project, self.source_branch),
        }
    }
}

/// Of the requests of one direction, which commit brought each cluster its change.
pub type LandedEntry = BTreeMap<ClusterId, String>;

/// The start and the end of the soak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakEntry {
    /// When the last restart of the batch was done.
    pub from: Timestamp,
    /// When the soak ends.
    pub until: Timestamp,
    /// When the first change landed: baselines end here.
    pub changed_at: Timestamp,
    /// How often it was extended.
    #[serde(default)]
    pub extensions: u32,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionEntry {
    /// The clusters that are neither well nor ill enough.
    pub clusters: Vec<ClusterId>,
    /// What the judge saw, a line a cluster.
    pub reasons: Vec<String>,
}

/// How a run ended, or that it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEntry {
    /// `healthy`, `rolled_back`, ...
    pub outcome: String,
    /// Why, for people.
    pub summary: String,
    /// When.
    pub at: Timestamp,
}

/// One try of the way back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackEntry {
    /// 1 for the first.
    pub attempt: u32,
    /// The clusters it covers.
    pub clusters: Vec<ClusterId>,
}

/// The answer to a task token that waits for merge requests. What landed where is in the run record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergeAnswer {
    /// How the waiting ended.
    pub state: MergeEnd,
    /// Which requests, and what was found, for people; empty when all landed.
    pub summary: String,
}

/// The answer to a task token that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionAnswer {
    /// What was decided.
    pub answer: DecisionEnd,
    /// Who decided; empty when nobody did.
    pub who: String,
    /// Why, in their words.
    pub reason: String,
}

impl DecisionAnswer {
    /// Nobody answered in time.
    pub fn expired() -> Self {
        Self { answer: DecisionEnd::Expired, who: String::new(), reason: String::new() }
    }
}

/// How waiting for a person's decision ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionEnd {
    /// The clusters are well enough: go on.
    Approve,
    /// They are not: take them back.
    Reject,
    /// Nobody answered in time.
    Expired,
}

/// The ports behind it.
#[derive(Clone)]
pub struct Ledger {
    /// Configuration, for a dry run's plan.
    pub config: Arc<dyn ConfigReader>,
    /// Rows by batch, for a dry run's plan.
    pub batches: Arc<dyn BatchReader>,
    /// Rows.
    pub clusters: Arc<dyn ClusterReader>,
    /// Statuses.
    pub statuses: Arc<dyn StatusWriter>,
    /// The run record.
    pub records: Arc<dyn RunRecords>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Ledger {
    /// The run's plan.
    pub async fn plan(&self, run: &RunRef) -> Result<Plan, TaskError> {
        if run.dry_run {
            let target = run
                .target_version
                .clone()
                .ok_or_else(|| TaskError::internal("a dry run without a target version"))?;
            let config = self.config.config().await.context("read configuration")?;
            let rows = self.batches.batch(&run.batch_id).await.context("read registry")?;
            let plan = draft::upgrade(
                run.run_id.clone(),
                String::new(),
                run.batch_id.clone(),
                rows,
                &target,
                config,
                self.clock.now(),
            );
            return Ok(Plan { upgrade_spec: run.upgrade_spec.clone(), ..plan });
        }
        self.read(&run.run_id, "plan")
            .await?
            .ok_or_else(|| TaskError::internal(format!("run {} has no plan in its record", run.run_id)))
    }

    /// Reads an entry of the run record.
    pub async fn read<T: DeserializeOwned>(
        &self,
        run_id: &RunId,
        name: &str,
    ) -> Result<Option<T>, TaskError> {
        let entry = self.records.entry(run_id, name).await.context(format!("read {name} of run {run_id}"))?;
        entry.map(|value| from_record(run_id, name, value)).transpose()
    }

    /// Reads every entry below a prefix.
    pub async fn read_all<T: DeserializeOwned>(
        &self,
        run_id: &RunId,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, TaskError> {
        let entries =
            self.records.entries(run_id, prefix).await.context(format!("read {prefix} of run {run_id}"))?;
        entries
            .into_iter()
            .map(|(name, value)| Ok((name.clone(), from_record(run_id, &name, value)?)))
            .collect()
    }

    /// Writes an entry, replacing what was there. Two writers at once: one gets `Conflict`.
    pub async fn write<T: Serialize + Sync>(
        &self,
        run: &RunRef,
        name: &str,
        value: &T,
    ) -> Result<(), TaskError> {
        if run.dry_run {
            return Ok(());
        }
        let value = serde_json::to_value(value)
            .map_err(|error| TaskError::internal(format!("encode {name}: {error}")))?;
        let old = self.records.entry(&run.run_id, name).await.context(format!("read {name}"))?;
        if old.as_ref() == Some(&value) {
            return Ok(());
        }
        self.records.put(&run.lease(), name, old.as_ref(), &value).await.context(format!("write {name}"))
    }

    /// Adds a line to the audit log, and to the process's own: each decision is told there with its reason.
    pub async fn audit(
        &self,
        run: &RunRef,
        who: &str,
        what: impl Into<String> + Send,
    ) -> Result<(), TaskError> {
        if run.dry_run {
            return Ok(());
        }
        let line = AuditEntry { at: self.clock.now(), who: who.to_owned(), what: what.into() };
        tracing::info!("{}", line.what);
        self.records.audit(&run.lease(), &line).await.context("write audit log")
    }

    /// Moves a cluster to a status, with the version change that belongs to it. Already there is done: the task may be
    /// running for the second time.
    pub async fn advance(
        &self,
        run: &RunRef,
        cluster_id: &ClusterId,
        to: ClusterStatus,
        version: Option<VersionChange>,
        merge_request_url: Option<String>,
    ) -> Result<(), TaskError> {
        if run.dry_run {
            return Ok(());
        }
        let row = self.clusters.cluster(cluster_id).await.context(format!("read {cluster_id}"))?;
        let row = row.ok_or_else(|| {
            TaskError::rejected(format!("cluster {cluster_id} is not in the registry any more"))
        })?;
        if row.status == to {
            return Ok(());
        }
        if !row.status.may_become(to) {
            return Err(TaskError::conflict(format!(
                "cluster {cluster_id} is {}, which may not become {to}",
                row.status
            )));
        }
        let change = StatusMove {
            cluster_id: cluster_id.clone(),
            from: row.status,
            to,
            version,
            merge_request_url,
            at: self.clock.now(),
        };
        self.statuses
            .move_status(&run.lease(), &change)
            .await
            .context(format!("move {cluster_id} from {} to {to}", row.status))
    }

    /// How far each cluster has come.
    pub async fn progress(&self, run: &RunRef) -> Result<Progress, TaskError> {
        self.read(&run.run_id, "progress")
            .await?
            .ok_or_else(|| TaskError::internal(format!("run {} has no progress in its record", run.run_id)))
    }

    /// The latest try of the way back; attempt 0 when there was none.
    pub async fn rollback(&self, run: &RunRef) -> Result<RollbackEntry, TaskError> {
        Ok(self.read(&run.run_id, "rollback").await?.unwrap_or_default())
    }

    /// What the merge requests of this direction are called: `upgrade`, or `rollback-1` for the first try of the way back.
    pub async fn change_name(&self, run: &RunRef, direction: Direction) -> Result<String, TaskError> {
        Ok(match direction {
            Direction::Upgrade => UPGRADE.to_owned(),
            Direction::Rollback => rollback_name(self.rollback(run).await?.attempt),
        })
    }

    /// The merge requests of one change, by the names of their entries.
    pub async fn merge_requests(
        &self,
        run_id: &RunId,
        change: &str,
    ) -> Result<Vec<(String, MergeRequestEntry)>, TaskError> {
        self.read_all(run_id, &merge_request_prefix(change)).await
    }
}

/// The change of a run's own upgrade.
pub(crate) const UPGRADE: &str = "upgrade";

/// Start of the names of the merge requests of every try of the way back.
pub(crate) const ROLLBACK_REQUESTS: &str = "merge-request#rollback-";

/// One try of the way back.
pub(crate) fn rollback_name(attempt: u32) -> String {
    format!("rollback-{attempt}")
}

/// Start of the names of a change's merge requests: `merge-request#upgrade#001`, in the order of their groups.
pub(crate) fn merge_request_prefix(change: &str) -> String {
    format!("merge-request#{change}#")
}

/// Entry that says why a change's merge requests did not land.
pub(crate) fn unmerged(change: &str) -> String {
    format!("unmerged#{change}")
}

fn from_record<T: DeserializeOwned>(run_id: &RunId, name: &str, value: Value) -> Result<T, TaskError> {
    serde_json::from_value(value)
        .map_err(|error| TaskError::internal(format!("{name} of run {run_id} does not decode: {error}")))
}
