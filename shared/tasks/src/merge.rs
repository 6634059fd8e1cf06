//! How waiting for a merge request ends: asked of GitLab, by whoever needs to know.

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
    let mut paths: Vec<&str> = entry.changes.iter().map(|change| change.file.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let found = files.yaml_files(&entry.project, path, &head).await.context("read the merged files")?;
        let wanted: Vec<_> = entry.changes.iter().filter(|change| change.file == path).collect();
        let is_as_proposed = found.iter().any(|file| {
            manifest::pins(file).is_ok_and(|pins| {
                wanted.iter().all(|change| {
                    pins.iter().any(|pin| pin.component == change.component && pin.version == change.to)
                })
            })
        });
        if !is_as_proposed {
            state = MergeEnd::Edited;
        }
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
