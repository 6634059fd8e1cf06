//! What an earlier try of the way back has opened: by the run that this one goes on with, or by this one before.
//!
//! People were asked to merge it, or have merged it. It is gone on with as it is; a second request for the same files would
//! be in its way.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{ClusterId, MergeRequest, MergeRequestState, PlannedCluster};

use super::OpenMergeRequest;
use crate::ledger::{MergeRequestEntry, ROLLBACK_REQUESTS, RunRef, merge_request_prefix};
use crate::leftovers::Leftovers;
use crate::task::Task as _;
use crate::{Context, TaskError};

/// This change's own entries, by their names.
type Known = BTreeMap<String, MergeRequestEntry>;

impl OpenMergeRequest {
    /// Adds the earlier requests that lead clusters back to those that this try knows of, and leaves the clusters that still
    /// need one. What is open and would take others back is withdrawn; a branch that no request came from is deleted.
    pub(super) async fn go_on_with_earlier(
        &self,
        run: &RunRef,
        change: &str,
        clusters: &mut Vec<&PlannedCluster>,
        known: &mut Known,
    ) -> Result<(), TaskError> {
        let prefix = merge_request_prefix(change);
        let taken = format!("{prefix}earlier-");
        let followed = |known: &Known| -> BTreeSet<ClusterId> {
            let earlier = known.iter().filter(|(name, _)| name.starts_with(&taken));
            earlier.flat_map(|(_, entry)| entry.clusters.clone()).collect()
        };
        let all = self.ledger.read_all::<MergeRequestEntry>(&run.run_id, ROLLBACK_REQUESTS).await?;
        let leftovers =
            Leftovers { merge_requests: self.merge_requests.as_ref(), ledger: &self.ledger, who: Self::NAME };
        // The newest first: of two for the same cluster it is the one that people were asked for last.
        for (name, mut entry) in all.into_iter().rev().filter(|(name, _)| !name.starts_with(&prefix)) {
            let is_of_others = !entry.clusters.iter().any(|id| {
                let mut all = clusters.iter();
                all.any(|planned| planned.record.cluster_id == *id)
            });
            if entry.landed.is_some() && is_of_others {
                // An earlier try of this run, and over.
                continue;
            }
            self.locks.confirm(&run.lease()).await.context("confirm the lock")?;
            let Some(iid) = leftovers.number_of(run, &name, &mut entry).await? else {
                leftovers.discard(run, &entry).await?;
                continue;
            };
            let is_it = |known: &MergeRequestEntry| {
                known.project == entry.project
                    && known.opened.as_ref().is_some_and(|opened| opened.iid == iid)
            };
            if known.values().any(is_it) {
                continue;
            }
            let found = self.looks.merge_requests(&entry.project, &[iid]).await;
            let Some(request) = found.context("look at the rollback merge request")?.pop() else { continue };
            let back = leads_back(&entry, &request, clusters, &followed(known));
            if !back.is_empty() {
                // Judged anew once it has landed: what it was then may not hold any more.
                let entry = MergeRequestEntry { clusters: back, landed: None, ..entry };
                let number = known.keys().filter(|name| name.starts_with(&taken)).count() + 1;
                let own = format!("{taken}{number:03}");
                self.ledger.write(run, &own, &entry).await?;
                known.insert(own, entry);
            } else if request.state == MergeRequestState::Open {
                self.withdraw(run, &entry, iid).await?;
            }
        }
        let followed = followed(known);
        clusters.retain(|planned| !followed.contains(&planned.record.cluster_id));
        Ok(())
    }

    async fn withdraw(&self, run: &RunRef, entry: &MergeRequestEntry, iid: u64) -> Result<(), TaskError> {
        let withdrawn = self.merge_requests.withdraw(&entry.project, iid).await;
        let withdrawn = withdrawn.context("withdraw an earlier rollback merge request")?;
        if withdrawn.request.state == MergeRequestState::Merged {
            // Looked at once more by the next try: it may lead back now.
            return Err(TaskError::conflict(format!("{} was merged while it was withdrawn", entry.shown())));
        }
        let line = format!("withdrew {}: it would take other clusters back", entry.shown());
        self.ledger.audit(run, Self::NAME, line).await
    }
}

/// Those of the clusters that following this request takes back. One that can still be merged must take no others back; what
/// is merged has reached whom it reaches.
fn leads_back(
    entry: &MergeRequestEntry,
    request: &MergeRequest,
    clusters: &[&PlannedCluster],
    followed: &BTreeSet<ClusterId>,
) -> Vec<ClusterId> {
    let is_wanted = |id: &&ClusterId| {
        let mut of_project = clusters.iter().filter(|planned| planned.record.gitlab_repo == entry.project);
        !followed.contains(*id) && of_project.any(|planned| planned.record.cluster_id == **id)
    };
    let back: Vec<ClusterId> = entry.clusters.iter().filter(is_wanted).cloned().collect();
    match request.state {
        MergeRequestState::Open if request.is_branch_gone || back.len() < entry.clusters.len() => Vec::new(),
        MergeRequestState::Open | MergeRequestState::Merged => back,
        MergeRequestState::Closed => Vec::new(),
    }
}
