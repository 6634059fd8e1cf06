//! `open-merge-request`: propose the version change, for the way up or the way back.
//!
//! Reads the Flux files at one commit, edits them in memory, opens one merge request. Safe to run twice: the branch and
//! the request are looked for first. A preview writes nothing and shows the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guard_domain::manifest::{self, Change, Edited};
use guard_domain::{
    ClusterId, ClusterStatus, Direction, FileContent, Finding, IstioVersion, Plan, PlannedCluster, Proposal,
    Severity, text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge_soak::LookEntry;
use crate::ledger::{Ledger, MergeRequestEntry, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::{
    BatchReader, CommitReader, Context, FileReader, Locks, MergeRequestWriter, TaskError, VersionChange,
};

/// The task.
pub struct OpenMergeRequest {
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestWriter>,
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
    /// It is open.
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
    /// Page of the request, why not, or the diff of a preview.
    pub summary: String,
}

/// A preview's diff in the payload; the rest is cut, for state data stays small.
const PREVIEW_CHARACTERS: usize = 8_000;

struct Edits {
    before: Vec<FileContent>,
    after: Vec<FileContent>,
    changes: Vec<Change>,
}

impl Task for OpenMergeRequest {
    const NAME: &'static str = "open-merge-request";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, direction } = input;
        let plan = self.ledger.plan(&run).await?;
        let clusters = self.clusters(&run, &plan, direction).await?;
        let entry_name = self.ledger.merge_request_entry(&run, direction).await?;
        // A second call finds what the first one recorded.
        let known: Option<MergeRequestEntry> =
            if run.dry_run { None } else { self.ledger.read(&run.run_id, &entry_name).await? };
        if let Some(entry) = known {
            self.mark(&run, &clusters, direction, &entry.web_url).await?;
            return Ok(Output { decision: Decision::Opened, summary: entry.web_url });
        }

        let project = match one_project(&clusters) {
            Ok(project) => project,
            Err(finding) => return Ok(refuse(&[finding])),
        };
        let head =
            self.commits.head(&project, &plan.target_branch).await.context("read the branch's head")?;
        let proposed = self.proposed(&run, direction).await?;
        let (edits, mut findings) =
            self.edits(&clusters, &project, &head, direction, proposed.as_deref()).await?;
        findings.extend(self.reach(&clusters, &project, &edits).await?);
        if edits.changes.is_empty() && findings.is_empty() {
            findings.push(Finding::blocking(
                "NOTHING_TO_CHANGE",
                &project,
                "the files are at the wanted version already",
                "look at why Flux has not brought it to the clusters",
            ));
        }
        if !findings.is_empty() {
            return Ok(refuse(&findings));
        }
        if run.dry_run {
            let diff: String =
                text::diff(&edits.before, &edits.after).chars().take(PREVIEW_CHARACTERS).collect();
            return Ok(Output { decision: Decision::Preview, summary: diff });
        }

        let evidence = self.evidence(&run, &clusters, direction).await?;
        let attempt = self.ledger.rollback(&run).await?.attempt;
        let proposal = proposal(&plan, &clusters, direction, attempt, project, head, &edits, &evidence);
        self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
        let opened = self
            .merge_requests
            .open(&proposal)
            .await
            .context(format!("open merge request in {}", proposal.project))?;
        let entry = MergeRequestEntry {
            project: opened.project,
            iid: opened.iid,
            web_url: opened.web_url.clone(),
            target_branch: plan.target_branch.clone(),
            changes: edits.changes,
        };
        self.ledger.write(&run, &entry_name, &entry).await?;
        tracing::info!(
            merge_request.iid = entry.iid,
            "{} merge request {} is open",
            direction.as_str(),
            entry.iid
        );
        self.mark(&run, &clusters, direction, &opened.web_url).await?;
        self.ledger
            .audit(
                &run,
                Self::NAME,
                format!("opened {} merge request {}", direction.as_str(), opened.web_url),
            )
            .await?;
        Ok(Output { decision: Decision::Opened, summary: opened.web_url })
    }
}

fn refuse(findings: &[Finding]) -> Output {
    Output { decision: Decision::Refuse, summary: text::findings(findings) }
}

/// True for a file that a cluster reads: its own file, or one in its folder.
fn is_below(flux_config_path: &str, file: &str) -> bool {
    let folder = flux_config_path.trim_end_matches('/');
    file.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn one_project(clusters: &[&PlannedCluster]) -> Result<String, Finding> {
    let projects: BTreeSet<&str> =
        clusters.iter().map(|planned| planned.record.gitlab_repo.as_str()).collect();
    match projects.iter().next() {
        Some(project) if projects.len() == 1 => Ok((*project).to_owned()),
        _ => Err(Finding::blocking(
            "SEVERAL_PROJECTS",
            projects.into_iter().collect::<Vec<_>>().join(", "),
            "a batch's clusters must live in one GitLab project",
            "split the batch by project",
        )),
    }
}

impl OpenMergeRequest {
    async fn clusters<'a>(
        &self,
        run: &RunRef,
        plan: &'a Plan,
        direction: Direction,
    ) -> Result<Vec<&'a PlannedCluster>, TaskError> {
        Ok(match direction {
            Direction::Upgrade => plan.clusters.iter().collect(),
            Direction::Rollback => {
                let failed = self.ledger.rollback(run).await?.clusters;
                plan.clusters.iter().filter(|planned| failed.contains(&planned.record.cluster_id)).collect()
            }
        })
    }

    /// What this run's own upgrade changed, for the way back; a rollback by hand has no upgrade in its record.
    async fn proposed(&self, run: &RunRef, direction: Direction) -> Result<Option<Vec<Change>>, TaskError> {
        if direction == Direction::Upgrade {
            return Ok(None);
        }
        let name = self.ledger.merge_request_entry(run, Direction::Upgrade).await?;
        let upgrade: Option<MergeRequestEntry> = self.ledger.read(&run.run_id, &name).await?;
        Ok(upgrade.map(|entry| entry.changes))
    }

    /// Every file of the clusters, edited. A file that two clusters share is edited once and must suit both. The way back
    /// puts the exact previous values where the upgrade's are.
    async fn edits(
        &self,
        clusters: &[&PlannedCluster],
        project: &str,
        head: &str,
        direction: Direction,
        proposed: Option<&[Change]>,
    ) -> Result<(Edits, Vec<Finding>), TaskError> {
        let mut files: BTreeMap<String, (FileContent, &IstioVersion, &IstioVersion)> = BTreeMap::new();
        let mut findings = Vec::new();
        for planned in clusters {
            let path = &planned.record.flux_config_path;
            let (from, to) = (planned.from(direction), planned.to(direction));
            for file in self.files.yaml_files(project, path, head).await.context(format!("read {path}"))? {
                let shared = files.insert(file.path.clone(), (file.clone(), from, to));
                if shared.is_some_and(|(_, other_from, other_to)| (other_from, other_to) != (from, to)) {
                    findings.push(Finding::blocking(
                        "FILE_SHARED",
                        &file.path,
                        "clusters at different versions share this file",
                        "bring them to one version first, or give each a file of its own",
                    ));
                }
            }
        }
        let mut edits = Edits { before: Vec::new(), after: Vec::new(), changes: Vec::new() };
        let mut take = |before: &[FileContent], result: Result<Edited, Vec<Finding>>| match result {
            Ok(edited) => {
                let is_edited = |file: &&FileContent| edited.files.iter().any(|now| now.path == file.path);
                edits.before.extend(before.iter().filter(is_edited).cloned());
                edits.after.extend(edited.files);
                edits.changes.extend(edited.changes);
            }
            Err(refusals) => findings.extend(refusals),
        };
        if let Some(proposed) = proposed {
            let paths = || clusters.iter().map(|planned| planned.record.flux_config_path.as_str());
            let ours = proposed.iter().filter(|change| paths().any(|path| is_below(path, &change.file)));
            let ours: Vec<Change> = ours.cloned().collect();
            let files: Vec<FileContent> = files.into_values().map(|(file, ..)| file).collect();
            take(&files, manifest::revert(&files, &ours));
        } else {
            for (file, from, to) in files.into_values() {
                let file = [file];
                take(&file, manifest::edit(&file, from, to));
            }
        }
        Ok((edits, findings))
    }

    /// An edit that reaches a cluster outside of this change is an outage: any other row that reads an edited file.
    async fn reach(
        &self,
        clusters: &[&PlannedCluster],
        project: &str,
        edits: &Edits,
    ) -> Result<Vec<Finding>, TaskError> {
        let ours: BTreeSet<&ClusterId> = clusters.iter().map(|planned| &planned.record.cluster_id).collect();
        let mut findings = Vec::new();
        for batch in self.batches.batches().await.context("read registry")?.keys() {
            for row in self.batches.batch(batch).await.context(format!("read batch {batch}"))? {
                if ours.contains(&row.cluster_id) || row.gitlab_repo != project {
                    continue;
                }
                let reads = |file: &FileContent| is_below(&row.flux_config_path, &file.path);
                findings.extend(edits.after.iter().filter(|file| reads(file)).map(|file| {
                    Finding::blocking(
                        "FILE_SHARED",
                        &file.path,
                        format!(
                            "cluster {} of batch {batch} reads it too and is not part of this change",
                            row.cluster_id
                        ),
                        "give the clusters files of their own, or put them into one batch",
                    )
                }));
            }
        }
        Ok(findings)
    }

    /// What a person who is asked to merge should know.
    async fn evidence(
        &self,
        run: &RunRef,
        clusters: &[&PlannedCluster],
        direction: Direction,
    ) -> Result<Vec<String>, TaskError> {
        let mut lines = Vec::new();
        for planned in clusters {
            let id = &planned.record.cluster_id;
            match direction {
                Direction::Upgrade => {
                    if let Some(entry) =
                        self.ledger.read::<PreCheckEntry>(&run.run_id, &format!("pre-check#{id}")).await?
                    {
                        let requests = entry.baseline.map_or(0.0, |window| window.requests);
                        lines.push(format!(
                            "{id}: pre-check {}, baseline of {requests:.0} requests",
                            entry.verdict
                        ));
                        let notes =
                            entry.findings.iter().filter(|finding| finding.severity == Severity::Warning);
                        lines.extend(notes.map(ToString::to_string));
                    }
                }
                Direction::Rollback => {
                    if let Some(look) =
                        self.ledger.read::<LookEntry>(&run.run_id, &format!("soak#{id}")).await?
                    {
                        lines.extend(look.verdict.reasons.iter().map(|reason| format!("{id}: {reason}")));
                    }
                    for (_, why) in
                        self.ledger.read_all::<Vec<Finding>>(&run.run_id, &format!("findings#{id}#")).await?
                    {
                        lines.extend(why.iter().map(ToString::to_string));
                    }
                }
            }
        }
        Ok(lines)
    }

    /// The status that belongs to an open upgrade request; on the way back the clusters are `rollback-required` already.
    async fn mark(
        &self,
        run: &RunRef,
        clusters: &[&PlannedCluster],
        direction: Direction,
        url: &str,
    ) -> Result<(), TaskError> {
        if direction == Direction::Rollback {
            return Ok(());
        }
        for planned in clusters {
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

#[expect(
    clippy::too_many_arguments,
    reason = "each is one line of the merge request; a struct would only rename them"
)]
fn proposal(
    plan: &Plan,
    clusters: &[&PlannedCluster],
    direction: Direction,
    attempt: u32,
    project: String,
    head: String,
    edits: &Edits,
    evidence: &[String],
) -> Proposal {
    let description = text::Description { plan, direction, clusters, changes: &edits.changes, evidence };
    let again =
        if direction == Direction::Rollback && attempt > 1 { format!("-{attempt}") } else { String::new() };
    let title = text::title(plan, direction);
    Proposal {
        project,
        base_commit: head,
        source_branch: format!("{}{again}", text::branch(plan, direction)),
        target_branch: plan.target_branch.clone(),
        commit_message: format!("{title}\n\nGUARD run {}", plan.run_id),
        title,
        description: description.render(),
        files: edits.after.clone(),
        labels: plan.config.gitlab.labels.clone(),
    }
}
