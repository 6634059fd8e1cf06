//! A fresh start that goes on with a run which ended in the middle, from its merge on.
//!
//! The new run has a plan and a record of its own: what was merged, checked and measured before the change is taken over
//! from the record of the run that ended, and everything after the merge is asked and judged anew. No workload is restarted
//! twice: the marks of the run that began count. The run that ended is fenced off by the new one's locks.
//!
//! It is named by whoever starts, never guessed: a schedule must not go on where a person has to look.

use guard_domain::{
    ClusterRecord, ClusterStatus, Direction, Finding, Phase, Plan, PlannedCluster, Progress, Resumed, RunId,
    Verdict, freeze, text,
};
use serde_json::Value;

use super::{Decision, Output, PlanBatch, UpgradeInput, orphans, refuse_problems};
use crate::holder::Remains;
use crate::ledger::{RunRef, UPGRADE};
use crate::settle::Outcome;
use crate::task::Task as _;
use crate::{Context, TaskError};

/// Entries that the new run takes over: what was proposed and landed, what was found and measured before the change, and who
/// was to be restarted first.
const TAKEN_OVER: [&str; 6] = [
    "merge-request#upgrade#",
    "findings-of-merge-request#upgrade#",
    "landed#upgrade",
    "pre-check#",
    "changed-at",
    "canaries#",
];

impl PlanBatch {
    pub(super) async fn resume(
        &self,
        mut run: RunRef,
        execution_arn: String,
        input: &UpgradeInput,
        earlier: &RunId,
    ) -> Result<Output, TaskError> {
        if input.dry_run || input.upgrade_spec.is_some() {
            return Err(TaskError::rejected(
                "input.resume: goes with neither dry_run nor upgrade_spec: what is resumed has its plan",
            ));
        }
        if let Some(frozen) = self.frozen(&run).await? {
            run.fence =
                self.lock(&frozen).await?.map_err(|held| TaskError::conflict(text::findings(&held)))?;
            return self.go_on(run, &frozen, earlier).await;
        }
        let remains = Remains::read(&self.ledger, earlier).await?;
        let Some(old) = &remains.plan else {
            return Err(TaskError::rejected(format!("input.resume: no run {earlier} has planned anything")));
        };
        refuse_another(old, &run, earlier)?;
        let mut plan = self.resumed(old, &run, execution_arn).await?;
        // As of now: what stopped that run may have been the configuration.
        plan.config = self.config().await?;
        if let Some(minutes) = input.soak_minutes {
            plan.config.validation.soak_period_minutes = minutes;
            refuse_problems(&plan.config, "input.soak_minutes")?;
        }
        plan.reason.clone_from(&input.reason);
        let mut findings = freeze::freeze(&plan.config, plan.started_at);
        findings.retain(|finding| !input.overrides.contains_key(&finding.code));
        findings.extend(self.in_the_middle(&remains, earlier, &plan).await?);
        if Verdict::of(&findings) != Verdict::Pass {
            return Ok(Self::stop(Decision::Refuse, text::findings(&findings), run, &plan));
        }
        match self.lock(&plan).await? {
            Ok(fence) => run.fence = fence,
            Err(held) => return Ok(Self::stop(Decision::Refuse, text::findings(&held), run, &plan)),
        }
        if self.resumed(old, &run, plan.execution_arn.clone()).await?.clusters != plan.clusters {
            // The locks stay: clusters are in the middle, and the next try looks again.
            return Err(TaskError::conflict("the registry changed while the locks were taken"));
        }
        plan.controls = self.controls(&plan).await?;
        self.take_over(&run, earlier, &plan).await?;
        self.go_on(run, &plan, earlier).await
    }

