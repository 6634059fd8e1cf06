//! `restart-proxies`: bring every proxy of a cluster to the version, one step a call.
//!
//! Looks at what runs, restarts the next ones, returns progress; the machine waits and calls again. Safe to run twice:
//! a restarted workload carries the run's mark in its pod template, and a marked one is never restarted again.

use std::sync::Arc;

use guard_domain::restart::{self, Canaries, Restart, RestartStep};
use guard_domain::{ClusterId, ClusterRecord, Direction, Finding, Severity, Verdict};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RunRef};
use crate::task::Task;
use crate::watch_rollout::Watch;
use crate::{Context, DataPlaneReader, Locks, ProxyRestarter, TaskError};

/// Workloads marked in one call: a tenth of a second each, and a call should be over in seconds.
const MOST_A_CALL: usize = 50;

/// The task.
pub struct RestartProxies {
    /// What runs.
    pub data_plane: Arc<dyn DataPlaneReader>,
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
    /// Workloads that a restart can bring there.
    pub total: usize,
    /// Workloads whose restart this call began.
    pub restarting: usize,
    /// Minutes that the rest takes, predicted.
    pub minutes_left: u32,
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
        let (row, target, policy) = (&planned.record, planned.to(direction), &plan.config.policy);
        let mark = restart::mark(plan.marks(), direction);
        let first = format!("canaries#{cluster_id}#{}", direction.as_str());
        let known: Option<Canaries> = self.ledger.read(&run.run_id, &first).await?;

        let facts = self
            .data_plane
            .data_plane(row, known.is_none())
            .await
            .context(format!("read the data plane of {cluster_id}"))?;
        let now = self.ledger.clock.now();
        let mut step = restart::next(&Restart {
            cluster: cluster_id.as_str(),
            target,
            mark: &mark,
            started_at,
            now,
            policy,
            canaries: known.as_ref(),
            facts: &facts,
        });
        let is_late = now >= started_at + SignedDuration::from_mins(policy.restart_timeout_minutes.into());
        if is_late && !step.is_done() && step.stop.is_empty() {
            step.stop.push(timed_out(
                &cluster_id,
                &step,
                &target.to_string(),
                policy.restart_timeout_minutes,
            ));
        }
        let RestartStep { done, total, minutes_left, .. } = step;
        if step.is_done() || !step.stop.is_empty() {
            self.explain(row, &mut step).await;
            let findings = [step.stop, step.stragglers].concat();
            let summary = match Finding::decisive(&findings) {
                Some(finding) => finding.to_string(),
                None => in_the_end(&cluster_id, done, &target.to_string(), &findings),
            };
            crate::log::findings(&findings);
            let entry = format!("findings#{cluster_id}#restart-{}", direction.as_str());
            self.ledger.write(&run, &entry, &findings).await?;
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
            let verdict = Verdict::of(&findings).into();
            return Ok(Output { verdict, summary, done, total, restarting: 0, minutes_left });
        }

        // Who goes first is remembered before anybody goes, so that a lost mark is seen.
        if known.as_ref() != Some(&step.canaries) {
            self.ledger.write(&run, &first, &step.canaries).await?;
        }
        step.mark.truncate(MOST_A_CALL);
        if !step.mark.is_empty() || !step.evict.is_empty() {
            self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        }
        if !step.mark.is_empty() {
            let doing = || format!("restart workloads of {cluster_id}");
            self.restarts.restart(row, &step.mark, &mark).await.context(doing())?;
        }
        if !step.evict.is_empty() {
            let doing = || format!("evict pods of {cluster_id}");
            self.restarts.evict(row, &step.evict).await.context(doing())?;
        }
        let summary = format!(
            "{cluster_id}: {done} of {total} workloads at {target}, restarting {}, about {minutes_left} minutes left",
            step.mark.len()
        );
        Ok(Output {
            verdict: Watch::Pending,
            summary,
            done,
            total,
            restarting: step.mark.len(),
            minutes_left,
        })
    }
}

impl RestartProxies {
    /// Adds what Kubernetes wrote about the workload that stops the restarts. Without it the verdict is the same.
    async fn explain(&self, row: &ClusterRecord, step: &mut RestartStep) {
        let Some(culprit) = &step.culprit else { return };
        let Some(finding) = step.stop.iter_mut().find(|one| one.subject.ends_with(&culprit.to_string()))
        else {
            return;
        };
        match self.data_plane.warnings(row, culprit).await {
            Ok(events) if !events.is_empty() => {
                finding.message = format!("{}; events: {}", finding.message, events.join(" | "));
            }
            Ok(_) => {}
            Err(error) => {
                finding.message = format!("{}; its events could not be read: {error}", finding.message);
            }
        }
    }
}

fn timed_out(cluster_id: &ClusterId, step: &RestartStep, target: &str, minutes: u32) -> Finding {
    const FEW: usize = 5;
    let waiting = step.waiting_for.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    let (done, total) = (step.done, step.total);
    Finding::blocking(
        "RESTART_TIMED_OUT",
        cluster_id.as_str(),
        format!("{done} of {total} workloads at {target} after {minutes} minutes; waiting for {waiting}"),
        "look at these workloads' pods and events; policy.restart_timeout_minutes and the limits beside it say how long \
         a cluster of this size may take",
    )
}

fn in_the_end(cluster_id: &ClusterId, done: usize, target: &str, findings: &[Finding]) -> String {
    let left = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let left = if left == 0 { String::new() } else { format!(", {left} kept their old proxies") };
    format!("{cluster_id}: all {done} restartable workloads run proxy {target}{left}")
}
