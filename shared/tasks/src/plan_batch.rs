//! `plan-batch`: may this batch start, and what exactly will it do?
//!
//! Reads configuration and registry, freezes the plan into the run record and takes the locks. It is the first state of
//! the machines that people start, so it takes their input whole and refuses what it does not understand.
//!
//! A start may name a request; of several starts of the same request only the first goes on, and the others end well
//! before they touch anything. A dry run touches nothing anyway, and notes nothing.
//!
//! Safe to run twice: the same run finds its own start, gets the same lease again, and the plan that was frozen first
//! stays.

mod locking;
mod resume;
mod rollback;

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::{
    BatchId, ClusterRecord, ClusterStatus, Config, Direction, Finding, IstioVersion, MAX_CLUSTERS, Pace,
    Plan, Progress, RequestId, RunId, UpgradeSpec, Verdict, child_name, freeze, in_order, text, upgrade_path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::{Ledger, RunRef, Ticket};
use crate::plan_batch::resume::Wish;
use crate::plan_batch::rollback::NestedInput;
use crate::task::{Task, decode, decode_payload};
use crate::{
    Context, ExecutionReader, Fence, Locks, PayloadSchema, Start, StartRegister, TaskError, draft, start,
};

/// The task.
pub struct PlanBatch {
    /// Requests that were started before.
    pub starts: Arc<dyn StartRegister>,
    /// Locks.
    pub locks: Arc<dyn Locks>,
    /// Whether a lock's holder still runs.
    pub executions: Arc<dyn ExecutionReader>,
    /// Registry, configuration and run record.
    pub ledger: Ledger,
}

/// Which machine asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Machine {
    /// `batch-upgrade`.
    BatchUpgrade,
    /// `batch-rollback`.
    BatchRollback,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Which machine asks.
    pub machine: Machine,
    /// The execution's input, as it came from console, schedule or pipeline.
    pub input: Value,
    /// `$$.Execution.Id`.
    pub execution_arn: String,
    /// `$$.Execution.Name`, the run's id.
    pub execution_name: String,
}

/// Input of `batch-upgrade` by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpgradeInput {
    batch_id: BatchId,
    target_version: IstioVersion,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
    soak_minutes: Option<u32>,
    /// Gates passed over knowingly: finding code to reason.
    #[serde(default)]
    overrides: BTreeMap<String, String>,
    /// The same one again is the same start, and does nothing.
    request_id: Option<RequestId>,
    /// Settings that change together with the version.
    upgrade_spec: Option<UpgradeSpec>,
    /// A run that ended in the middle of its clusters: this one goes on with it.
    resume: Option<RunId>,
}

/// What the machine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Go,
    /// Go on where an earlier run ended.
    Resume,
    /// A gate says no; nothing was written.
    Refuse,
    /// Every cluster is at the target already.
    NothingToDo,
    /// Another execution was started by the same request before.
    AlreadyStarted,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// What the machine does next.
    pub decision: Decision,
    /// Why, for people.
    pub summary: String,
    /// The run, handed from state to state.
    pub run: RunRef,
    /// The clusters of the way.
    pub clusters: Vec<Ticket>,
    /// Waiting times.
    pub pace: Pace,
    /// True when another machine started this one: it reports a verdict instead of failing.
    pub nested: bool,
    /// The execution that was started by the same request before; empty otherwise.
    pub first_execution: String,
}

impl Task for PlanBatch {
    const NAME: &'static str = "plan-batch";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let run_id = RunId::parse(&input.execution_name)
            .map_err(|e| TaskError::rejected(format!("execution name: {e}")))?;
        match input.machine {
            Machine::BatchUpgrade => {
                self.upgrade(run_id, input.execution_arn, decode("input", input.input)?).await
            }
            Machine::BatchRollback if input.input.get("run").is_some() => {
                let nested: NestedInput = decode_payload("input", input.input)?;
                self.nested_rollback(nested.run).await
            }
            Machine::BatchRollback => {
                self.rollback(run_id, input.execution_arn, decode("input", input.input)?).await
            }
        }
    }
}

