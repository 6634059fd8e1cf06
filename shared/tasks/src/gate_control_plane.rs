//! `gate-control-plane`: is the new istiod well, before any proxy is restarted?
//!
//! One look, no waiting; the machine calls again. Reads what the cluster and Datadog say, and what the pre-check left. A no here
//! is the cheapest of all: the data plane is untouched. Safe to run twice.

use std::sync::Arc;

use guard_domain::control_plane_gate::{Gate, Measured, Step, Traffic, Watch as Window};
use guard_domain::post_check::Before;
use guard_domain::{ClusterFacts, ClusterId, ClusterRecord, Direction, Finding, Reading, Unread};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::watch_rollout::Watch;
use crate::{ClusterHealthReader, Context as _, Extent, MemoryAsked, MemoryReader, TaskError, TrafficReader};

/// Traffic before the change that the look is compared with.
const BASELINE: SignedDuration = SignedDuration::from_hours(1);

/// The task.
pub struct GateControlPlane {
    /// What the cluster says.
    pub health: Arc<dyn ClusterHealthReader>,
    /// Requests.
    pub traffic: Arc<dyn TrafficReader>,
    /// istiod's memory.
    pub memory: Arc<dyn MemoryReader>,
    /// Run record.
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
    /// When the new istiod was there: the watch counts from here.
    pub arrived_at: Timestamp,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How it stands.
    pub verdict: Watch,
    /// What was seen, for people.
    pub summary: String,
    /// When it was seen: the restarts count from here.
    pub at: Timestamp,
    /// Seconds until the next look.
    pub wait_seconds: u64,
}

impl Task for GateControlPlane {
    const NAME: &'static str = "gate-control-plane";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, cluster_id, direction, arrived_at } = input;
        let plan = self.ledger.plan(&run).await?;
        let planned = plan
            .cluster(&cluster_id)
            .ok_or_else(|| TaskError::rejected(format!("cluster {cluster_id} is not in the plan")))?;
        let (row, policy) = (&planned.record, &plan.config.policy);
        let now = self.ledger.clock.now();
        let window = Window::of(direction, arrived_at, policy.control_plane_watch_minutes);

        let facts = self.health.health(row, Extent::Mesh, policy.cluster_read()).await;
        let facts = facts.unwrap_or_else(|error| ClusterFacts::unread(&error.into()));
        // Before that nothing is decided by what was measured, and on the way back nothing at all.
        let measured = if direction == Direction::Upgrade && now >= window.until {
            let asked = MemoryAsked { istiod: policy.istiod_memory_left_percent_min > 0, nodes: false };
            let memory = self.memory.memory(row, arrived_at, now, asked).await;
            Some(Measured {
                traffic: self.requests(&run, row, arrived_at, now).await?,
                memory: memory.context("read istiod's memory").map_err(Unread::from),
            })
        } else {
            None
        };
        let kept: Option<PreCheckEntry> =
            self.ledger.read(&run.run_id, &format!("pre-check#{cluster_id}")).await?;
        let before = kept.as_ref().map(PreCheckEntry::before);
        let gate = Gate {
            planned,
            direction,
            facts: &facts,
            before: before.as_ref(),
            measured: measured.as_ref(),
            config: &plan.config,
        };
        let findings = gate.findings();
        let step = window.step(&findings, now);
        let verdict = match step {
            Step::Watch => Watch::Pending,
            Step::Pass => Watch::Pass,
            Step::Fail => Watch::Fail,
            Step::Unknown => Watch::Unknown,
        };
        let summary = match (Finding::decisive(&findings), step) {
            (Some(finding), _) => finding.to_string(),
            (None, Step::Watch) => format!("{cluster_id}: the new istiod is watched until {}", window.until),
            (None, _) => format!("{cluster_id}: the control plane is well with its old proxies"),
        };
        if verdict != Watch::Pending {
            crate::log::findings(&findings);
            let entry = format!("findings#{cluster_id}#control-plane-{}", direction.as_str());
            self.ledger.write(&run, &entry, &findings).await?;
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
        }
        Ok(Output { verdict, summary, at: now, wait_seconds: window.pause_seconds(now) })
    }
}

impl GateControlPlane {
    /// Before the change, and since the new istiod is there.
    async fn requests(
        &self,
        run: &RunRef,
        row: &ClusterRecord,
        arrived_at: Timestamp,
        now: Timestamp,
    ) -> Result<Reading<Traffic>, TaskError> {
        let changed_at =
            self.ledger.read::<Timestamp>(&run.run_id, "changed-at").await?.unwrap_or(arrived_at);
        let read = async |from: Timestamp, to: Timestamp| -> Result<_, TaskError> {
            let mut found = self.traffic.traffic(std::slice::from_ref(row), from, to).await?;
            Ok(found.remove(&row.cluster_id))
        };
        let both = async {
            let before = read(changed_at - BASELINE, changed_at).await?;
            Ok(Traffic { before, since: read(arrived_at, now).await? })
        };
        let both: Result<Traffic, TaskError> = both.await;
        Ok(both.context("read requests").map_err(Unread::from))
    }
}

impl PreCheckEntry {
    /// What of it a later look is compared with.
    pub(crate) fn before(&self) -> Before<'_> {
        Before {
            findings: &self.findings,
            restarts: self.restarts.clone(),
            control_plane: self.control_plane.as_ref(),
        }
    }
}
