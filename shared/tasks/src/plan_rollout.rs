//! `plan-rollout`: which batch comes next?
//!
//! Asked before the first batch and after each one. The order comes from the configuration, how far the rollout has come
//! from the registry and from the run records of its children. Before the first batch it notes the request that the start
//! names, if it names one; nothing else is changed, so it is safe to run at any time.
//!
//! Batches get no request of their own: their executions are named after the rollout's, which Step Functions starts once.

use std::sync::Arc;

use guard_domain::{
    BatchId, ClusterStatus, Direction, IstioVersion, RequestId, RunId, UpgradeSpec, child_name, in_order,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ledger::{Ledger, OutcomeEntry};
use crate::plan_batch::refuse_spec;
use crate::task::{Task, decode};
use crate::{Context, FirstStart, Start, StartRegister, TaskError, start};

/// The task.
pub struct PlanRollout {
    /// Requests that were started before.
    pub starts: Arc<dyn StartRegister>,
    /// Registry, configuration and run records.
    pub ledger: Ledger,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input.
    pub input: Value,
    /// `$$.Execution.Id`.
    pub execution_arn: String,
    /// `$$.Execution.Name`.
    pub execution_name: String,
    /// Batch that was started last and is over; empty before the first.
    pub last_batch: String,
}

/// Input of `rollout` by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutInput {
    target_version: IstioVersion,
    reason: Option<String>,
    soak_minutes: Option<u32>,
    /// The same one again is the same rollout, and starts nothing.
    request_id: Option<RequestId>,
    /// Settings that change together with the version, in every batch.
    upgrade_spec: Option<UpgradeSpec>,
}

/// What the machine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Start this batch.
    Start,
    /// Every batch is healthy at the target.
    Done,
    /// A batch did not get there: no further batch starts.
    Halt,
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
    /// The batch to start; empty otherwise.
    pub batch_id: String,
    /// Name of its execution; empty otherwise.
    pub child: String,
    /// Its input.
    pub input: Value,
    /// The execution that was started by the same request before; empty otherwise.
    pub first_execution: String,
}

impl Output {
    fn stop(decision: Decision, summary: String) -> Self {
        Self {
            decision,
            summary,
            batch_id: String::new(),
            child: String::new(),
            input: json!({}),
            first_execution: String::new(),
        }
    }
}

impl Task for PlanRollout {
    const NAME: &'static str = "plan-rollout";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let run_id = RunId::parse(&input.execution_name)
            .map_err(|e| TaskError::rejected(format!("execution name: {e}")))?;
        let wanted: RolloutInput = decode("input", input.input)?;
        refuse_spec(wanted.upgrade_spec.as_ref(), &wanted.target_version)?;
        let config = self.ledger.config.config().await.context("read configuration")?;
        let sizes = self.ledger.batches.batches().await.context("read registry")?;
        let order = in_order(&config.batch_order, &sizes)
            .map_err(|error| TaskError::rejected(format!("config {error}")))?;
        if let (Some(request_id), "") = (&wanted.request_id, input.last_batch.as_str())
            && let Some(told) = self.started_before(request_id, &input.execution_arn).await?
        {
            return Ok(told);
        }
        for batch in &order {
            if self.is_done(batch, &wanted.target_version).await? {
                continue;
            }
            let child = child_name(&run_id, batch.as_str(), Direction::Upgrade, 1);
            if input.last_batch == batch.as_str() {
                let child_id =
                    RunId::parse(&child).map_err(|e| TaskError::internal(format!("child name: {e}")))?;
                let outcome: Option<OutcomeEntry> = self.ledger.read(&child_id, "outcome").await?;
                let why = outcome.map_or_else(
                    || "it was refused, see its execution".to_owned(),
                    |outcome| outcome.summary,
                );
                return Ok(Output::stop(
                    Decision::Halt,
                    format!("batch {batch} is not healthy at {}: {why}", wanted.target_version),
                ));
            }
            let mut next = json!({"batch_id": batch, "target_version": wanted.target_version});
            if let Some(fields) = next.as_object_mut() {
                fields.extend(wanted.reason.clone().map(|reason| ("reason".to_owned(), json!(reason))));
                fields.extend(wanted.soak_minutes.map(|minutes| ("soak_minutes".to_owned(), json!(minutes))));
                fields
                    .extend(wanted.upgrade_spec.clone().map(|spec| ("upgrade_spec".to_owned(), json!(spec))));
            }
            let summary = format!("batch {batch} comes next");
            return Ok(Output {
                decision: Decision::Start,
                summary,
                batch_id: batch.to_string(),
                child,
                input: next,
                first_execution: String::new(),
            });
        }
        Ok(Output::stop(
            Decision::Done,
            format!("all {} batches are healthy at {} or later", order.len(), wanted.target_version),
        ))
    }
}

impl PlanRollout {
    /// What a second start of a request ends with.
    async fn started_before(
        &self,
        request_id: &RequestId,
        execution_arn: &str,
    ) -> Result<Option<Output>, TaskError> {
        let start = Start {
            machine: "rollout",
            batch_id: None,
            request_id: request_id.clone(),
            execution_arn: execution_arn.to_owned(),
            at: self.ledger.clock.now(),
        };
        let first = start::started_before(&*self.starts, &start).await?;
        Ok(first.map(|first: FirstStart| {
            let summary = start::summary(&start, &first);
            let stop = Output::stop(Decision::AlreadyStarted, summary);
            Output { first_execution: first.execution_arn, ..stop }
        }))
    }

    async fn is_done(&self, batch: &BatchId, target: &IstioVersion) -> Result<bool, TaskError> {
        let rows = self.ledger.batches.batch(batch).await.context(format!("read batch {batch}"))?;
        Ok(rows
            .iter()
            .all(|row| row.status == ClusterStatus::Healthy && row.current_istio_version >= *target))
    }
}