impl PlanBatch {
    async fn upgrade(
        &self,
        run_id: RunId,
        execution_arn: String,
        input: UpgradeInput,
    ) -> Result<Output, TaskError> {
        let mut config = self.config().await?;
        if let Some(minutes) = input.soak_minutes {
            config.validation.soak_period_minutes = minutes;
            refuse_problems(&config, "input.soak_minutes")?;
        }
        refuse_spec(input.upgrade_spec.as_ref(), &input.target_version)?;
        let rows = self.rows(&input.batch_id, &config).await?;
        let mut run = RunRef {
            schema: PayloadSchema::CURRENT,
            run_id: run_id.clone(),
            batch_id: input.batch_id.clone(),
            fence: Fence(0),
            dry_run: input.dry_run,
            target_version: Some(input.target_version.clone()),
            upgrade_spec: input.upgrade_spec.clone().filter(|_| input.dry_run),
        };
        if let (Some(request_id), false) = (&input.request_id, input.dry_run)
            && let Some(told) =
                self.started_before("batch-upgrade", &run, request_id, &execution_arn, &config).await?
        {
            return Ok(told);
        }
        if let Some(earlier) = &input.resume {
            if input.dry_run || input.upgrade_spec.is_some() {
                return Err(TaskError::rejected(
                    "input.resume: goes with neither dry_run nor upgrade_spec: what is resumed has its plan",
                ));
            }
            let wish = Wish {
                earlier,
                direction: Direction::Upgrade,
                reason: input.reason.clone(),
                soak_minutes: input.soak_minutes,
                overrides: &input.overrides,
            };
            return self.resume(run, execution_arn, wish).await;
        }
        for row in &rows {
            // One sentence that names the field a person typed, the cluster and the way out.
            upgrade_path::step(
                &row.current_istio_version,
                &input.target_version,
                config.policy.allow_pre_release,
            )
            .map_err(|refusal| {
                TaskError::rejected(format!("input.target_version: cluster {}: {refusal}", row.cluster_id))
            })?;
        }
        if let Some(frozen) = self.frozen(&run).await? {
            run.fence =
                self.lock(&frozen).await?.map_err(|held| TaskError::conflict(text::findings(&held)))?;
            self.note_plan(&run, &frozen, &input.overrides).await?;
            return Ok(Self::go(run, &frozen));
        }
        let now = self.ledger.clock.now();
        let mut plan = draft::upgrade(
            run_id,
            execution_arn,
            input.batch_id.clone(),
            rows.clone(),
            &input.target_version,
            config,
            now,
        );
        plan.reason = input.reason;
        plan.upgrade_spec = input.upgrade_spec;
        if plan.clusters.is_empty() {
            let summary =
                format!("every cluster of {} is at {} already", plan.batch_id, input.target_version);
            return Ok(Self::stop(Decision::NothingToDo, summary, run, &plan));
        }

        let mut findings = freeze::freeze(&plan.config, now);
        findings.extend(self.prerequisites(&plan, &input.target_version).await?);
        if run.dry_run {
            findings.extend(orphans(&rows));
        }
        findings.retain(|finding| !input.overrides.contains_key(&finding.code));
        if Verdict::of(&findings) != Verdict::Pass {
            return Ok(Self::stop(Decision::Refuse, text::findings(&findings), run, &plan));
        }
        if run.dry_run {
            return Ok(Self::go(run, &plan));
        }

        match self.lock(&plan).await? {
            Ok(fence) => run.fence = fence,
            Err(held) => return Ok(Self::stop(Decision::Refuse, text::findings(&held), run, &plan)),
        }
        // Statuses are looked at under the lock: before it, a live run may own them.
        let findings = orphans(&self.ledger.batches.batch(&plan.batch_id).await.context("read registry")?);
        if Verdict::of(&findings) != Verdict::Pass {
            self.locks.release(&run.lease()).await.context("release the locks")?;
            return Ok(Self::stop(Decision::Refuse, text::findings(&findings), run, &plan));
        }
        plan.controls = self.controls(&plan).await?;
        let progress = Progress::planned(plan.clusters.iter().map(|c| c.record.cluster_id.clone()));
        self.ledger.write(&run, "progress", &progress).await?;
        self.ledger.write(&run, "plan", &plan).await?;
        self.note_plan(&run, &plan, &input.overrides).await?;
        Ok(Self::go(run, &plan))
    }

    /// Says what was planned. A second call says it again, for the first may have died before.
    async fn note_plan(
        &self,
        run: &RunRef,
        plan: &Plan,
        overrides: &BTreeMap<String, String>,
    ) -> Result<(), TaskError> {
        let target = run.target_version.as_ref().map_or_else(String::new, |target| format!(" to {target}"));
        let words = format!("planned {} clusters of {}{target}", plan.clusters.len(), plan.batch_id);
        self.ledger.audit(run, Self::NAME, words).await?;
        self.note_overrides(run, overrides).await
    }

    /// Which gates were passed over knowingly.
    async fn note_overrides(
        &self,
        run: &RunRef,
        overrides: &BTreeMap<String, String>,
    ) -> Result<(), TaskError> {
        for (code, reason) in overrides {
            self.ledger.audit(run, Self::NAME, format!("gate {code} overridden: {reason}")).await?;
        }
        Ok(())
    }

    async fn config(&self) -> Result<Config, TaskError> {
        let config = self.ledger.config.config().await.context("read configuration")?;
        refuse_problems(&config, "config")?;
        Ok(config)
    }

    /// What a second start of a request ends with.
    async fn started_before(
        &self,
        machine: &'static str,
        run: &RunRef,
        request_id: &RequestId,
        execution_arn: &str,
        config: &Config,
    ) -> Result<Option<Output>, TaskError> {
        let start = Start {
            machine,
            batch_id: Some(run.batch_id.clone()),
            request_id: request_id.clone(),
            execution_arn: execution_arn.to_owned(),
            at: self.ledger.clock.now(),
        };
        let first = start::started_before(&*self.starts, &start).await?;
        Ok(first.map(|first| Output {
            decision: Decision::AlreadyStarted,
            summary: start::summary(&start, &first),
            run: run.clone(),
            clusters: Vec::new(),
            pace: Pace::of(config),
            nested: false,
            first_execution: first.execution_arn,
        }))
    }

