//! Opening one merge request: what is to be opened goes into the run record first, then to the Git server.

use std::collections::BTreeSet;

use guard_domain::{
    ClusterId, ClusterStatus, Direction, FileContent, Finding, Phase, Plan, PlannedCluster, Proposal, text,
};

use super::prospects::Prospects;
use super::{Draft, OpenMergeRequest};
use crate::judge_soak::LookEntry;
use crate::ledger::{MergeRequestEntry, Opened, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::task::Task as _;
use crate::{Context, OpenedRequest, Opening, TaskError, VersionChange};

impl OpenMergeRequest {
    /// Opens one, or says who is in the way.
    pub(super) async fn open(
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
        let marker = own_marker(plan, &draft.name);
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
        self.ledger.audit(run, Self::NAME, opened_line(direction, &page, true)).await?;
        self.mark(run, plan, &entry.clusters, direction, &page).await?;
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
    pub(super) async fn mark(
        &self,
        run: &RunRef,
        plan: &Plan,
        clusters: &[ClusterId],
        direction: Direction,
        url: &str,
    ) -> Result<(), TaskError> {
        if direction == Direction::Rollback {
            return Ok(());
        }
        for planned in clusters.iter().filter_map(|id| plan.cluster(id)) {
            let (id, aim) = (&planned.record.cluster_id, VersionChange::Aim(planned.new.clone()));
            self.ledger.advance(run, id, ClusterStatus::MrCreated, Some(aim), Some(url.to_owned())).await?;
        }
        Ok(())
    }
}

/// What the description of this run's own request holds.
pub(super) fn own_marker(plan: &Plan, name: &str) -> String {
    text::marker(&plan.run_id, name.trim_start_matches("merge-request#"))
}

/// For the audit log: whose it is, this run's own or an earlier one's.
pub(super) fn opened_line(direction: Direction, page: &str, is_own: bool) -> String {
    let done = if is_own { "opened" } else { "goes on with" };
    format!("{done} {} merge request {page}", direction.as_str())
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
