//! A fresh start that goes on with a run which ended in the middle of its clusters.
//!
//! The new run has a plan and a record of its own: what was merged, checked and measured before the change is taken over
//! from the record of the run that ended, and everything after the merge is asked and judged anew. What was on its way back
//! goes on with that. No workload is restarted twice: the marks of the run that began count. The run that ended is fenced off
//! by the new one's locks.
//!
//! It is named by whoever starts, never guessed: a schedule must not go on where a person has to look.

use std::collections::BTreeMap;

use guard_domain::{
    ClusterId, ClusterRecord, ClusterStatus, Direction, Finding, Phase, Plan, PlannedCluster, Progress,
    Resumed, RunId, Verdict, freeze, text,
};
use serde_json::Value;

use super::{Decision, Output, PlanBatch, orphans, refuse_problems, tickets};
use crate::holder::Remains;
use crate::ledger::{LandedEntry, ROLLBACK_REQUESTS, RollbackEntry, RunRef, UPGRADE};
use crate::settle::Outcome;
use crate::task::Task as _;
use crate::{Context, TaskError};

/// Entries that the new run takes over: what was found and measured before the change, who was to be restarted first, and what
/// was proposed for the way back.
const TAKEN_OVER: [&str; 3] = ["pre-check#", "canaries#", ROLLBACK_REQUESTS];

/// And those of an upgrade that is gone on with: what was proposed and landed, and when.
const OF_AN_UPGRADE: [&str; 3] =
    ["merge-request#upgrade#", "findings-of-merge-request#upgrade#", "changed-at"];

/// What is asked for.
pub(super) struct Wish<'a> {
    /// The run that ended.
    pub(super) earlier: &'a RunId,
    /// Whether the rest goes on as it was, or all of it goes back.
    pub(super) direction: Direction,
    pub(super) reason: Option<String>,
    pub(super) soak_minutes: Option<u32>,
    /// Gates passed over knowingly: finding code to reason.
    pub(super) overrides: &'a BTreeMap<String, String>,
}

/// What is left of a run.
struct Rest {
    plan: Plan,
    progress: Progress,
}

impl PlanBatch {
    pub(super) async fn resume(
        &self,
        mut run: RunRef,
        execution_arn: String,
        wish: Wish<'_>,
    ) -> Result<Output, TaskError> {
        let earlier = wish.earlier;
        if let Some(frozen) = self.frozen(&run).await? {
            run.fence =
                self.lock(&frozen).await?.map_err(|held| TaskError::conflict(text::findings(&held)))?;
            return self.go_on(run, &frozen, &wish).await;
        }
        let remains = Remains::read(&self.ledger, earlier).await?;
        let Some(old) = &remains.plan else {
            return Err(TaskError::rejected(format!("input.resume: no run {earlier} has planned anything")));
        };
        refuse_another(old, &run, &wish)?;
        let Rest { mut plan, progress } = self.rest(old, &run, execution_arn, wish.direction).await?;
        // As of now: what stopped that run may have been the configuration.
        plan.config = self.config().await?;
        if let Some(minutes) = wish.soak_minutes {
            plan.config.validation.soak_period_minutes = minutes;
            refuse_problems(&plan.config, "input.soak_minutes")?;
        }
        plan.reason.clone_from(&wish.reason);
        let mut findings = if progress.in_phase(Phase::Planned).is_empty() {
            // Nothing holds the way back.
            Vec::new()
        } else {
            freeze::freeze(&plan.config, plan.started_at)
        };
        findings.retain(|finding| !wish.overrides.contains_key(&finding.code));
        findings.extend(self.in_the_middle(&remains, earlier, &plan, &progress).await?);
        if Verdict::of(&findings) != Verdict::Pass {
            return Ok(Self::stop(Decision::Refuse, text::findings(&findings), run, &plan));
        }
        match self.lock(&plan).await? {
            Ok(fence) => run.fence = fence,
            Err(held) => return Ok(Self::stop(Decision::Refuse, text::findings(&held), run, &plan)),
        }
        let again = self.rest(old, &run, plan.execution_arn.clone(), wish.direction).await?;
        if again.plan.clusters != plan.clusters || again.progress != progress {
            // The locks stay: clusters are in the middle, and the next try looks again.
            return Err(TaskError::conflict("the registry changed while the locks were taken"));
        }
        plan.controls = match plan.direction {
            Direction::Upgrade => self.controls(&plan).await?,
            Direction::Rollback => Vec::new(),
        };
        self.take_over(&run, earlier, &plan, &progress, remains.rollbacks).await?;
        self.go_on(run, &plan, &wish).await
    }

