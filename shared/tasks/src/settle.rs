//! `settle`: bring a run to its end: statuses, merge request, locks, outcome.
//!
//! Every end before the merge closes GUARD's request, deletes its branch, also one whose request was never opened, and
//! then looks once more: if it was merged meanwhile, nothing is settled and the run goes on. People are told of an end that
//! needs them, before the locks are freed. Safe to run twice: each step looks first.

mod telling;

use std::collections::BTreeSet;
use std::sync::Arc;

use guard_domain::{ClusterId, ClusterStatus, MergeEnd, MergeRequestState, Phase, Plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, MergeAnswer, MergeRequestEntry, OutcomeEntry, RunRef, UPGRADE};
use crate::leftovers::Leftovers;
use crate::merge::Watch;
use crate::task::Task;
use crate::{
    Channels, CommitReader, Context, FileReader, Locks, MergeRequestReader, MergeRequestWriter, TaskError,
    VersionChange,
};

/// The task.
pub struct Settle {
    /// Merge requests, taken back.
    pub merge_requests: Arc<dyn MergeRequestWriter>,
    /// Merge requests, looked at once more.
    pub looks: Arc<dyn MergeRequestReader>,
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
    pub(crate) fn as_str(self) -> &'static str {
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

    /// The end that this word in a run's record stands for, if clusters wait in the middle for a person since, behind its
    /// locks.
    pub(crate) fn in_the_middle(word: &str) -> Option<Self> {
        [Self::Stopped, Self::RollbackFailed].into_iter().find(|one| one.as_str() == word)
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
    /// True when everything was merged while it was being withdrawn: the run goes on.
    pub merged_meanwhile: bool,
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
            return Ok(Output { outcome, merged_meanwhile: false, summary: reason });
        }
        let plan = self.ledger.plan(&run).await?;

        let withdrawn = self.withdraw(&run, outcome).await?;
        if withdrawn.as_ref().is_some_and(|answer| answer.state == MergeEnd::Merged) {
            let summary = "merged while it was being withdrawn: the run goes on".to_owned();
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
            return Ok(Output { outcome, merged_meanwhile: true, summary });
        }
        let (outcome, summary) = after(withdrawn, outcome, reason);
        self.close(&run, &plan, outcome, &summary).await?;
        if outcome.releases() {
            self.locks.release(&run.lease()).await.context("release the locks")?;
        }
        Ok(Output { outcome, merged_meanwhile: false, summary })
    }
}

/// How the run ends, now that its requests were taken back.
fn after(withdrawn: Option<MergeAnswer>, outcome: Outcome, mut summary: String) -> (Outcome, String) {
    match withdrawn.map(|answer| (answer.state, answer.summary)) {
        // Landed, and it was not to go on, or not all of it or not as proposed: the change is under way in the clusters,
        // whatever this run wanted to end as.
        Some((MergeEnd::Merged, _)) => (Outcome::Stopped, format!("{summary}; all was merged meanwhile")),
        Some((MergeEnd::Partly | MergeEnd::Edited, what)) => {
            if !summary.contains(&what) {
                summary = format!("{summary}; {what}");
            }
            (Outcome::Stopped, summary)
        }
        Some((MergeEnd::Closed | MergeEnd::Expired, _)) | None => (outcome, summary),
    }
}

impl Settle {
    /// Brings a run to its end whose execution is dead: nothing can go on, and locks are kept only where clusters are in
    /// the middle.
    pub(crate) async fn bury(
        &self,
        run: &RunRef,
        plan: &Plan,
        outcome: Outcome,
        reason: String,
    ) -> Result<(), TaskError> {
        let withdrawn = self.withdraw(run, outcome).await?;
        let (outcome, summary) = after(withdrawn, outcome, reason);
        self.close(run, plan, outcome, &summary).await?;
        if Outcome::in_the_middle(outcome.as_str()).is_none() {
            self.locks.release(&run.lease()).await.context("release the locks")?;
        }
        Ok(())
    }

