//! `open-merge-request`: propose the version change, for the way up or the way back.
//!
//! Reads the Flux files at one commit, edits them in memory, opens one merge request for each group of clusters. Safe to
//! run twice: what is to be opened is in the run record first, so whoever comes after a crash makes the same change from
//! the same commit and finds what is there. A preview writes nothing and shows the diff.

mod edits;
mod prospects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guard_domain::{
    BatchId, ClusterId, ClusterRecord, ClusterStatus, Direction, FileContent, Finding, Group, Phase, Plan,
    PlannedCluster, Proposal, RunId, text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::edits::{Edits, Undone, is_below, read_by};
use self::prospects::Prospects;
use crate::judge_soak::LookEntry;
use crate::ledger::{self, Ledger, MergeRequestEntry, Opened, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::{
    BatchReader, CommitReader, Context, FileReader, HistoryReader, Locks, MergeRequestWriter, OpenedRequest,
    Opening, TaskError, VersionChange,
};

/// The task.
pub struct OpenMergeRequest {
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestWriter>,
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
        let clusters = self.clusters(&run, &plan, direction).await?;
        let groups = Group::all(&clusters, plan.config.policy.mr_strategy);
        let known: BTreeMap<String, MergeRequestEntry> = if run.dry_run {
            BTreeMap::new()
        } else {
            self.ledger.merge_requests(&run.run_id, &change).await?.into_iter().collect()
        };

        let requests = groups.len();
        let mut drafts = Vec::new();
        let mut pages = Vec::new();
        for (group, n) in groups.into_iter().zip(1..) {
            let name = format!("{}{n:03}", ledger::merge_request_prefix(&change));
            let entry = known.get(&name).cloned();
            // A second call finds what the first one recorded.
            if let Some(opened) = entry.as_ref().and_then(|entry| entry.opened.as_ref()) {
                self.mark(&run, &group, direction, &opened.web_url).await?;
                self.ledger.audit(&run, Self::NAME, opened_line(direction, &opened.web_url)).await?;
                pages.push(opened.web_url.clone());
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

    /// Opens one, or says who is in the way.
    async fn open(
        &self,
        run: &RunRef,
        plan: &Plan,
        direction: Direction,
        change: &str,
        draft: &Draft<'_>,
        (requests, prospects): (usize, &Prospects),
    ) -> Result<Result<String, Finding>, TaskError> {
        let clusters = &draft.group.clusters;
        let (checks, evidence) = match direction {
            Direction::Upgrade => (self.checks(run, &draft.group.ids(), prospects).await?, Vec::new()),
            Direction::Rollback => (Vec::new(), self.evidence(run, clusters).await?),
        };
        let left_out = match direction {
            Direction::Upgrade => self.ledger.progress(run).await?.in_phase(Phase::LeftOut),
            Direction::Rollback => Vec::new(),
        };
        let left_out = self.checks(run, &left_out, prospects).await?;
        let marker = text::marker(&plan.run_id, draft.name.trim_start_matches("merge-request#"));
        let description = text::Description {
            plan,
            direction,
            clusters,
            changes: &draft.edits.changes,
            checks: &checks,
            left_out: &left_out,
            evidence: &evidence,
            requests,
            marker: &marker,
        };
        let proposal = proposal(plan, direction, change, draft, description.render(), &marker);
        let mut entry = draft.known.clone().unwrap_or_else(|| MergeRequestEntry {
            project: proposal.project.clone(),
            clusters: draft.group.ids(),
            base_commit: proposal.base_commit.clone(),
            source_branch: proposal.source_branch.clone(),
            target_branch: proposal.target_branch.clone(),
            marker: proposal.marker.clone(),
            changes: draft.edits.changes.clone(),
            digest: FileContent::digest(&draft.edits.after),
            opened: None,
            landed: None,
        });
        self.ledger.write(run, &draft.name, &entry).await?;
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let opening = self.merge_requests.open(&proposal).await;
        let opened = match opening.context(format!("open merge request in {}", proposal.project))? {
            Opening::Opened(opened) => *opened,
            Opening::Refused(finding) => return Ok(Err(finding)),
        };
        let OpenedRequest { request, commit, notes } = opened;
        let page = request.web_url;
        entry.opened = Some(Opened { iid: request.iid, web_url: page.clone(), commit });
        self.ledger.write(run, &draft.name, &entry).await?;
        tracing::info!(
            merge_request.iid = request.iid,
            "{} merge request {} is open",
            direction.as_str(),
            request.iid
        );
        self.ledger.audit(run, Self::NAME, opened_line(direction, &page)).await?;
        self.mark(run, &draft.group, direction, &page).await?;
        for note in notes {
            self.ledger.audit(run, Self::NAME, format!("{page}: {note}")).await?;
        }
        Ok(Ok(page))
    }

    /// What the pre-checks of these clusters said.
    async fn checks(
        &self,
        run: &RunRef,
        clusters: &[ClusterId],
        prospects: &Prospects,
    ) -> Result<Vec<text::Checked>, TaskError> {
        let mut checks = Vec::new();
        for cluster_id in clusters {
            let name = format!("pre-check#{cluster_id}");
            let entry: Option<PreCheckEntry> = self.ledger.read(&run.run_id, &name).await?;
            checks.extend(entry.map(|entry| text::Checked {
                cluster_id: cluster_id.clone(),
                verdict: entry.verdict,
                findings: entry.findings,
                baseline: entry.baseline,
                prospect: prospects.get(cluster_id).cloned(),
                restart: entry.restart,
            }));
        }
        Ok(checks)
    }

    /// Why these clusters must go back.
    async fn evidence(&self, run: &RunRef, clusters: &[&PlannedCluster]) -> Result<Vec<String>, TaskError> {
        let mut lines = Vec::new();
        for planned in clusters {
            let id = &planned.record.cluster_id;
            if let Some(look) = self.ledger.read::<LookEntry>(&run.run_id, &format!("soak#{id}")).await? {
                lines.extend(look.verdict.reasons.iter().map(|reason| format!("{id}: {reason}")));
            }
            let prefix = format!("findings#{id}#");
            for (_, why) in self.ledger.read_all::<Vec<Finding>>(&run.run_id, &prefix).await? {
                lines.extend(why.iter().map(ToString::to_string));
            }
        }
        Ok(lines)
    }

    /// The status that belongs to an open upgrade request; on the way back the clusters are `rollback-required` already.
    async fn mark(
        &self,
        run: &RunRef,
        group: &Group<'_>,
        direction: Direction,
        url: &str,
    ) -> Result<(), TaskError> {
        if direction == Direction::Rollback {
            return Ok(());
        }
        for planned in &group.clusters {
            let aim = VersionChange::Aim(planned.new.clone());
            self.ledger
                .advance(
                    run,
                    &planned.record.cluster_id,
                    ClusterStatus::MrCreated,
                    Some(aim),
                    Some(url.to_owned()),
                )
                .await?;
        }
        Ok(())
    }
}

fn opened_line(direction: Direction, page: &str) -> String {
    format!("opened {} merge request {page}", direction.as_str())
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

fn proposal(
    plan: &Plan,
    direction: Direction,
    change: &str,
    draft: &Draft<'_>,
    description: String,
    marker: &str,
) -> Proposal {
    let Draft { group, edits, .. } = draft;
    let title = text::title(plan, direction, group.cluster);
    // Each try of the way back has a branch of its own from the start, whatever became of the one before.
    let again = change.strip_prefix("rollback-").filter(|attempt| *attempt != "1");
    let again = again.map(|attempt| format!("-{attempt}")).unwrap_or_default();
    let owners: BTreeSet<&str> =
        group.clusters.iter().map(|planned| planned.record.owner_handle.trim_start_matches('@')).collect();
    Proposal {
        project: group.project.to_owned(),
        base_commit: draft.base_commit.clone(),
        source_branch: format!("{}{again}", text::branch(plan, direction, group.cluster)),
        target_branch: plan.target_branch.clone(),
        commit_message: format!("{title}\n\nGUARD run {}", plan.run_id),
        title,
        description,
        marker: marker.to_owned(),
        files: edits.after.clone(),
        labels: plan.config.gitlab.labels.clone(),
        assignees: owners.into_iter().filter(|owner| !owner.is_empty()).map(str::to_owned).collect(),
        reviewers: plan.config.gitlab.reviewers.clone(),
    }
}
