//! `restart-proxies`: bring every proxy of a cluster to the version, one step a call.
//!
//! Looks at what runs, restarts the next group, returns progress; the machine waits and calls again. Safe to run twice:
//! a restarted workload carries the run's mark in its pod template, and a marked one is never restarted again.

use std::sync::Arc;

use guard_domain::{ClusterId, Direction, Finding, Verdict, restart};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RunRef};
use crate::task::Task;
use crate::watch_rollout::Watch;
use crate::{Context, Locks, ProxyRestarter, TaskError, WorkloadReader};

/// The task.
pub struct RestartProxies {
    /// What runs.
    pub workloads: Arc<dyn WorkloadReader>,
    /// Restarts.
    pub restarts: Arc<dyn ProxyRestarter>,
    /// The lock, confirmed before anything is restarted.
    pub locks: Arc<dyn Locks>,
    /// Registry and run record.
    pub ledger: Ledger,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run.
    pub run: RunRef,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Up or back.
    pub direction: Direction,
    /// When the restarts began: the deadline counts from here.
    pub started_at: Timestamp,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How it stands.
    pub verdict: Watch,
    /// What was seen, for people.
    pub summary: String,
    /// Workloads at the version and ready.
    pub done: usize,
    /// Workloads with proxies.
    pub total: usize,
}

impl Task for RestartProxies {
    const NAME: &'static str = "restart-proxies";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, cluster_id, direction, started_at } = input;
        let plan = self.ledger.plan(&run).await?;
        let planned = plan
            .cluster(&cluster_id)
            .ok_or_else(|| TaskError::rejected(format!("cluster {cluster_id} is not in the plan")))?;
        let (row, target) = (&planned.record, planned.to(direction));
        let mark = restart::mark(&run.run_id, direction);

        let workloads =
            self.workloads.workloads(row).await.context(format!("read workloads of {cluster_id}"))?;
        let step = restart::next(
            cluster_id.as_str(),
            &workloads,
            target,
            &mark,
            plan.config.policy.max_unavailable_workloads,
        );
        let (done, total) = (step.done, step.total);
        let minutes = plan.config.policy.restart_timeout_minutes;
        let is_late = self.ledger.clock.now() >= started_at + SignedDuration::from_mins(minutes.into());

        let mut findings = step.findings.clone();
        if is_late && !step.is_done() {
            let waiting =
                step.waiting_for.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            findings.push(Finding::blocking(
                "RESTART_TIMED_OUT",
                cluster_id.as_str(),
                format!(
                    "{done} of {total} workloads at {target} after {minutes} minutes; waiting for {waiting}"
                ),
                "look at these workloads' pods and events",
            ));
        }
        if step.is_done() || !findings.is_empty() {
            let verdict = Verdict::of(&findings);
            let summary = match findings.first() {
                Some(finding) => finding.to_string(),
                None => format!("{cluster_id}: all {total} workloads run proxy {target}"),
            };
            let entry = format!("findings#{cluster_id}#restart-{}", direction.as_str());
            self.ledger.write(&run, &entry, &findings).await?;
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
            return Ok(Output { verdict: verdict.into(), summary, done, total });
        }

        if !step.restart.is_empty() {
            self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        }
        for workload in &step.restart {
            self.restarts
                .restart(row, workload, &mark)
                .await
                .context(format!("restart {workload} in {cluster_id}"))?;
        }
        let summary = format!(
            "{cluster_id}: {done} of {total} workloads at {target}, restarting {}",
            step.restart.len()
        );
        Ok(Output { verdict: Watch::Pending, summary, done, total })
    }
}
