//! `pre-check`: may this cluster be upgraded now?
//!
//! Reads EKS, Kubernetes, Flux, Datadog, the cluster's Flux files and what Istio's analyzer says; changes only the
//! cluster's status. Safe to run twice: the status moves are compare-and-set, the result replaces the earlier one of the
//! same run.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::analyzer::Seen;
use guard_domain::checks::Subject;
use guard_domain::compatibility::Compatibility;
use guard_domain::flux_chain::Chain;
use guard_domain::manifest::FilesRead;
use guard_domain::restart_plan::RestartPlan;
use guard_domain::retirement::Retirement;
use guard_domain::skew::Skew;
use guard_domain::{
    BaseFacts, ClusterFacts, ClusterId, ClusterRecord, ClusterStatus, ControlPlaneFacts, Direction,
    FileContent, Finding, IntegrationMode, MemoryFacts, MonitorFacts, Plan, PlannedCluster, Reading,
    Standing, TrafficWindow, Unread, Verdict, manifest, post_check,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::Analyst;
use crate::ledger::{Ledger, RunRef};
use crate::task::Task;
use crate::{
    ClusterHealthReader, CommitReader, ConfigurationAnalyzer, Context, ErrorName, FileReader,
    IntegrationReader, MemoryAsked, MemoryReader, MonitorReader, TaskError, TrafficReader,
};

/// The task.
pub struct PreCheck {
    /// What the cluster says.
    pub health: Arc<dyn ClusterHealthReader>,
    /// Traffic before the change.
    pub traffic: Arc<dyn TrafficReader>,
    /// Memory before the change.
    pub memory: Arc<dyn MemoryReader>,
    /// How the numbers are reported.
    pub integration: Arc<dyn IntegrationReader>,
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
    /// Restarts of Istio's containers so far, by pod.
    #[serde(default)]
    pub restarts: BTreeMap<String, u32>,
    /// istiod's own counters so far; `None` where they could not be read.
    #[serde(default)]
    pub control_plane: Option<ControlPlaneFacts>,
    /// The Flux files that were checked.
    #[serde(default)]
    pub files: Option<FilesRead>,
    /// What the restart of the proxies will be; `None` where the workloads could not be read.
    #[serde(default)]
    pub restart: Option<RestartPlan>,
}

/// Everything a pre-check reads. What could not be read leaves questions open, and the others are asked all the same.
struct Read {
    facts: ClusterFacts,
    base: Reading<BaseFacts>,
    memory: Reading<MemoryFacts>,
    integration: Reading<IntegrationMode>,
    baseline: Reading<Option<TrafficWindow>>,
    monitors: Reading<Vec<MonitorFacts>>,
    files: Reading<FluxFiles>,
}

/// The cluster's Flux files, at one commit.
struct FluxFiles {
    commit: String,
    files: Vec<FileContent>,
}

impl FluxFiles {
    fn as_read(&self) -> FilesRead {
        FilesRead::of(&self.commit, &self.files)
    }
}

impl Read {
    /// Something that a second attempt may find readable, or a Flux that is on its way to the newest commit.
    fn may_pass(&self) -> Option<Unread> {
        let others = [
            self.base.as_ref().err(),
            self.memory.as_ref().err(),
            self.integration.as_ref().err(),
            self.baseline.as_ref().err(),
            self.monitors.as_ref().err(),
            self.files.as_ref().err(),
        ];
        let unread = self.facts.gaps().chain(others.into_iter().flatten()).find(|unread| unread.may_pass);
        let at_work = || self.facts.flux.as_ref().ok()?.progressing();
        unread.cloned().or_else(|| self.base.as_ref().ok()?.on_its_way()).or_else(at_work)
    }

    /// Can the files be edited as the upgrade will edit them?
    fn edit(&self, plan: &Plan, planned: &PlannedCluster) -> Vec<Finding> {
        match &self.files {
            Ok(read) => match manifest::edit(&read.files, &plan.aim(planned, Direction::Upgrade)) {
                Ok(edited) => edited.notes,
                Err(refusals) => refusals,
            },
            Err(unread) => vec![Finding::unknown(
                "FILES_UNREAD",
                planned.record.cluster_id.as_str(),
                format!("the Flux files could not be read: {}", unread.why),
                "make them readable and start again: what is not known is never a pass",
            )],
        }
    }
}

impl PreCheck {
    async fn read(&self, row: &ClusterRecord, plan: &Plan, from: Timestamp, to: Timestamp) -> Read {
        let id = &row.cluster_id;
        let facts = self.health.health(row, plan.config.policy.cluster_read()).await;
        let traffic = self.traffic.traffic(std::slice::from_ref(row), from, to).await;
        let policy = &plan.config.policy;
        let asked = MemoryAsked {
            istiod: policy.istiod_memory_left_percent_min > 0,
            nodes: policy.node_memory_left_percent_min > 0,
        };
        let memory = self.memory.memory(row, from, to, asked).await;
        let integration = self.integration.integration(row, from, to).await;
        let monitors = self.monitors.monitors(row).await;
        let facts = facts.unwrap_or_else(|error| ClusterFacts::unread(&error.into()));
        let files = self.files(row, plan).await.map_err(Unread::from);
        Read {
            base: self.base(row, &facts, &files).await,
            facts,
            memory: memory.map_err(Unread::from),
            integration: integration.map_err(Unread::from),
            baseline: traffic.map(|mut of| of.remove(id)).context("read traffic").map_err(Unread::from),
            monitors: monitors.context("read monitors").map_err(Unread::from),
            files,
        }
    }

    /// What each Kustomization of the cluster's files has applied, seen from the branch's head.
    async fn base(
        &self,
        row: &ClusterRecord,
        facts: &ClusterFacts,
        files: &Reading<FluxFiles>,
    ) -> Reading<BaseFacts> {
        let head = files.as_ref().map_err(Unread::clone)?;
        let flux = facts.flux.as_ref().map_err(Unread::clone)?;
        let chain = Chain::of(&flux.kustomizations, &flux.repositories, &row.flux_config_path);
        let mut applied = BTreeMap::new();
        for kustomization in chain.applying {
            let commit = kustomization.applied_commit.clone();
            let standing = self.standing(row, head, commit.as_deref()).await.map_err(Unread::from)?;
            applied.insert(kustomization.name.clone(), (commit, standing));
        }
        Ok(BaseFacts { commit: head.commit.clone(), applied })
    }

    /// Asks GitLab only where the commits are not the same.
    async fn standing(
        &self,
        row: &ClusterRecord,
        head: &FluxFiles,
        applied: Option<&str>,
    ) -> Result<Standing, TaskError> {
        let Some(applied) = applied else { return Ok(Standing::OtherFiles) };
        let project = &row.gitlab_repo;
        if applied == head.commit
            || self.commits.is_ancestor(project, &head.commit, applied).await.context("compare commits")?
        {
            return Ok(Standing::Holds);
        }
        let then = self.files.yaml_files(project, &[&row.flux_config_path], applied).await;
        let then = then.context("read the Flux files as they are applied")?;
        Ok(if then == head.files { Standing::SameFiles } else { Standing::OtherFiles })
    }

    async fn files(&self, row: &ClusterRecord, plan: &Plan) -> Result<FluxFiles, TaskError> {
        let head = self.commits.head(&row.gitlab_repo, &plan.target_branch).await;
        let commit = head.context("read the branch's head")?;
        let files = self.files.yaml_files(&row.gitlab_repo, &[&row.flux_config_path], &commit).await;
        Ok(FluxFiles { files: files.context("read the Flux files")?, commit })
    }
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
        let read = self.read(row, &plan, from, to).await;
        let compatibility = Compatibility::built_in()
            .map_err(|error| TaskError::internal(format!("compatibility table: {error}")))?;
        let retirement = Retirement::built_in()
            .map_err(|error| TaskError::internal(format!("retirement table: {error}")))?;
        let skew = Skew::built_in().map_err(|error| TaskError::internal(format!("skew table: {error}")))?;
        let subject = Subject {
            planned,
            facts: &read.facts,
            base: &read.base,
            baseline: &read.baseline,
            memory: &read.memory,
            integration: &read.integration,
            monitors: &read.monitors,
            config: &plan.config,
            compatibility: &compatibility,
            skew: &skew,
            retirement: &retirement,
            now: to,
        };
        let mut findings = subject.findings();
        let analyst = Analyst { analyzer: &*self.analyzer, planned, policy: &plan.config.policy };
        let (said, analysis) = analyst.before().await?;
        findings.extend(said);
        findings.extend(read.edit(&plan, planned));

        let verdict = Verdict::of(&findings);
        crate::log::findings(&findings);
        let reason = Finding::decisive(&findings).map(Finding::brief).unwrap_or_default();
        let restart = read.facts.restart_plan(&plan.config.policy);
        let to_restart = restart.as_ref().map(|plan| format!("; {}", plan.in_words())).unwrap_or_default();
        let words = format!("{cluster_id}: pre-check {verdict}, {} findings{to_restart}", findings.len());
        // Written before anything is tried again: whoever looks sees how far the check came.
        let passing = read.may_pass();
        let entry = PreCheckEntry {
            verdict,
            findings,
            baseline_from: from,
            baseline_to: to,
            files: read.files.as_ref().ok().map(FluxFiles::as_read),
            restarts: post_check::restarts(&read.facts),
            control_plane: read.facts.control_plane.ok(),
            baseline: read.baseline.ok().flatten(),
            analysis,
            restart,
        };
        self.ledger.write(&run, &format!("pre-check#{cluster_id}"), &entry).await?;
        if let (Verdict::Unknown, Some(unread)) = (verdict, passing) {
            return Err(TaskError::new(ErrorName::Transient, unread.why));
        }
        // An open question did not pass; the next run checks again.
        let status = if verdict == Verdict::Pass {
            ClusterStatus::PreCheckPassed
        } else {
            ClusterStatus::PreCheckFailed
        };
        // The line first: a status that nothing explains is all that is left of a run that dies between the two.
        self.ledger.audit(&run, Self::NAME, words).await?;
        self.ledger.advance(&run, &cluster_id, status, None, None).await?;
        Ok(Output { cluster_id, verdict, reason })
    }
}