    /// The batch's rows, after the checks that need no plan.
    async fn rows(&self, batch_id: &BatchId, config: &Config) -> Result<Vec<ClusterRecord>, TaskError> {
        let sizes = self.ledger.batches.batches().await.context("read registry")?;
        if !sizes.contains_key(batch_id) {
            let known = sizes.keys().map(BatchId::as_str).collect::<Vec<_>>().join(", ");
            return Err(TaskError::rejected(format!(
                "input.batch_id: `{batch_id}` is not a batch; known are {known}"
            )));
        }
        in_order(&config.batch_order, &sizes)
            .map_err(|error| TaskError::rejected(format!("config {error}")))?;
        let rows = self.ledger.batches.batch(batch_id).await.context("read registry")?;
        if rows.len() > MAX_CLUSTERS {
            let count = rows.len();
            return Err(TaskError::rejected(format!(
                "input.batch_id: `{batch_id}` has {count} clusters, at most {MAX_CLUSTERS} fit one batch; split it"
            )));
        }
        Ok(rows)
    }

    /// Clusters to judge the soak beside.
    async fn controls(&self, plan: &Plan) -> Result<Vec<ClusterRecord>, TaskError> {
        let batches = self.ledger.batches.batches().await.context("read registry")?;
        let mut others = Vec::new();
        for batch in batches.keys().filter(|batch| **batch != plan.batch_id) {
            others.extend(self.ledger.batches.batch(batch).await.context(format!("read batch {batch}"))?);
        }
        Ok(plan.choose_controls(others))
    }

    /// A prerequisite batch counts when all its clusters are healthy at the target or later.
    async fn prerequisites(&self, plan: &Plan, target: &IstioVersion) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        for batch in plan.config.batch_order.get(&plan.batch_id).into_iter().flatten() {
            let rows = self.ledger.batches.batch(batch).await.context(format!("read batch {batch}"))?;
            let behind: Vec<&str> = rows
                .iter()
                .filter(|row| row.status != ClusterStatus::Healthy || row.current_istio_version < *target)
                .map(|row| row.cluster_id.as_str())
                .collect();
            if !behind.is_empty() {
                findings.push(Finding::blocking(
                    "PREREQUISITE_BATCH",
                    format!("batch {batch}"),
                    format!("not healthy at {target} or later: {}", behind.join(", ")),
                    format!("upgrade batch {batch} first"),
                ));
            }
        }
        Ok(findings)
    }

    /// The plan this run froze before, if this is its second call.
    async fn frozen(&self, run: &RunRef) -> Result<Option<Plan>, TaskError> {
        if run.dry_run { Ok(None) } else { self.ledger.read(&run.run_id, "plan").await }
    }

    fn go(run: RunRef, plan: &Plan) -> Output {
        let ids = plan.clusters.iter().map(|c| c.record.cluster_id.clone());
        let clusters = tickets(&plan.run_id, ids, plan.direction, 1);
        let summary = format!("{} clusters of {}", clusters.len(), plan.batch_id);
        Output { clusters, ..Self::stop(Decision::Go, summary, run, plan) }
    }

    fn stop(decision: Decision, summary: String, run: RunRef, plan: &Plan) -> Output {
        let (clusters, pace) = (Vec::new(), plan.pace());
        Output { decision, summary, run, clusters, pace, nested: false, first_execution: String::new() }
    }
}

/// Refuses a spec that cannot be followed, with every field that is wrong.
pub(crate) fn refuse_spec(spec: Option<&UpgradeSpec>, target: &IstioVersion) -> Result<(), TaskError> {
    let problems = spec.map(|spec| spec.problems(target)).unwrap_or_default();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(TaskError::rejected(format!("input.upgrade_spec.{}", problems.join("; input.upgrade_spec."))))
    }
}

fn refuse_problems(config: &Config, what: &str) -> Result<(), TaskError> {
    let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(TaskError::rejected(format!("{what}: {}", problems.join("; "))))
    }
}

/// Clusters left in the middle by a run that is gone.
fn orphans(rows: &[ClusterRecord]) -> Vec<Finding> {
    rows.iter()
        .filter(|row| row.status.needs_an_owner() || row.status == ClusterStatus::MrCreated)
        .map(|row| {
            Finding::blocking(
                "UNFINISHED_RUN",
                row.cluster_id.as_str(),
                format!("its status is {}, and no live run owns it", row.status),
                "look at the last run of this batch: start again with \"resume\": \"<its name>\" to go on with it, \
                 or bring the cluster to a told state as docs/runbook.md says",
            )
        })
        .collect()
}

/// Names of the children of this direction.
pub(crate) fn tickets(
    run_id: &RunId,
    ids: impl Iterator<Item = guard_domain::ClusterId>,
    direction: Direction,
    attempt: u32,
) -> Vec<Ticket> {
    ids.map(|id| Ticket { child: child_name(run_id, id.as_str(), direction, attempt), cluster_id: id })
        .collect()
}
