//! What opening a merge request left behind where it was cut short: a request that the record does not know, or a branch
//! that no request ever came from.

use crate::ledger::{Ledger, MergeRequestEntry, Opened, RunRef};
use crate::{Context, Leftover, MergeRequestWriter, TaskError, Unopened};

/// Whoever looks for it.
pub(crate) struct Leftovers<'a> {
    pub(crate) merge_requests: &'a dyn MergeRequestWriter,
    pub(crate) ledger: &'a Ledger,
    /// The task, for the audit log.
    pub(crate) who: &'static str,
}

impl Leftovers<'_> {
    /// The request's number. Where opening it was cut short, it may be there all the same.
    pub(crate) async fn number_of(
        &self,
        run: &RunRef,
        name: &str,
        entry: &mut MergeRequestEntry,
    ) -> Result<Option<u64>, TaskError> {
        if let Some(opened) = &entry.opened {
            return Ok(Some(opened.iid));
        }
        let MergeRequestEntry { project, source_branch, target_branch, marker, .. } = &*entry;
        let found = self.merge_requests.find(project, source_branch, target_branch, marker).await;
        let Some(found) = found.context("look for the merge request")? else { return Ok(None) };
        entry.opened = Some(Opened { iid: found.iid, web_url: found.web_url, commit: String::new() });
        self.ledger.write(run, name, entry).await?;
        Ok(Some(found.iid))
    }

    /// Deletes the branch of a request that was never opened.
    pub(crate) async fn discard(&self, run: &RunRef, entry: &MergeRequestEntry) -> Result<(), TaskError> {
        let MergeRequestEntry { project, source_branch, target_branch, marker, digest, .. } = entry;
        let files: Vec<&str> = entry.files().into_iter().collect();
        let unopened = Unopened { project, source_branch, target_branch, marker, files: &files, digest };
        let left = self.merge_requests.discard(unopened).await;
        let line = match left.context("delete the branch of a request that was never opened")? {
            Some(Leftover::Deleted(name)) => {
                format!("deleted branch {name} of {project}: its request was never opened")
            }
            Some(Leftover::Kept(name)) => format!(
                "left branch {name} of {project}: no request was opened from it, and it does not hold what GUARD proposed"
            ),
            None => return Ok(()),
        };
        self.ledger.audit(run, self.who, line).await
    }
}
