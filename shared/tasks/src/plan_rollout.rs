//! `plan-rollout`: which batch comes next?
//!
//! Asked before the first batch and after each one. The order comes from the configuration, how far the rollout has come
//! from the registry and from the run records of its children. Changes nothing, so it is safe to run at any time.

use guard_domain::{BatchId, ClusterStatus, Direction, IstioVersion, RunId, child_name, in_order};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ledger::{Ledger, OutcomeEntry};
use crate::task::{Task, decode};
use crate::{Context, TaskError};

/// The task.
pub struct PlanRollout {
    /// Registry, configuration and run records.
    pub ledger: Ledger,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The execution's input.
    pub input: Value,
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
}

impl Task for PlanRollout {
    const NAME: &'static str = "plan-rollout";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let run_id = RunId::parse(&input.execution_name)
            .map_err(|e| TaskError::rejected(format!("execution name: {e}")))?;
        let wanted: RolloutInput = decode("input", input.input)?;
        let config = self.ledger.config.config().await.context("read configuration")?;
        let sizes = self.ledger.batches.batches().await.context("read registry")?;
        let order = in_order(&config.batch_order, &sizes)
            .map_err(|error| TaskError::rejected(format!("config {error}")))?;
        let stop = |decision, summary| Output {
            decision,
            summary,
            batch_id: String::new(),
            child: String::new(),
            input: json!({}),
        };
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
                return Ok(stop(
                    Decision::Halt,
                    format!("batch {batch} is not healthy at {}: {why}", wanted.target_version),
                ));
            }
            let mut next = json!({"batch_id": batch, "target_version": wanted.target_version});
            if let Some(fields) = next.as_object_mut() {
                fields.extend(wanted.reason.clone().map(|reason| ("reason".to_owned(), json!(reason))));
                fields.extend(wanted.soak_minutes.map(|minutes| ("soak_minutes".to_owned(), json!(minutes))));
            }
            let summary = format!("batch {batch} comes next");
            return Ok(Output {
                decision: Decision::Start,
                summary,
                batch_id: batch.to_string(),
                child,
                input: next,
            });
        }
        Ok(stop(
            Decision::Done,
            format!("all {} batches are healthy at {} or later", order.len(), wanted.target_version),
        ))
    }
}

impl PlanRollout {
    async fn is_done(&self, batch: &BatchId, target: &IstioVersion) -> Result<bool, TaskError> {
        let rows = self.ledger.batches.batch(batch).await.context(format!("read batch {batch}"))?;
        Ok(rows
            .iter()
            .all(|row| row.status == ClusterStatus::Healthy && row.current_istio_version >= *target))
    }
}
