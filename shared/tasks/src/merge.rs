//! How waiting for merge requests ends: asked of the Git server, by whoever needs to know.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{
    ClusterId, FileContent, Finding, Landing, MergeEnd, MergeRequest, MergeRequestState, Plan, RunId, Stand,
    manifest, text,
};
use serde_json::Value;

use crate::ledger::{Landed, LandedEntry, MergeAnswer, MergeRequestEntry, Opened, unmerged};
use crate::{
    AuditEntry, Clock, CommitReader, Context, FileReader, Lease, MergeRequestReader, RunRecords, TaskError,
};

/// Whoever looks.
pub(crate) struct Watch<'a> {
    pub(crate) requests: &'a dyn MergeRequestReader,
    pub(crate) commits: &'a dyn CommitReader,
    pub(crate) files: &'a dyn FileReader,
    pub(crate) records: &'a dyn RunRecords,
    pub(crate) clock: &'a dyn Clock,
    /// The task, for the audit log.
    pub(crate) who: &'static str,
}

/// The merge requests of one change, by the names of their entries.
pub(crate) type Requests = [(String, MergeRequestEntry)];

/// Merge requests that must be asked for, by project: those that are open as far as the run knows.
pub(crate) fn to_ask(requests: &Requests) -> BTreeMap<&str, Vec<u64>> {
    let mut by_project: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (_, entry) in requests {
        if let (Some(opened), None) = (&entry.opened, &entry.landed) {
            by_project.entry(&entry.project).or_default().push(opened.iid);
        }
    }
    by_project
}

