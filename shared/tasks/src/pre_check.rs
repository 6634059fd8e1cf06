//! `pre-check`: may this cluster be upgraded now?
//!
//! Reads EKS, Kubernetes, Flux, Datadog, the cluster's Flux files and what Istio's analyzer says; changes only the
//! cluster's status. Safe to run twice: the status moves are compare-and-set, the result replaces the earlier one of the
//! same run.

use std::sync::Arc;

use guard_domain::analyzer::Seen;
use guard_domain::compatibility::Compatibility;
use guard_domain::pre_check::PreCheck as Check;
use guard_domain::{
    ClusterId, ClusterStatus, Direction, FileContent, Finding, TrafficWindow, Verdict, manifest,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::Analyst;
use crate::ledger::{Ledger, RunRef};
use crate::task::Task;
use crate::{
    ClusterHealthReader, CommitReader, ConfigurationAnalyzer, Context, FileReader, MonitorReader, TaskError,
    TrafficReader,
};

/// The task.
pub struct PreCheck {
    /// What the cluster says.
    pub health: Arc<dyn ClusterHealthReader>,
    /// Traffic before the change.
    pub traffic: Arc<dyn TrafficReader>,
    /// Monitors.
    pub monitors: Arc<dyn MonitorReader>,
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
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
}

/// Answer, small: the findings are in the run record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its verdict.
    pub verdict: Verdict,
    /// The finding that decided, code and subject; empty when it passed.
    pub reason: String,
}

/// What the run record keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreCheckEntry {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub findings: Vec<Finding>,
    /// Start of the baseline window.
    pub baseline_from: Timestamp,
    /// Its end.
    pub baseline_to: Timestamp,
    /// Traffic in it.
    pub baseline: Option<TrafficWindow>,
    /// What Istio's analyzer said, for the comparison after the change; `None` where it gave no whole answer.
    #[serde(default)]
    pub analysis: Option<Seen>,
    /// The Flux files that were checked.
    #[serde(default)]
    pub files: Option<FilesRead>,
}

/// Files as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesRead {
    /// At this commit.
    pub commit: String,
    /// [`FileContent::digest`] of them.
    pub digest: String,
}

impl Task for PreCheck {
    const NAME: &'static str = "pre-check";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, cluster_id } = input;
        let plan = self.ledger.plan(&run).await?;
        let planned = plan
            .cluster(&cluster_id)
            .ok_or_else(|| TaskError::rejected(format!("cluster {cluster_id} is not in the plan")))?;
        let row = &planned.record;
        self.ledger.advance(&run, &cluster_id, ClusterStatus::PreCheckRunning, None, None).await?;

        let to = self.ledger.clock.now();
        let from = to - plan.soak();
        let facts = self.health.health(row).await.context(format!("read {cluster_id}"))?;
        let mut traffic = self
            .traffic
            .traffic(std::slice::from_ref(row), from, to)
            .await
            .context(format!("read traffic of {cluster_id}"))?;
        let baseline = traffic.remove(&cluster_id);
        let monitors = self.monitors.monitors(row).await.context(format!("read monitors of {cluster_id}"))?;
        let head = self
            .commits
            .head(&row.gitlab_repo, &plan.target_branch)
            .await
            .context("read the branch's head")?;
        let files = self
            .files
            .yaml_files(&row.gitlab_repo, &[&row.flux_config_path], &head)
            .await
            .context("read the Flux files")?;

        let compatibility = Compatibility::built_in()
            .map_err(|error| TaskError::internal(format!("compatibility table: {error}")))?;
        let check = Check {
            planned,
            facts: &facts,
            baseline: baseline.as_ref(),
            monitors: &monitors,
            config: &plan.config,
            compatibility: &compatibility,
        };
        let mut findings = check.findings();
        let analyst = Analyst { analyzer: &*self.analyzer, planned, policy: &plan.config.policy };
        let (said, analysis) = analyst.before().await?;
        findings.extend(said);
        let edited = manifest::edit(&files, planned.from(Direction::Upgrade), planned.to(Direction::Upgrade));
        findings.extend(edited.err().unwrap_or_default());

        let verdict = Verdict::of(&findings);
        crate::log::findings(&findings);
        let reason = Finding::decisive(&findings).map(Finding::brief).unwrap_or_default();
        let words = format!("{cluster_id}: pre-check {verdict}, {} findings", findings.len());
        let entry = PreCheckEntry {
            verdict,
            findings,
            baseline_from: from,
            baseline_to: to,
            baseline,
            analysis,
            files: Some(FilesRead { digest: FileContent::digest(&files), commit: head }),
        };
        self.ledger.write(&run, &format!("pre-check#{cluster_id}"), &entry).await?;
        // An open question did not pass; the next run checks again.
        let status = if verdict == Verdict::Pass {
            ClusterStatus::PreCheckPassed
        } else {
            ClusterStatus::PreCheckFailed
        };
        self.ledger.advance(&run, &cluster_id, status, None, None).await?;
        self.ledger.audit(&run, Self::NAME, words).await?;
        Ok(Output { cluster_id, verdict, reason })
    }
}
