//! `open-merge-request`: propose the version change, for the way up or the way back.
//!
//! Reads the Flux files at one commit, edits them in memory, opens one merge request for each group of clusters. Safe to
//! run twice: what is to be opened is in the run record first, so whoever comes after a crash makes the same change from
//! the same commit and finds what is there. A preview writes nothing and shows the diff.

mod earlier;
mod edits;
mod opening;
mod prospects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guard_domain::{
    BatchId, ClusterId, ClusterRecord, Direction, FileContent, Finding, Group, Phase, Plan, PlannedCluster,
    RunId, text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::edits::{Edits, Undone, is_below, read_by};
use self::opening::{opened_line, own_marker};
use self::prospects::Prospects;
use crate::ledger::{self, Ledger, MergeRequestEntry, Opened, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::{
    BatchReader, CommitReader, Context, FileReader, HistoryReader, Locks, MergeRequestReader,
    MergeRequestWriter, TaskError,
};

/// The task.
pub struct OpenMergeRequest {
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestWriter>,
    /// What became of those that an earlier run opened.
    pub looks: Arc<dyn MergeRequestReader>,
    /// What the soak will be compared with.
    pub metrics: Arc<dyn HistoryReader>,
    /// Who else reads the same files.
    pub batches: Arc<dyn BatchReader>,
    /// The lock, confirmed before anything is written outside.
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
    /// Up or back.
    pub direction: Direction,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Each is open.
    Opened,
    /// A dry run: the summary holds the diff.
    Preview,
    /// The files may not be edited; nothing was written.
    Refuse,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// What came of it.
    pub decision: Decision,
    /// Pages of the requests, why not, or the diff of a preview.
    pub summary: String,
}

/// A preview's diff in the payload; the rest is cut, for state data stays small.
const PREVIEW_CHARACTERS: usize = 8_000;

/// Characters of the pages in the answer; the run record has them all.
const PAGES_CHARACTERS: usize = 1_000;

/// One merge request that is to be opened.
struct Draft<'a> {
    /// Of its entry in the run record.
    name: String,
    group: Group<'a>,
    base_commit: String,
    edits: Edits,
    /// What an earlier call wrote down.
    known: Option<MergeRequestEntry>,
}

impl Task for OpenMergeRequest {
    const NAME: &'static str = "open-merge-request";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, direction } = input;
        let plan = self.ledger.plan(&run).await?;
        let change = self.ledger.change_name(&run, direction).await?;
        let mut clusters = self.clusters(&run, &plan, direction).await?;
        let mut known: BTreeMap<String, MergeRequestEntry> = if run.dry_run {
            BTreeMap::new()
        } else {
            self.ledger.merge_requests(&run.run_id, &change).await?.into_iter().collect()
        };
        if direction == Direction::Rollback {
            self.go_on_with_earlier(&run, &change, &mut clusters, &mut known).await?;
        }
        let mut pages = Vec::new();
        // A second call finds what the first one recorded, or an earlier try has opened.
        for (name, entry) in &known {
            let Some(Opened { web_url, .. }) = &entry.opened else { continue };
            self.mark(&run, &plan, &entry.clusters, direction, web_url).await?;
            let is_own = entry.marker == own_marker(&plan, name);
            self.ledger.audit(&run, Self::NAME, opened_line(direction, web_url, is_own)).await?;
            pages.push(web_url.clone());
        }