impl Watch<'_> {
    /// Asks for all of them, a page at a time.
    pub(crate) async fn ask(&self, requests: &Requests) -> Result<Vec<MergeRequest>, TaskError> {
        let mut told = Vec::new();
        for (project, iids) in to_ask(requests) {
            let found = self.requests.merge_requests(project, &iids).await;
            told.extend(found.context("look at the merge requests")?);
        }
        Ok(told)
    }

    /// How the waiting ends, from what the Git server told; `None` while it goes on. What landed is compared with what was
    /// proposed and noted in the run record, once.
    pub(crate) async fn end(
        &self,
        lease: &Lease,
        change: &str,
        requests: &Requests,
        told: &[MergeRequest],
        is_expired: bool,
    ) -> Result<Option<MergeAnswer>, TaskError> {
        let merged: Vec<(&MergeRequestEntry, &MergeRequest)> = requests
            .iter()
            .filter(|(_, entry)| entry.landed.is_none())
            .filter_map(|(_, entry)| Some((entry, seen(entry, told)?)))
            .filter(|(_, request)| request.state == MergeRequestState::Merged)
            .collect();
        let branches = self.branches(&merged).await?;
        let mut stands = Vec::new();
        let mut findings = Vec::new();
        let mut landed_in = LandedEntry::new();
        for (name, entry) in requests {
            let stand = match (&entry.landed, seen(entry, told)) {
                (Some(landed), _) if landed.may_be_followed => Stand::Merged,
                (Some(_), _) => Stand::Edited,
                (None, Some(request)) if request.state == MergeRequestState::Merged => {
                    let (landed, stand, found) =
                        self.landed(&lease.run_id, entry, request, &branches).await?;
                    self.note(lease, name, entry, &landed, &found).await?;
                    findings.extend(found);
                    landed_in.extend(entry.clusters.iter().map(|id| (id.clone(), landed.commit.clone())));
                    stand
                }
                (None, Some(request))
                    if request.state == MergeRequestState::Open && !request.is_branch_gone =>
                {
                    Stand::Open
                }
                // Closed; or without a branch, which nobody can merge; or deleted; or never opened.
                (None, _) => Stand::Closed,
            };
            if let Some(landed) = &entry.landed {
                landed_in.extend(entry.clusters.iter().map(|id| (id.clone(), landed.commit.clone())));
            }
            stands.push(stand);
        }
        let Some(state) = MergeEnd::of(&stands, is_expired) else { return Ok(None) };
        if state == MergeEnd::Merged {
            self.put(lease, &format!("landed#{change}"), &landed_in).await?;
        }
        if findings.is_empty() && state != MergeEnd::Merged {
            findings = self.noted(&lease.run_id, requests).await?;
        }
        let summary = summary(state, requests, &stands, told, &findings);
        if state != MergeEnd::Merged {
            self.put(lease, &unmerged(change), &summary).await?;
        }
        Ok(Some(MergeAnswer { state, summary }))
    }

    /// The target branches of what was merged, and the proposed files as they are there: one read a project.
    async fn branches<'a>(
        &self,
        merged: &[(&'a MergeRequestEntry, &MergeRequest)],
    ) -> Result<BTreeMap<&'a str, (String, Vec<FileContent>)>, TaskError> {
        let mut paths: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (entry, _) in merged {
            paths.entry((&entry.project, &entry.target_branch)).or_default().extend(entry.files());
        }
        let mut branches = BTreeMap::new();
        for ((project, branch), paths) in paths {
            let head = self.commits.head(project, branch).await.context("read the branch's head")?;
            let paths: Vec<&str> = paths.into_iter().collect();
            let files = self.files.files(project, &paths, &head).await.context("read the merged files")?;
            branches.insert(project, (head, files));
        }
        Ok(branches)
    }

    /// A merged one, compared with what was proposed: a person may have edited it. With fast-forward merges or merge trains
    /// the Git server names no commit of its own, so the branch is asked.
    async fn landed(
        &self,
        run_id: &RunId,
        entry: &MergeRequestEntry,
        request: &MergeRequest,
        branches: &BTreeMap<&str, (String, Vec<FileContent>)>,
    ) -> Result<(Landed, Stand, Vec<Finding>), TaskError> {
        let (head, files) = branches
            .get(entry.project.as_str())
            .ok_or_else(|| TaskError::internal(format!("{} was not read", entry.project)))?;
        let landing = match manifest::holds(files, &entry.changes) {
            Err(findings) => Landing::Otherwise(findings),
            Ok(()) => match self.edits(entry, request).await? {
                None => Landing::AsProposed,
                Some(what) => Landing::WithEdits(what),
            },
        };
        let policy = match landing {
            Landing::WithEdits(_) => self.plan(run_id).await?.config.policy.on_edited_merge_request,
            Landing::AsProposed | Landing::Otherwise(_) => guard_domain::OnEdited::Stop,
        };
        let (stand, findings) = landing.judge(&request.web_url, policy);
        let commit = match &request.landed_commit {
            Some(commit)
                if self
                    .commits
                    .is_ancestor(&entry.project, commit, head)
                    .await
                    .context("look for the landed commit")? =>
            {
                commit.clone()
            }
            _ => head.clone(),
        };
        Ok((Landed { commit, may_be_followed: stand == Stand::Merged }, stand, findings))
    }

    /// What a person changed before merging it, in words. A branch whose head is our commit was not touched; one that was
    /// rebased has other commits with the same files.
    async fn edits(
        &self,
        entry: &MergeRequestEntry,
        request: &MergeRequest,
    ) -> Result<Option<String>, TaskError> {
        let Some(Opened { iid, commit, .. }) = &entry.opened else { return Ok(None) };
        if !commit.is_empty() && *commit == request.head {
            return Ok(None);
        }
        let ours = entry.files();
        let changed = self.requests.changed_files(&entry.project, *iid).await.context("compare its files")?;
        let others: Vec<&str> =
            changed.iter().map(String::as_str).filter(|file| !ours.contains(file)).collect();
        if !others.is_empty() {
            return Ok(Some(format!("it changes {} too, which GUARD did not propose", others.join(", "))));
        }
        let paths: Vec<&str> = ours.into_iter().collect();
        let files = self.files.files(&entry.project, &paths, &request.head).await;
        let files = files.context("read what was merged")?;
        let is_same = FileContent::digest(&files) == entry.digest;
        Ok((!is_same).then(|| "its files are not byte for byte what GUARD proposed".to_owned()))
    }

    async fn plan(&self, run_id: &RunId) -> Result<Plan, TaskError> {
        let plan = self.records.entry(run_id, "plan").await.context("read the plan")?;
        serde_json::from_value(plan.unwrap_or_default())
            .map_err(|error| TaskError::internal(format!("plan of run {run_id} does not decode: {error}")))
    }

    /// Notes what landed, and what was found about it.
    async fn note(
        &self,
        lease: &Lease,
        name: &str,
        entry: &MergeRequestEntry,
        landed: &Landed,
        findings: &[Finding],
    ) -> Result<(), TaskError> {
        if !findings.is_empty() {
            self.put(lease, &findings_name(name), &findings).await?;
        }
        // The lines come first: once the entry says that it landed, nobody notes it again.
        let mut lines = vec![format!("merged: {}, commit {}", entry.shown(), landed.commit)];
        lines.extend(findings.iter().map(ToString::to_string));
        for what in lines {
            let line = AuditEntry { at: self.clock.now(), who: self.who.to_owned(), what };
            self.records.audit(lease, &line).await.context("write audit log")?;
        }
        let told = MergeRequestEntry { landed: Some(landed.clone()), ..entry.clone() };
        self.put(lease, name, &told).await
    }

    /// What an earlier look found.
    async fn noted(&self, run_id: &RunId, requests: &Requests) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        for (name, _) in requests.iter().filter(|(_, entry)| entry.landed.is_some()) {
            let found =
                self.records.entry(run_id, &findings_name(name)).await.context("read the findings")?;
            let found: Vec<Finding> = serde_json::from_value(
                found.unwrap_or_else(|| Value::Array(Vec::new())),
            )
            .map_err(|error| TaskError::internal(format!("findings of {name} do not decode: {error}")))?;
            findings.extend(found);
        }
        Ok(findings)
    }

    async fn put<T: serde::Serialize + Sync + ?Sized>(
        &self,
        lease: &Lease,
        name: &str,
        value: &T,
    ) -> Result<(), TaskError> {
        let value = serde_json::to_value(value)
            .map_err(|error| TaskError::internal(format!("encode {name}: {error}")))?;
        let old = self.records.entry(&lease.run_id, name).await.context(format!("read {name}"))?;
        if old.as_ref() == Some(&value) {
            return Ok(());
        }
        self.records.put(lease, name, old.as_ref(), &value).await.context(format!("write {name}"))
    }
}

