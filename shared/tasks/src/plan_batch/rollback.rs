//! Planning the way back: asked for by a person, or started by `batch-upgrade` with its run.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{
    BatchId, ClusterStatus, Direction, Finding, Phase, Plan, PlannedCluster, Progress, RequestId, RunId,
    Verdict, text,
};
use serde::Deserialize;

use super::resume::Wish;
use super::{Decision, Output, PlanBatch, tickets};
use crate::ledger::{RollbackEntry, RunRef};
use crate::task::Task as _;
use crate::{Context, Fence, PayloadSchema, TaskError, draft};

/// Input of `batch-rollback` by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackInput {
    batch_id: BatchId,
    reason: String,
    request_id: Option<RequestId>,
    /// A run that ended in the middle of its clusters: this one takes them back.
    resume: Option<RunId>,
}

/// Input of `batch-rollback` when `batch-upgrade` starts it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NestedInput {
    pub(super) run: RunRef,
    #[serde(rename = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID")]
    _started_by: Option<String>,
}

impl PlanBatch {
    pub(super) async fn rollback(
        &self,
        run_id: RunId,
        execution_arn: String,
        input: RollbackInput,
    ) -> Result<Output, TaskError> {
        let config = self.config().await?;
        let rows = self.rows(&input.batch_id, &config).await?;
        let mut run = RunRef {
            schema: PayloadSchema::CURRENT,
            run_id: run_id.clone(),
            batch_id: input.batch_id.clone(),
            fence: Fence(0),
            dry_run: false,
            target_version: None,
            upgrade_spec: None,
        };
        if let Some(request_id) = &input.request_id
            && let Some(told) =
                self.started_before("batch-rollback", &run, request_id, &execution_arn, &config).await?
        {
            return Ok(told);
        }
        if let Some(earlier) = &input.resume {
            let wish = Wish {
                earlier,
                direction: Direction::Rollback,
                reason: Some(input.reason),
                soak_minutes: None,
                overrides: &BTreeMap::new(),
            };
            return self.resume(run, execution_arn, wish).await;
        }
        if let Some(frozen) = self.frozen(&run).await? {
            run.fence =
                self.lock(&frozen).await?.map_err(|held| TaskError::conflict(text::findings(&held)))?;
            self.require_rollback(&run, &frozen).await?;
            return Ok(Self::go(run, &frozen));
        }
        let now = self.ledger.clock.now();
        let (mut plan, without) =
            draft::rollback(run_id, execution_arn, input.batch_id.clone(), rows, config, now);
        plan.reason = Some(input.reason);
        self.keep_known_upgrades(&mut plan).await?;
        let mut findings: Vec<Finding> = without
            .iter()
            .map(|row| {
                Finding::blocking(
                    "NO_PREVIOUS_VERSION",
                    row.cluster_id.as_str(),
                    "its history holds no earlier healthy version",
                    "take it out of the batch, or add the version to its upgrade_history",
                )
            })
            .collect();
        findings
            .extend(plan.clusters.iter().filter(|c| c.record.status != ClusterStatus::Healthy).map(|c| {
            Finding::blocking(
                "NOT_HEALTHY",
                c.record.cluster_id.as_str(),
                format!("its status is {}", c.record.status),
                "a rollback by hand starts from healthy; a run that is under way takes its own clusters back, and what an \
                 ended one left in the middle goes back with \"resume\": \"<its name>\"",
            )
        }));
        if Verdict::of(&findings) != Verdict::Pass {
            return Ok(Self::stop(Decision::Refuse, text::findings(&findings), run, &plan));
        }
        match self.lock(&plan).await? {
            Ok(fence) => run.fence = fence,
            Err(held) => return Ok(Self::stop(Decision::Refuse, text::findings(&held), run, &plan)),
        }
        let ids: Vec<_> = plan.clusters.iter().map(|c| c.record.cluster_id.clone()).collect();
        let progress = Progress(ids.iter().map(|id| (id.clone(), Phase::Failed)).collect());
        self.ledger.write(&run, "progress", &progress).await?;
        self.ledger.write(&run, "rollback", &RollbackEntry { attempt: 1, clusters: ids.clone() }).await?;
        self.ledger.write(&run, "plan", &plan).await?;
        self.require_rollback(&run, &plan).await?;
        Ok(Self::go(run, &plan))
    }

    /// What follows from the plan. A second call does it again, for the first may have died before.
    pub(super) async fn require_rollback(&self, run: &RunRef, plan: &Plan) -> Result<(), TaskError> {
        let count = plan.clusters.len();
        let words = format!("planned the way back of {count} clusters of {}", plan.batch_id);
        self.ledger.audit(run, Self::NAME, words).await?;
        for planned in &plan.clusters {
            let id = &planned.record.cluster_id;
            self.ledger.advance(run, id, ClusterStatus::RollbackRequired, None, None).await?;
        }
        Ok(())
    }

    /// Only an upgrade whose record is there, and which led from and to just these versions, can be taken back change by
    /// change. Of any other cluster the versions are known, and a person is told so in the merge request.
    async fn keep_known_upgrades(&self, plan: &mut Plan) -> Result<(), TaskError> {
        let runs: BTreeSet<RunId> =
            plan.clusters.iter().filter_map(|planned| planned.undoes.clone()).collect();
        let mut upgrades = BTreeMap::new();
        for run_id in runs {
            if let Some(upgrade) = self.ledger.read::<Plan>(&run_id, "plan").await? {
                upgrades.insert(run_id, upgrade);
            }
        }
        for planned in &mut plan.clusters {
            let upgrade = planned.undoes.as_ref().and_then(|run_id| upgrades.get(run_id));
            let led = upgrade.filter(|upgrade| upgrade.direction == Direction::Upgrade);
            let led = led.and_then(|upgrade| upgrade.cluster(&planned.record.cluster_id));
            let is_it = |led: &PlannedCluster| {
                let (ours, theirs) = (&planned.record, &led.record);
                (&led.old, &led.new) == (&planned.old, &planned.new)
                    && (&ours.gitlab_repo, &ours.flux_config_path)
                        == (&theirs.gitlab_repo, &theirs.flux_config_path)
            };
            if !led.is_some_and(is_it) {
                planned.undoes = None;
            }
        }
        Ok(())
    }

    /// The way back inside a run: its locks are held, its failed clusters are known.
    pub(super) async fn nested_rollback(&self, run: RunRef) -> Result<Output, TaskError> {
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let plan = self.ledger.plan(&run).await?;
        let rollback = self.ledger.rollback(&run).await?;
        let clusters =
            tickets(&plan.run_id, rollback.clusters.iter().cloned(), Direction::Rollback, rollback.attempt);
        let summary = format!("taking {} of {} clusters back", clusters.len(), plan.clusters.len());
        Ok(Output { clusters, nested: true, ..Self::stop(Decision::Go, summary, run, &plan) })
    }
}