    /// What is left to do: of the clusters that the run planned, those that are still in the middle, by their rows as they are
    /// now. A no of that run stands, and so does a rollback that a person asked for, of rows that nobody has touched since.
    async fn rest(
        &self,
        old: &Plan,
        run: &RunRef,
        execution_arn: String,
        direction: Direction,
    ) -> Result<Rest, TaskError> {
        let rows = self.ledger.batches.batch(&old.batch_id).await.context("read registry")?;
        let phases: Progress = self.ledger.read(&old.run_id, "progress").await?.unwrap_or_default();
        let was_no = |id: &ClusterId| phases.0.get(id) == Some(&Phase::Failed);
        let mut clusters = Vec::new();
        // Who is back, or was left out, is told at the end; nothing is done with them.
        let mut progress = phases.clone();
        progress.0.retain(|_, phase| matches!(phase, Phase::RolledBack | Phase::LeftOut));
        for planned in &old.clusters {
            let id = &planned.record.cluster_id;
            let Some(row) = rows.iter().find(|row| row.cluster_id == *id) else { continue };
            let is_untouched = old.direction == Direction::Rollback && *row == planned.record && was_no(id);
            if row.status == ClusterStatus::FailedUpgradeRolledBack {
                progress.0.insert(id.clone(), Phase::RolledBack);
            }
            if !row.status.needs_an_owner() && !is_untouched {
                continue;
            }
            let goes_back = direction == Direction::Rollback
                || row.status == ClusterStatus::RollbackRequired
                || was_no(id);
            progress.0.insert(id.clone(), if goes_back { Phase::Failed } else { Phase::Planned });
            let undoes = match (direction, old.direction) {
                (Direction::Rollback, Direction::Upgrade) => Some(old.run_id.clone()),
                _ => planned.undoes.clone(),
            };
            clusters.push(PlannedCluster { record: row.clone(), undoes, ..planned.clone() });
        }
        let first = old.resumes.as_ref().map_or(&old.run_id, |resumed| &resumed.first).clone();
        let plan = Plan {
            run_id: run.run_id.clone(),
            execution_arn,
            direction,
            started_at: self.ledger.clock.now(),
            clusters,
            resumes: Some(Resumed { run_id: old.run_id.clone(), first }),
            ..old.clone()
        };
        Ok(Rest { plan, progress })
    }

