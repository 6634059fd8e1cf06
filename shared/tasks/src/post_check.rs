//! `post-check`: is the cluster at the version it should be at, and no worse than before?
//!
//! After an upgrade at the new version, after a rollback at the old one. Reads; changes only the status, on the way up.
//! Safe to run twice.

use std::sync::Arc;

use guard_domain::compatibility::Compatibility;
use guard_domain::post_check::After;
use guard_domain::retirement::Retirement;
use guard_domain::skew::Skew;
use guard_domain::{ClusterFacts, ClusterId, ClusterStatus, Direction, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::Analyst;
use crate::ledger::{Ledger, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::{ClusterHealthReader, ConfigurationAnalyzer, ErrorName, Extent, TaskError};

/// The task.
pub struct PostCheck {
    /// What the cluster says.
    pub health: Arc<dyn ClusterHealthReader>,
    /// Istio's own analyzer.
    pub analyzer: Arc<dyn ConfigurationAnalyzer>,
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
    /// Which version is expected.
    pub direction: Direction,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its verdict.
    pub verdict: Verdict,
}

impl Task for PostCheck {
    const NAME: &'static str = "post-check";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, cluster_id, direction } = input;
        let plan = self.ledger.plan(&run).await?;
        let planned = plan
            .cluster(&cluster_id)
            .ok_or_else(|| TaskError::rejected(format!("cluster {cluster_id} is not in the plan")))?;
        if direction == Direction::Upgrade {
            self.ledger.advance(&run, &cluster_id, ClusterStatus::PostCheckRunning, None, None).await?;
        }
        let facts =
            self.health.health(&planned.record, Extent::Whole, plan.config.policy.cluster_read()).await;
        let facts = facts.unwrap_or_else(|error| ClusterFacts::unread(&error.into()));
        let compatibility = Compatibility::built_in()
            .map_err(|error| TaskError::internal(format!("compatibility table: {error}")))?;
        let skew = Skew::built_in().map_err(|error| TaskError::internal(format!("skew table: {error}")))?;
        let retirement = Retirement::built_in()
            .map_err(|error| TaskError::internal(format!("retirement table: {error}")))?;
        let kept: Option<PreCheckEntry> =
            self.ledger.read(&run.run_id, &format!("pre-check#{cluster_id}")).await?;
        let before = kept.as_ref().map(PreCheckEntry::before);
        let after = After {
            planned,
            direction,
            facts: &facts,
            before: before.as_ref(),
            config: &plan.config,
            compatibility: &compatibility,
            skew: &skew,
            retirement: &retirement,
            now: self.ledger.clock.now(),
        };
        let mut findings = after.findings();
        let analyst = Analyst { analyzer: &*self.analyzer, planned, policy: &plan.config.policy };
        findings.extend(analyst.after(&self.ledger, &run, direction).await?);
        let verdict = Verdict::of(&findings);
        crate::log::findings(&findings);
        self.ledger
            .audit(
                &run,
                Self::NAME,
                format!("{cluster_id}: post-check {verdict}, {} findings", findings.len()),
            )
            .await?;
        self.ledger
            .write(&run, &format!("findings#{cluster_id}#post-check-{}", direction.as_str()), &findings)
            .await?;
        let passing = facts.gaps().find(|unread| unread.may_pass);
        if let (Verdict::Unknown, Some(unread)) = (verdict, passing) {
            return Err(TaskError::new(ErrorName::Transient, unread.why.clone()));
        }
        Ok(Output { cluster_id, verdict })
    }
}
