//! `watch-rollout`: has the merged change arrived in this cluster's Flux and istiod?
//!
//! One look, no waiting. Reads Flux and istiod; changes only the cluster's status (to `upgrading`, on the way up). Safe
//! to run twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::flux_chain::Chain;
use guard_domain::plan::watch_seconds;
use guard_domain::rollout::{Arrival, DRIFTING_LOOKS, arrival};
use guard_domain::{ClusterId, ClusterRecord, ClusterStatus, Direction, Finding, RolloutFacts, Verdict};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{LandedEntry, Ledger, RunRef};
use crate::task::Task;
use crate::{CommitReader, Context, FluxNudger, Locks, RolloutReader, TaskError};

/// The task.
pub struct WatchRollout {
    /// Flux and istiod.
    pub rollouts: Arc<dyn RolloutReader>,
    /// Whether the applied commit holds ours.
    pub commits: Arc<dyn CommitReader>,
    /// Makes Flux look at once, where policy says so.
    pub nudger: Arc<dyn FluxNudger>,
    /// The lock, confirmed before anything is nudged.
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
    /// When following began: the deadline counts from here.
    pub started_at: Timestamp,
}

/// A poll's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// Look again later.
    Pending,
    /// Done.
    Pass,
    /// It will not get there.
    Fail,
    /// No answer.
    Unknown,
}

impl From<Verdict> for Watch {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How it stands.
    pub verdict: Watch,
    /// What was seen, for people.
    pub summary: String,
    /// When it was seen: the next phase counts from here.
    pub at: Timestamp,
    /// Seconds until the next look: few at first.
    pub wait_seconds: u64,
}

impl Task for WatchRollout {
    const NAME: &'static str = "watch-rollout";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, cluster_id, direction, started_at } = input;
        let plan = self.ledger.plan(&run).await?;
        let planned = plan
            .cluster(&cluster_id)
            .ok_or_else(|| TaskError::rejected(format!("cluster {cluster_id} is not in the plan")))?;
        let now = self.ledger.clock.now();
        if direction == Direction::Upgrade {
            self.ledger.advance(&run, &cluster_id, ClusterStatus::Upgrading, None, None).await?;
            // The baseline of the soak ends where the change began.
            if self.ledger.read::<Timestamp>(&run.run_id, "changed-at").await?.is_none() {
                self.ledger.write(&run, "changed-at", &now).await?;
            }
        }

        let commit = self.landed(&run, &cluster_id, direction).await?;
        let row = &planned.record;
        let target = planned.to(direction);
        let facts =
            self.rollouts.rollout(row).await.context(format!("read Flux and istiod of {cluster_id}"))?;
        let mut applied = BTreeMap::new();
        for kustomization in &facts.kustomizations {
            let is_ours = match &kustomization.applied_commit {
                Some(at) => {
                    *at == commit
                        || self
                            .commits
                            .is_ancestor(&row.gitlab_repo, &commit, at)
                            .await
                            .context("compare commits")?
                }
                None => false,
            };
            applied.insert(kustomization.name.as_str(), is_ours);
        }
        let minutes = plan.config.validation.flux_sync_timeout_minutes;
        let deadline = started_at + SignedDuration::from_mins(minutes.into());
        let nudged =
            plan.config.policy.nudge_flux && now < deadline && applied.values().any(|is_ours| !is_ours);
        if nudged {
            self.nudge(&run, row, &facts, started_at).await?;
        }
        let path = &row.flux_config_path;
        let state = arrival(cluster_id.as_str(), &facts, path, target, started_at, |name| {
            applied.get(name).copied().unwrap_or(false)
        });
        let (verdict, summary, finding) = match state {
            Arrival::Arrived => (Watch::Pass, format!("{cluster_id}: Flux and istiod are at {target}"), None),
            Arrival::OnItsWay(seen) if now < deadline => {
                (Watch::Pending, format!("{cluster_id}: {seen}"), None)
            }
            Arrival::OnItsWay(seen) => {
                let finding = Finding::blocking(
                    "ROLLOUT_TIMED_OUT",
                    cluster_id.as_str(),
                    format!("not at {target} after {minutes} minutes; last seen: {seen}"),
                    "look at Flux and istiod in this cluster",
                );
                (Watch::Fail, finding.to_string(), Some(finding))
            }
            Arrival::Drifting(finding) => {
                let looks = self.drifting(&run, &cluster_id, direction).await?;
                if looks < DRIFTING_LOOKS && now < deadline {
                    (Watch::Pending, format!("{cluster_id}: {}", finding.message), None)
                } else {
                    (Watch::Fail, finding.to_string(), Some(finding))
                }
            }
            Arrival::Stuck(finding) => {
                (Verdict::of(std::slice::from_ref(&finding)).into(), finding.to_string(), Some(finding))
            }
        };
        if verdict != Watch::Pending {
            let entry = format!("findings#{cluster_id}#rollout-{}", direction.as_str());
            self.ledger.write(&run, &entry, &finding.into_iter().collect::<Vec<_>>()).await?;
            self.ledger.audit(&run, Self::NAME, summary.clone()).await?;
        }
        let wait_seconds = watch_seconds(now.duration_since(started_at), plan.pace().poll_seconds);
        Ok(Output { verdict, summary, at: now, wait_seconds })
    }
}

impl WatchRollout {
    /// Asks the chain's repositories and Kustomizations to look. The value is the run's own, so that a repeated call asks for
    /// nothing.
    async fn nudge(
        &self,
        run: &RunRef,
        row: &ClusterRecord,
        facts: &RolloutFacts,
        started_at: Timestamp,
    ) -> Result<(), TaskError> {
        let chain = Chain::of(&facts.kustomizations, &facts.repositories, &row.flux_config_path);
        let repositories: Vec<String> =
            chain.repositories.iter().map(|one| one.source.name.clone()).collect();
        let kustomizations: Vec<String> = chain.applying.iter().map(|one| one.name.clone()).collect();
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let value = format!("{} {started_at}", run.run_id);
        self.nudger
            .nudge(row, &repositories, &kustomizations, &value)
            .await
            .context(format!("nudge Flux of {}", row.cluster_id))
    }

    /// How many looks in this phase have seen a release correct drift.
    async fn drifting(
        &self,
        run: &RunRef,
        cluster_id: &ClusterId,
        direction: Direction,
    ) -> Result<u32, TaskError> {
        let entry = format!("drift#{cluster_id}#{}", direction.as_str());
        let looks = self.ledger.read::<u32>(&run.run_id, &entry).await?.unwrap_or_default() + 1;
        self.ledger.write(run, &entry, &looks).await?;
        Ok(looks)
    }

    /// The commit that brought this cluster its change.
    async fn landed(
        &self,
        run: &RunRef,
        cluster_id: &ClusterId,
        direction: Direction,
    ) -> Result<String, TaskError> {
        let name = format!("landed#{}", self.ledger.change_name(run, direction).await?);
        let landed: Option<LandedEntry> = self.ledger.read(&run.run_id, &name).await?;
        landed.and_then(|mut landed| landed.remove(cluster_id)).ok_or_else(|| {
            TaskError::internal(format!("run {} has no commit of {cluster_id} in {name}", run.run_id))
        })
    }
}