        let groups = Group::all(&clusters, plan.config.policy.mr_strategy);
        let requests = groups.len();
        let mut drafts = Vec::new();
        for (group, n) in groups.into_iter().zip(1..) {
            let name = format!("{}{n:03}", ledger::merge_request_prefix(&change));
            let entry = known.get(&name).cloned();
            if entry.as_ref().is_some_and(|entry| entry.opened.is_some()) {
                continue;
            }
            drafts.push(Draft {
                name,
                group,
                base_commit: entry.as_ref().map(|entry| entry.base_commit.clone()).unwrap_or_default(),
                edits: Edits::default(),
                known: entry,
            });
        }
        let findings = self.edit(&run, &plan, direction, &mut drafts).await?;
        if !findings.is_empty() {
            return self.refuse(&run, &change, &findings).await;
        }
        if run.dry_run {
            let diffs = drafts.iter().map(|draft| text::diff(&draft.edits.before, &draft.edits.after));
            let diff = diffs.collect::<String>().chars().take(PREVIEW_CHARACTERS).collect();
            return Ok(Output { decision: Decision::Preview, summary: diff });
        }
        let prospects = match direction {
            Direction::Upgrade if !drafts.is_empty() => self.prospects(&run, &plan, &clusters).await?,
            Direction::Upgrade | Direction::Rollback => Prospects::new(),
        };
        for draft in &drafts {
            match self.open(&run, &plan, direction, &change, draft, (requests, &prospects)).await? {
                Ok(page) => pages.push(page),
                Err(finding) => return self.refuse(&run, &change, &[finding]).await,
            }
        }
        let summary = pages.join(" ").chars().take(PAGES_CHARACTERS).collect();
        Ok(Output { decision: Decision::Opened, summary })
    }
}

impl OpenMergeRequest {
    async fn refuse(&self, run: &RunRef, change: &str, findings: &[Finding]) -> Result<Output, TaskError> {
        let summary = text::findings(findings);
        self.ledger.write(run, &ledger::unmerged(change), &summary).await?;
        for finding in findings {
            self.ledger.audit(run, Self::NAME, finding.to_string()).await?;
        }
        Ok(Output { decision: Decision::Refuse, summary })
    }

