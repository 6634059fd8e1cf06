//! How waiting for a merge request ends: asked of GitLab, by whoever needs to know.

use std::collections::BTreeSet;

use guard_domain::{MergeRequest, manifest};

use crate::ledger::{MergeAnswer, MergeEnd, MergeRequestEntry};
use crate::{CommitReader, Context, FileReader, TaskError};

/// `None` while the request is open. A merged one is compared with what was proposed: a person may have edited it, and
/// with fast-forward merges or merge trains GitLab names no commit of its own, so the branch is asked.
pub(crate) async fn end_of(
    request: &MergeRequest,
    entry: &MergeRequestEntry,
    commits: &dyn CommitReader,
    files: &dyn FileReader,
) -> Result<Option<MergeAnswer>, TaskError> {
    let Some(mut state) = MergeEnd::of(request.state) else { return Ok(None) };
    if state != MergeEnd::Merged {
        return Ok(Some(MergeAnswer { state, commit: String::new() }));
    }
    let head = commits.head(&entry.project, &entry.target_branch).await.context("read the branch's head")?;
    let paths: BTreeSet<&str> = entry.changes.iter().map(|change| change.file.as_str()).collect();
    let mut merged = Vec::new();
    for path in paths {
        merged.extend(files.yaml_files(&entry.project, path, &head).await.context("read the merged files")?);
    }
    if manifest::holds(&merged, &entry.changes).is_err() {
        state = MergeEnd::Edited;
    }
    let commit = match &request.landed_commit {
        Some(commit)
            if commits
                .is_ancestor(&entry.project, commit, &head)
                .await
                .context("look for the landed commit")? =>
        {
            commit.clone()
        }
        _ => head,
    };
    Ok(Some(MergeAnswer { state, commit }))
}