    /// Statuses, outcome, and people.
    async fn close(
        &self,
        run: &RunRef,
        plan: &Plan,
        outcome: Outcome,
        summary: &str,
    ) -> Result<(), TaskError> {
        self.statuses(run, plan, outcome).await?;
        // The first outcome stays: a run ends once.
        if self.ledger.read::<OutcomeEntry>(&run.run_id, "outcome").await?.is_none() {
            let entry = OutcomeEntry {
                outcome: outcome.as_str().to_owned(),
                summary: summary.to_owned(),
                at: self.ledger.clock.now(),
            };
            // The line comes first: once the entry is there nobody says it again.
            self.ledger.audit(run, Self::NAME, format!("settled as {}: {summary}", outcome.as_str())).await?;
            self.ledger.write(run, "outcome", &entry).await?;
        }
        self.tell(run, plan, outcome, summary).await;
        Ok(())
    }

    /// Takes back every upgrade request that is still open, looks once more, and says how waiting for them ended. `None`
    /// where nothing was to be taken back: the run is past its merge, or never came near one.
    async fn withdraw(&self, run: &RunRef, outcome: Outcome) -> Result<Option<MergeAnswer>, TaskError> {
        match outcome {
            Outcome::Healthy | Outcome::RolledBack | Outcome::RollbackFailed => return Ok(None),
            Outcome::GateFailed | Outcome::Closed | Outcome::Expired | Outcome::Halted | Outcome::Stopped => {
            }
        }
        let mut requests = self.ledger.merge_requests(&run.run_id, UPGRADE).await?;
        let is_over = outcome == Outcome::Stopped && requests.iter().all(|(_, entry)| entry.landed.is_some());
        if requests.is_empty() || is_over {
            return Ok(None);
        }
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let mut told = Vec::new();
        for (name, entry) in &mut requests {
            if entry.landed.is_some() {
                continue;
            }
            let Some(iid) = self.leftovers().number_of(run, name, entry).await? else {
                self.leftovers().discard(run, entry).await?;
                continue;
            };
            let withdrawn = self
                .merge_requests
                .withdraw(&entry.project, iid)
                .await
                .context("withdraw the merge request")?;
            if withdrawn.request.state == MergeRequestState::Closed && withdrawn.was_open {
                let again = if outcome == Outcome::Closed { ", which was open (again)" } else { "" };
                self.ledger.audit(run, Self::NAME, format!("withdrew {}{again}", entry.shown())).await?;
            }
            told.push(withdrawn.request);
        }
        let watch = Watch {
            requests: self.looks.as_ref(),
            commits: self.commits.as_ref(),
            files: self.files.as_ref(),
            records: self.ledger.records.as_ref(),
            clock: self.ledger.clock.as_ref(),
            who: Self::NAME,
        };
        watch.end(&run.lease(), UPGRADE, &requests, &told, true).await
    }

    /// For requests whose opening was cut short.
    pub(crate) fn leftovers(&self) -> Leftovers<'_> {
        Leftovers { merge_requests: self.merge_requests.as_ref(), ledger: &self.ledger, who: Self::NAME }
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
                let (landed, unlanded) = self.proposed(run).await?;
                for planned in &plan.clusters {
                    let id = &planned.record.cluster_id;
                    let row = self.ledger.clusters.cluster(id).await.context("read registry")?;
                    let status = row.map(|row| row.status);
                    if status == Some(ClusterStatus::PreCheckPassed) && landed.contains(id) {
                        // Opening the request was cut short before the status followed.
                        let aim = Some(VersionChange::Aim(planned.to(plan.direction).clone()));
                        self.ledger.advance(run, id, ClusterStatus::MrCreated, aim, None).await?;
                    } else if status != Some(ClusterStatus::MrCreated) {
                        continue;
                    }
                    let (to, version) = if unlanded.contains(id) {
                        (ClusterStatus::Pending, Some(VersionChange::Forget))
                    } else {
                        (ClusterStatus::Upgrading, None)
                    };
                    self.ledger.advance(run, id, to, version, None).await?;
                }
            }
            Outcome::RollbackFailed => {}
        }
        Ok(())
    }

    /// Clusters whose request landed, and those whose request did not: nothing has changed for them.
    async fn proposed(&self, run: &RunRef) -> Result<(BTreeSet<ClusterId>, BTreeSet<ClusterId>), TaskError> {
        let requests = self.ledger.merge_requests(&run.run_id, UPGRADE).await?;
        let (landed, unlanded): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|(_, entry)| entry).partition(|entry| entry.landed.is_some());
        let ids =
            |entries: Vec<MergeRequestEntry>| entries.into_iter().flat_map(|entry| entry.clusters).collect();
        Ok((ids(landed), ids(unlanded)))
    }
}
