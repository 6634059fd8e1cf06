//! Opening a merge request, safe to repeat after any lost answer: each step looks before it acts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_domain::{FileContent, MergeRequest, MergeRequestState, Proposal};
use guard_tasks::{ErrorName, TaskError};
use http::{Method, StatusCode};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::client::{Client, Refused};
use crate::merge_requests::{self, Told};
use crate::{branch, files};

pub(crate) async fn open(client: &Client, proposal: &Proposal) -> Result<MergeRequest, TaskError> {
    if let Some(found) = ours(client, proposal).await? {
        return Ok(found);
    }
    match branch::find(client, &proposal.project, &proposal.source_branch).await? {
        Some(head) => adopt(client, proposal, &head).await?,
        None => commit(client, proposal).await?,
    }
    request(client, proposal).await
}

/// The request an earlier call made, told by the mark in its text: one that is open, or one that was merged before the
/// answer was heard. A closed one is history: being asked again means that a new one is wanted. An open one without our
/// mark is somebody else's, and two changes of one branch would be one merge.
async fn ours(client: &Client, proposal: &Proposal) -> Result<Option<MergeRequest>, TaskError> {
    let found = merge_requests::on_branch(client, &proposal.project, &proposal.source_branch).await?;
    let to_our_target =
        found.into_iter().filter(|candidate| candidate.target_branch == proposal.target_branch);
    for candidate in to_our_target {
        match candidate.state {
            MergeRequestState::Open | MergeRequestState::Merged if is_marked(&candidate, proposal) => {
                return Ok(Some(candidate));
            }
            MergeRequestState::Merged | MergeRequestState::Closed => {}
            MergeRequestState::Open => {
                return Err(TaskError::conflict(format!(
                    "!{} from branch {} is open and is not of this run; close it or let it be merged first",
                    candidate.iid, proposal.source_branch
                )));
            }
        }
    }
    Ok(None)
}

/// The mark is the last line of the proposed text. People may edit the rest.
fn is_marked(candidate: &MergeRequest, proposal: &Proposal) -> bool {
    let mark = proposal.description.trim_end().lines().last().unwrap_or_default();
    !mark.is_empty() && candidate.description.contains(mark)
}

/// A branch that is there already is ours when it holds exactly the proposed files.
async fn adopt(client: &Client, proposal: &Proposal, head: &str) -> Result<(), TaskError> {
    for file in &proposal.files {
        let found = files::find(client, &proposal.project, &file.path, head).await?;
        if found.is_none_or(|found| found.content.content != file.content) {
            return Err(TaskError::conflict(format!(
                "branch {} is there already, and its {} is not the proposed one",
                proposal.source_branch, file.path
            )));
        }
    }
    Ok(())
}

/// One commit on a new branch, made from exactly the commit that the files were read at.
async fn commit(client: &Client, proposal: &Proposal) -> Result<(), TaskError> {
    let mut actions = Vec::new();
    for file in &proposal.files {
        actions.extend(action(client, proposal, file).await?);
    }
    if actions.is_empty() {
        return Err(TaskError::rejected("the proposal changes no file"));
    }
    let body = json!({
        "branch": proposal.source_branch,
        "start_sha": proposal.base_commit,
        "commit_message": proposal.commit_message,
        "actions": actions,
    });
    let answered =
        client.write::<IgnoredAny>(Method::POST, &proposal.project, "repository/commits", &body).await?;
    match answered {
        Ok(_) => Ok(()),
        Err(refused) => {
            // Refused because our own, slower twin made the branch between our look and our act?
            let head = branch::find(client, &proposal.project, &proposal.source_branch).await?;
            match head {
                Some(head) => adopt(client, proposal, &head).await,
                None => Err(commit_error(refused)),
            }
        }
    }
}

/// `None` for a file that is as proposed already.
async fn action(
    client: &Client,
    proposal: &Proposal,
    file: &FileContent,
) -> Result<Option<Value>, TaskError> {
    let before = files::find(client, &proposal.project, &file.path, &proposal.base_commit).await?;
    let mut action = json!({
        "action": if before.is_some() { "update" } else { "create" },
        "file_path": file.path,
        // Text encoding would change line ends and marks.
        "encoding": "base64",
        "content": BASE64_STANDARD.encode(&file.content),
    });
    if let Some(before) = before {
        if before.content.content == file.content {
            return Ok(None);
        }
        if !before.last_commit_id.is_empty() {
            action["last_commit_id"] = before.last_commit_id.into();
        }
    }
    Ok(Some(action))
}

/// GitLab answers 400 to a stale `last_commit_id`, which is no mistake of ours: the branch moved.
fn commit_error(refused: Refused) -> TaskError {
    let is_stale = refused.status == StatusCode::BAD_REQUEST && refused.detail.contains("has changed since");
    let mut error = TaskError::from(refused);
    if is_stale {
        error.name = ErrorName::Conflict;
    }
    error
}

async fn request(client: &Client, proposal: &Proposal) -> Result<MergeRequest, TaskError> {
    let body = json!({
        "source_branch": proposal.source_branch,
        "target_branch": proposal.target_branch,
        "title": proposal.title,
        "description": proposal.description,
        "labels": proposal.labels.join(","),
        "remove_source_branch": true,
    });
    let answered = client.write::<Told>(Method::POST, &proposal.project, "merge_requests", &body).await?;
    match answered {
        Ok(told) => Ok(told.into_domain(&proposal.project)),
        Err(refused) if refused.status == StatusCode::CONFLICT => {
            // Our own, slower twin opened it between our look and our act, or somebody else did: look again.
            let error = TaskError::from(refused);
            ours(client, proposal).await?.ok_or(error)
        }
        Err(refused) => Err(refused.into()),
    }
}