    /// What speaks against going on with it.
    async fn in_the_middle(
        &self,
        remains: &Remains,
        earlier: &RunId,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Vec<Finding>, TaskError> {
        let wrong = |subject: &str, what: String, remedy: &str| {
            Finding::blocking("CANNOT_RESUME", subject, what, remedy)
        };
        let mut findings = Vec::new();
        match &remains.outcome {
            Some(entry) if Outcome::in_the_middle(&entry.outcome).is_some() => {}
            Some(entry) => findings.push(wrong(
                earlier.as_str(),
                format!("it ended as {}, with nothing to go on with", entry.outcome),
                "start without resume; docs/runbook.md says what each end asks for",
            )),
            None => findings.push(wrong(
                earlier.as_str(),
                "it has not come to an end".to_owned(),
                "wait for it, or until sweep has brought it to its end",
            )),
        }
        let requests = self.ledger.merge_requests(earlier, UPGRADE).await?;
        let is_landed = |id: &ClusterId| {
            requests.iter().any(|(_, entry)| {
                entry.clusters.contains(id)
                    && entry.landed.as_ref().is_some_and(|landed| landed.may_be_followed)
            })
        };
        let unlanded = progress.in_phase(Phase::Planned).into_iter().filter(|id| !is_landed(id));
        findings.extend(unlanded.map(|id| {
            wrong(
                id.as_str(),
                "what was merged for it is not what GUARD proposed, or nothing was".to_owned(),
                "look at the merge request; docs/runbook.md says how to bring the cluster to a told state",
            )
        }));
        if plan.clusters.is_empty() {
            findings.push(wrong(
                earlier.as_str(),
                "none of its clusters is in the middle".to_owned(),
                "start without resume",
            ));
        }
        let rows = self.ledger.batches.batch(&plan.batch_id).await.context("read registry")?;
        let others: Vec<ClusterRecord> =
            rows.into_iter().filter(|row| plan.cluster(&row.cluster_id).is_none()).collect();
        findings.extend(orphans(&others));
        Ok(findings)
    }

    /// The record of the new run; its plan comes last.
    async fn take_over(
        &self,
        run: &RunRef,
        earlier: &RunId,
        plan: &Plan,
        progress: &Progress,
        rollbacks: u32,
    ) -> Result<(), TaskError> {
        let mut prefixes: Vec<String> = TAKEN_OVER.map(str::to_owned).to_vec();
        if plan.direction == Direction::Upgrade {
            prefixes.extend(OF_AN_UPGRADE.map(str::to_owned));
        }
        let failed = progress.in_phase(Phase::Failed);
        // Why they go back, for whoever is to merge it.
        prefixes.extend(failed.iter().flat_map(|id| [format!("soak#{id}"), format!("findings#{id}#")]));
        for prefix in prefixes {
            for (name, value) in self.ledger.read_all::<Value>(earlier, &prefix).await? {
                self.ledger.write(run, &name, &value).await?;
            }
        }
        if plan.direction == Direction::Upgrade {
            // Gathered anew: the run may have died before it did so, or only some of its requests landed.
            let mut landed_in = LandedEntry::new();
            for (_, entry) in self.ledger.merge_requests(earlier, UPGRADE).await? {
                let commit = entry.landed.map(|landed| landed.commit);
                landed_in.extend(entry.clusters.into_iter().zip(commit.into_iter().cycle()));
            }
            self.ledger.write(run, &format!("landed#{UPGRADE}"), &landed_in).await?;
        }
        // Tries are counted on, so that each has a branch of its own.
        let (attempt, clusters) = match plan.direction {
            Direction::Upgrade => (rollbacks, Vec::new()),
            Direction::Rollback => (rollbacks + 1, failed),
        };
        if attempt > 0 {
            self.ledger.write(run, "rollback", &RollbackEntry { attempt, clusters }).await?;
        }
        self.ledger.write(run, "progress", progress).await?;
        self.ledger.write(run, "plan", plan).await
    }

    /// Says so. A second call says it again, for the first may have died before.
    async fn go_on(&self, run: RunRef, plan: &Plan, wish: &Wish<'_>) -> Result<Output, TaskError> {
        let back = self.ledger.progress(&run).await?.in_phase(Phase::Failed).len();
        let on = plan.clusters.len().saturating_sub(back);
        let target = plan.headline_version(Direction::Upgrade).map(ToString::to_string).unwrap_or_default();
        let mut left = Vec::new();
        if on > 0 {
            left.push(format!("{on} clusters to {target}, from the merge on"));
        }
        if back > 0 {
            left.push(format!("{back} clusters on their way back"));
        }
        let words = format!("goes on with run {} of {}: {}", wish.earlier, plan.batch_id, left.join("; "));
        self.ledger.audit(&run, Self::NAME, words).await?;
        self.note_overrides(&run, wish.overrides).await?;
        if plan.direction == Direction::Upgrade {
            return Ok(Output { decision: Decision::Resume, ..Self::go(run, plan) });
        }
        self.require_rollback(&run, plan).await?;
        let rollback = self.ledger.rollback(&run).await?;
        let clusters =
            tickets(&plan.run_id, rollback.clusters.into_iter(), Direction::Rollback, rollback.attempt);
        Ok(Output { clusters, ..Self::go(run, plan) })
    }
}

/// Only what was planned for the same batch is gone on with, and an upgrade only to the same version. A rollback goes on with
/// either: from an upgrade it takes back what is in the middle.
fn refuse_another(old: &Plan, run: &RunRef, wish: &Wish<'_>) -> Result<(), TaskError> {
    let earlier = wish.earlier;
    let wrong = if old.batch_id != run.batch_id {
        format!("was of batch {}", old.batch_id)
    } else if wish.direction == Direction::Rollback {
        return Ok(());
    } else if old.direction == Direction::Rollback {
        "was a rollback: start batch-rollback with resume".to_owned()
    } else if old.clusters.iter().any(|planned| Some(&planned.new) != run.target_version.as_ref()) {
        let target = old.headline_version(Direction::Upgrade);
        format!("led to {}", target.map(ToString::to_string).unwrap_or_default())
    } else {
        return Ok(());
    };
    Err(TaskError::rejected(format!("input.resume: run {earlier} {wrong}")))
}
