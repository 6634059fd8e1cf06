//! `settle`: bring a run to its end: statuses, merge request, locks, outcome.
//!
//! Every end before the merge closes GUARD's request, deletes its branch, and then looks once more: if it was merged
//! meanwhile, nothing is settled and the run goes on. People are told of an end that needs them, before the locks are
//! freed. Safe to run twice: each step looks first.

mod telling;

use std::sync::Arc;

use guard_domain::{ClusterStatus, Phase, Plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, MergeAnswer, MergeEnd, MergeRequestEntry, OutcomeEntry, RunRef};
use crate::task::Task;
use crate::{
    Channels, CommitReader, Context, FileReader, Locks, MergeRequestWriter, TaskError, VersionChange, merge,
};

/// The task.
pub struct Settle {
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestWriter>,
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
    /// Locks.
    pub locks: Arc<dyn Locks>,
    /// People.
    pub notifier: Channels,
    /// Registry and run record.
    pub ledger: Ledger,
}

/// How the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every cluster is healthy at the target.
    Healthy,
    /// The failed clusters are back, the others healthy.
    RolledBack,
    /// The way back did not work. The locks stay with the run: nothing may touch these clusters.
    RollbackFailed,
    /// A gate said no before anything was changed.
    GateFailed,
    /// The merge request was closed.
    Closed,
    /// Nobody merged in time.
    Expired,
    /// No answer before the merge. The locks stay with the run until it is resumed or given up.
    Halted,
    /// No answer after the merge, or something else was merged than proposed. The change is under way in the clusters:
    /// their statuses say so and the locks stay.
    Stopped,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::GateFailed => "gate_failed",
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the locks are freed.
    fn releases(self) -> bool {
        match self {
            Self::Healthy | Self::RolledBack | Self::GateFailed | Self::Closed | Self::Expired => true,
            Self::RollbackFailed | Self::Halted | Self::Stopped => false,
        }
    }
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run.
    pub run: RunRef,
    /// How it ends.
    pub outcome: Outcome,
    /// Why, from the state before.
    pub reason: String,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How the run ends, for a Choice state.
    pub outcome: Outcome,
    /// True when the request was merged while it was being withdrawn: the run goes on.
    pub merged_meanwhile: bool,
    /// The commit that landed then; otherwise empty.
    pub commit: String,
    /// What happened, for people.
    pub summary: String,
}

impl Task for Settle {
    const NAME: &'static str = "settle";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, outcome, reason } = input;
        if run.dry_run {
            return Ok(Output { outcome, merged_meanwhile: false, commit: String::new(), summary: reason });
        }
        let plan = self.ledger.plan(&run).await?;

        let withdrawn = self.withdraw(&run, &plan, outcome).await?;
        if let Some(MergeAnswer { state: MergeEnd::Merged, commit }) = withdrawn {
            let summary = "merged while it was being withdrawn: the run goes on".to_owned();
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
            return Ok(Output { outcome, merged_meanwhile: true, commit, summary });
        }
        // Landed, but not as proposed: the change is under way in the clusters, whatever this run wanted to end as.
        let is_edited = withdrawn.is_some_and(|answer| answer.state == MergeEnd::Edited);
        let outcome = if is_edited { Outcome::Stopped } else { outcome };
        self.statuses(&run, &plan, outcome).await?;
        let summary = reason;
        // The first outcome stays: a run ends once.
        if self.ledger.read::<OutcomeEntry>(&run.run_id, "outcome").await?.is_none() {
            let entry = OutcomeEntry {
                outcome: outcome.as_str().to_owned(),
                summary: summary.clone(),
                at: self.ledger.clock.now(),
            };
            self.ledger.write(&run, "outcome", &entry).await?;
            self.ledger
                .audit(&run, Self::NAME, format!("settled as {}: {summary}", outcome.as_str()))
                .await?;
        }
        self.tell(&run, &plan, outcome, &summary).await;
        if outcome.releases() {
            self.locks.release(&run.lease()).await.context("release the locks")?;
        }
        Ok(Output { outcome, merged_meanwhile: false, commit: String::new(), summary })
    }
}

impl Settle {
    /// Takes the upgrade request back if the run ends before its merge, and says how the request ended.
    async fn withdraw(
        &self,
        run: &RunRef,
        plan: &Plan,
        outcome: Outcome,
    ) -> Result<Option<MergeAnswer>, TaskError> {
        match outcome {
            Outcome::Healthy | Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Stopped => {
                return Ok(None);
            }
            Outcome::GateFailed | Outcome::Closed | Outcome::Expired | Outcome::Halted => {}
        }
        let waits_for_merge = self.any_is(plan, ClusterStatus::MrCreated).await?;
        let entry: Option<MergeRequestEntry> = self.ledger.read(&run.run_id, "merge-request#upgrade").await?;
        let Some(entry) = entry.filter(|_| waits_for_merge) else { return Ok(None) };
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let request = self
            .merge_requests
            .withdraw(&entry.project, entry.iid)
            .await
            .context("withdraw the merge request")?;
        merge::end_of(&request, &entry, self.commits.as_ref(), self.files.as_ref()).await
    }

    async fn any_is(&self, plan: &Plan, status: ClusterStatus) -> Result<bool, TaskError> {
        for planned in &plan.clusters {
            let row =
                self.ledger.clusters.cluster(&planned.record.cluster_id).await.context("read registry")?;
            if row.is_some_and(|row| row.status == status) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The told state of every cluster.
    async fn statuses(&self, run: &RunRef, plan: &Plan, outcome: Outcome) -> Result<(), TaskError> {
        match outcome {
            Outcome::Healthy | Outcome::RolledBack => {
                let checked = self.ledger.progress(run).await?.in_phase(Phase::Checked);
                for planned in
                    plan.clusters.iter().filter(|planned| checked.contains(&planned.record.cluster_id))
                {
                    let reached = VersionChange::Reached(planned.to(plan.direction).clone());
                    self.ledger
                        .advance(run, &planned.record.cluster_id, ClusterStatus::Healthy, Some(reached), None)
                        .await?;
                }
            }
            Outcome::GateFailed | Outcome::Closed | Outcome::Expired | Outcome::Halted => {
                for planned in &plan.clusters {
                    let id = &planned.record.cluster_id;
                    let row = self.ledger.clusters.cluster(id).await.context("read registry")?;
                    match row.map(|row| row.status) {
                        Some(ClusterStatus::MrCreated) => {
                            self.ledger
                                .advance(run, id, ClusterStatus::Pending, Some(VersionChange::Forget), None)
                                .await?;
                        }
                        Some(ClusterStatus::PreCheckRunning) => {
                            self.ledger.advance(run, id, ClusterStatus::PreCheckFailed, None, None).await?;
                        }
                        // Checked or not yet begun: the status tells it already.
                        _ => {}
                    }
                }
            }
            Outcome::Stopped => {
                for planned in &plan.clusters {
                    let id = &planned.record.cluster_id;
                    let row = self.ledger.clusters.cluster(id).await.context("read registry")?;
                    if row.is_some_and(|row| row.status == ClusterStatus::MrCreated) {
                        self.ledger.advance(run, id, ClusterStatus::Upgrading, None, None).await?;
                    }
                }
            }
            Outcome::RollbackFailed => {}
        }
        Ok(())
    }
}