fn findings_name(entry: &str) -> String {
    format!("findings-of-{entry}")
}

fn seen<'a>(entry: &MergeRequestEntry, told: &'a [MergeRequest]) -> Option<&'a MergeRequest> {
    let iid = entry.opened.as_ref()?.iid;
    told.iter().find(|request| request.iid == iid && request.project == entry.project)
}

/// Characters of the summary: it travels in the state's data and becomes the cause of an end.
const SUMMARY: usize = 1_500;

fn summary(
    state: MergeEnd,
    requests: &Requests,
    stands: &[Stand],
    told: &[MergeRequest],
    findings: &[Finding],
) -> String {
    let of = |wanted: &[Stand]| -> Vec<String> {
        let chosen = requests.iter().zip(stands).filter(|(_, stand)| wanted.contains(stand));
        chosen
            .map(|((_, entry), stand)| {
                let why = match (stand, seen(entry, told)) {
                    (Stand::Closed, Some(request)) if request.is_branch_gone => ", its branch was deleted",
                    (Stand::Closed, None) if entry.opened.is_some() => ", which is not there any more",
                    _ => "",
                };
                format!("{} ({}{why})", entry.shown(), names(&entry.clusters))
            })
            .collect()
    };
    let (landed, unlanded) = (of(&[Stand::Merged, Stand::Edited]), of(&[Stand::Closed, Stand::Open]));
    let words = match state {
        MergeEnd::Merged => String::new(),
        MergeEnd::Closed => {
            format!("closed without a merge: {}", of(&[Stand::Closed]).join("; "))
        }
        MergeEnd::Expired => format!("nobody merged in time: {}", unlanded.join("; ")),
        MergeEnd::Edited => format!(
            "what was merged is not what GUARD proposed; look at the merge request before anything else: {}",
            text::findings(findings)
        ),
        MergeEnd::Partly => format!(
            "merged: {}; not merged, and taken back: {}. {}",
            landed.join("; "),
            unlanded.join("; "),
            text::findings(findings)
        ),
    };
    words.chars().take(SUMMARY).collect::<String>().trim_end().to_owned()
}

/// The first few clusters.
fn names(clusters: &[ClusterId]) -> String {
    let shown: Vec<&str> = clusters.iter().take(5).map(ClusterId::as_str).collect();
    match clusters.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