    async fn clusters<'a>(
        &self,
        run: &RunRef,
        plan: &'a Plan,
        direction: Direction,
    ) -> Result<Vec<&'a PlannedCluster>, TaskError> {
        Ok(match direction {
            Direction::Upgrade if run.dry_run => plan.clusters.iter().collect(),
            Direction::Upgrade => {
                let left_out = self.ledger.progress(run).await?.in_phase(Phase::LeftOut);
                let taken = |planned: &&PlannedCluster| !left_out.contains(&planned.record.cluster_id);
                plan.clusters.iter().filter(taken).collect()
            }
            Direction::Rollback => {
                let failed = self.ledger.rollback(run).await?.clusters;
                plan.clusters.iter().filter(|planned| failed.contains(&planned.record.cluster_id)).collect()
            }
        })
    }

    /// Edits the files of all drafts, before anything is written anywhere.
    async fn edit(
        &self,
        run: &RunRef,
        plan: &Plan,
        direction: Direction,
        drafts: &mut [Draft<'_>],
    ) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        if drafts.is_empty() {
            return Ok(findings);
        }
        let undone = self.undone(plan, direction, drafts).await?;
        let mut heads: BTreeMap<String, String> = BTreeMap::new();
        let mut files: BTreeMap<(String, String), Vec<FileContent>> = BTreeMap::new();
        let projects: BTreeSet<String> = drafts.iter().map(|draft| draft.group.project.to_owned()).collect();
        for project in projects {
            let head = self.commits.head(&project, &plan.target_branch).await;
            heads.insert(project, head.context("read the branch's head")?);
        }
        // One read for all requests of a project that are made from the same commit.
        let mut paths: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for draft in drafts.iter_mut() {
            if draft.known.is_none() {
                draft.base_commit.clone_from(&heads[draft.group.project]);
            }
            let own = draft.group.clusters.iter().map(|planned| planned.record.flux_config_path.clone());
            paths.entry((draft.group.project.to_owned(), draft.base_commit.clone())).or_default().extend(own);
        }
        for ((project, commit), paths) in paths {
            let wanted: Vec<&str> = paths.iter().map(String::as_str).collect();
            let read = self.files.yaml_files(&project, &wanted, &commit).await;
            files.insert((project, commit), read.context("read the Flux files")?);
        }
        let others = self.others().await?;
        for draft in drafts {
            let project = draft.group.project;
            let files = &files[&(project.to_owned(), draft.base_commit.clone())];
            if direction == Direction::Upgrade && draft.known.is_none() && !run.dry_run {
                findings.extend(self.changed_since_checked(run, &draft.group, files).await?);
            }
            let (edits, refusals) = Edits::of(plan, &draft.group, files, direction, &undone);
            let is_refused = !refusals.is_empty();
            findings.extend(refusals);
            findings.extend(reach(&draft.group, &edits, &others));
            if edits.changes.is_empty() && !is_refused {
                findings.push(Finding::blocking(
                    "NOTHING_TO_CHANGE",
                    draft.group.cluster.map_or(project, ClusterId::as_str),
                    "the files are at the wanted version already",
                    "look at why Flux has not brought it to the clusters",
                ));
            }
            draft.edits = edits;
        }
        Ok(findings)
    }

    /// What the upgrades that are taken back have changed.
    async fn undone(
        &self,
        plan: &Plan,
        direction: Direction,
        drafts: &[Draft<'_>],
    ) -> Result<Undone, TaskError> {
        let mut undone = Undone::default();
        if direction == Direction::Upgrade {
            return Ok(undone);
        }
        let clusters = drafts.iter().flat_map(|draft| &draft.group.clusters);
        let runs: BTreeSet<&RunId> = clusters.filter_map(|planned| plan.undone(planned)).collect();
        for run_id in runs {
            for (_, entry) in self.ledger.merge_requests(run_id, ledger::UPGRADE).await? {
                undone.entry((run_id.clone(), entry.project)).or_default().extend(entry.changes);
            }
        }
        Ok(undone)
    }

    /// A file that somebody changed after its check was not checked.
    async fn changed_since_checked(
        &self,
        run: &RunRef,
        group: &Group<'_>,
        files: &[FileContent],
    ) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        for planned in &group.clusters {
            let row = &planned.record;
            let name = format!("pre-check#{}", row.cluster_id);
            let entry: Option<PreCheckEntry> = self.ledger.read(&run.run_id, &name).await?;
            match entry.and_then(|entry| entry.files) {
                Some(checked) => findings.extend(checked.changed(&read_by(&row.flux_config_path, files))),
                None => findings.push(Finding::blocking(
                    "FILES_NOT_CHECKED",
                    row.cluster_id.as_str(),
                    "the run's record holds no pre-check that read its files",
                    "start again: they are checked then",
                )),
            }
        }
        Ok(findings)
    }

    /// Every row of the registry, by batch.
    async fn others(&self) -> Result<Vec<(BatchId, ClusterRecord)>, TaskError> {
        let mut rows = Vec::new();
        for batch in self.batches.batches().await.context("read registry")?.into_keys() {
            let found = self.batches.batch(&batch).await.context(format!("read batch {batch}"))?;
            rows.extend(found.into_iter().map(|row| (batch.clone(), row)));
        }
        Ok(rows)
    }
}

/// An edit that reaches a cluster outside of this change is an outage: any other row that reads an edited file.
fn reach(group: &Group<'_>, edits: &Edits, rows: &[(BatchId, ClusterRecord)]) -> Vec<Finding> {
    let ours: BTreeSet<&ClusterId> =
        group.clusters.iter().map(|planned| &planned.record.cluster_id).collect();
    let mut findings = Vec::new();
    for (batch, row) in rows {
        if ours.contains(&row.cluster_id) || row.gitlab_repo != group.project {
            continue;
        }
        let reads = |file: &&FileContent| is_below(&row.flux_config_path, &file.path);
        findings.extend(edits.after.iter().filter(reads).map(|file| {
            Finding::blocking(
                "FILE_SHARED",
                &file.path,
                format!(
                    "cluster {} of batch {batch} reads it too and is not part of this change",
                    row.cluster_id
                ),
                "give the clusters files of their own, or put them into one batch and one merge request",
            )
        }));
    }
    findings
}