    /// The plan that is left: of the clusters that the run planned, those that are still in the middle, by their rows as they
    /// are now.
    async fn resumed(&self, old: &Plan, run: &RunRef, execution_arn: String) -> Result<Plan, TaskError> {
        let rows = self.ledger.batches.batch(&old.batch_id).await.context("read registry")?;
        let is_under_way = |row: &ClusterRecord| {
            matches!(row.status, ClusterStatus::Upgrading | ClusterStatus::PostCheckRunning)
        };
        let of = |planned: &PlannedCluster| {
            let row = rows.iter().find(|row| row.cluster_id == planned.record.cluster_id)?;
            is_under_way(row).then(|| PlannedCluster { record: row.clone(), ..planned.clone() })
        };
        let clusters = old.clusters.iter().filter_map(of).collect();
        let first = old.resumes.as_ref().map_or(&old.run_id, |resumed| &resumed.first).clone();
        Ok(Plan {
            run_id: run.run_id.clone(),
            execution_arn,
            started_at: self.ledger.clock.now(),
            clusters,
            resumes: Some(Resumed { run_id: old.run_id.clone(), first }),
            ..old.clone()
        })
    }

    /// What speaks against going on with it.
    async fn in_the_middle(
        &self,
        remains: &Remains,
        earlier: &RunId,
        plan: &Plan,
    ) -> Result<Vec<Finding>, TaskError> {
        let wrong = |subject: &str, what: String, remedy: &str| {
            Finding::blocking("CANNOT_RESUME", subject, what, remedy)
        };
        let mut findings = Vec::new();
        match &remains.outcome {
            Some(entry) if entry.outcome == Outcome::Stopped.as_str() => {}
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
        let is_landed = |id| {
            requests.iter().any(|(_, entry)| {
                entry.clusters.contains(id)
                    && entry.landed.as_ref().is_some_and(|landed| landed.may_be_followed)
            })
        };
        let unlanded = plan.clusters.iter().filter(|planned| !is_landed(&planned.record.cluster_id));
        findings.extend(unlanded.map(|planned| {
            wrong(
                planned.record.cluster_id.as_str(),
                "what was merged for it is not what GUARD proposed, or nothing was".to_owned(),
                "look at the merge request; docs/runbook.md says how to bring the cluster to a told state",
            )
        }));
        if plan.clusters.is_empty() {
            findings.push(wrong(
                earlier.as_str(),
                "none of its clusters is upgrading".to_owned(),
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
    async fn take_over(&self, run: &RunRef, earlier: &RunId, plan: &Plan) -> Result<(), TaskError> {
        for prefix in TAKEN_OVER {
            for (name, value) in self.ledger.read_all::<Value>(earlier, prefix).await? {
                self.ledger.write(run, &name, &value).await?;
            }
        }
        let ids = plan.clusters.iter().map(|planned| planned.record.cluster_id.clone());
        let progress: Progress = Progress(ids.map(|id| (id, Phase::Planned)).collect());
        self.ledger.write(run, "progress", &progress).await?;
        self.ledger.write(run, "plan", plan).await
    }

    /// Says so. A second call says it again, for the first may have died before.
    async fn go_on(&self, run: RunRef, plan: &Plan, earlier: &RunId) -> Result<Output, TaskError> {
        let target = plan.headline_version(Direction::Upgrade).map(ToString::to_string).unwrap_or_default();
        let words = format!(
            "goes on with run {earlier} from its merge on: {} clusters of {} to {target}",
            plan.clusters.len(),
            plan.batch_id
        );
        self.ledger.audit(&run, Self::NAME, words).await?;
        Ok(Output { decision: Decision::Resume, ..Self::go(run, plan) })
    }
}

/// Only an upgrade of the same batch to the same version is gone on with.
fn refuse_another(old: &Plan, run: &RunRef, earlier: &RunId) -> Result<(), TaskError> {
    let wrong = if old.direction != Direction::Upgrade {
        "was a rollback; only upgrades are resumed".to_owned()
    } else if old.batch_id != run.batch_id {
        format!("was of batch {}", old.batch_id)
    } else if old.clusters.iter().any(|planned| Some(&planned.new) != run.target_version.as_ref()) {
        let target = old.headline_version(Direction::Upgrade);
        format!("led to {}", target.map(ToString::to_string).unwrap_or_default())
    } else {
        return Ok(());
    };
    Err(TaskError::rejected(format!("input.resume: run {earlier} {wrong}")))
}
