//! Opening a merge request, safe to repeat after any lost answer: each step looks before it acts.
//!
//! Ours is told by the marker in its text, wherever it is. A branch is used for one request: after one that was closed or
//! merged the next has a number behind its name.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_domain::{FileContent, Finding, MergeRequest, MergeRequestState, Proposal};
use guard_tasks::{Leftover, OpenedRequest, Opening, TaskError, Unopened};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::merge_requests::{self, Told};
use crate::{branch, files, users};

/// Tries of one change: more requests than this from branches of one name are somebody's mistake.
const MAX_BRANCHES: usize = 20;

/// Where the change can go.
enum Place {
    /// An earlier call opened it.
    Ours(MergeRequest),
    /// Nobody ever opened a request from the branch of this name.
    Unused(String),
    /// Somebody else is there.
    Taken(Finding),
}

pub(crate) async fn open(client: &Client, proposal: &Proposal) -> Result<Opening, TaskError> {
    if proposal.files.is_empty() {
        return Err(TaskError::rejected("the proposal changes no file"));
    }
    let Proposal { project, source_branch, target_branch, marker, .. } = proposal;
    let name = match place(client, project, source_branch, target_branch, marker).await? {
        Place::Ours(request) => return found(client, proposal, request).await,
        Place::Taken(finding) => return Ok(Opening::Refused(finding)),
        Place::Unused(name) => name,
    };
    let commit = match branch::find(client, project, &name).await? {
        Some(head) if holds(client, proposal, &head).await? => head,
        Some(_) => {
            return Ok(Opening::Refused(taken(
                name,
                "a branch of this name is there already and holds something else",
                "delete the branch if nobody needs it, then start again",
            )));
        }
        None => commit(client, proposal, &name).await?,
    };
    request(client, proposal, &name, commit).await
}

/// What carries the marker, whatever became of it.
pub(crate) async fn find(
    client: &Client,
    project: &str,
    source_branch: &str,
    target_branch: &str,
    marker: &str,
) -> Result<Option<MergeRequest>, TaskError> {
    Ok(match place(client, project, source_branch, target_branch, marker).await? {
        Place::Ours(request) => Some(request),
        Place::Unused(_) | Place::Taken(_) => None,
    })
}

/// Deletes the branch that was pushed for a request that was never opened.
pub(crate) async fn discard(client: &Client, unopened: Unopened<'_>) -> Result<Option<Leftover>, TaskError> {
    let Unopened { project, source_branch, target_branch, marker, files, digest } = unopened;
    let Place::Unused(name) = place(client, project, source_branch, target_branch, marker).await? else {
        // There is a request, of this run or of somebody else: the branch is its.
        return Ok(None);
    };
    let Some(head) = branch::find(client, project, &name).await? else { return Ok(None) };
    let paths: Vec<String> = files.iter().map(|path| (*path).to_owned()).collect();
    let there = files::blobs(client, project, &paths.iter().collect::<Vec<_>>(), &head).await?;
    let there: Vec<FileContent> =
        there.into_iter().map(|(path, content)| FileContent { path, content }).collect();
    if FileContent::digest(&there) != digest {
        return Ok(Some(Leftover::Kept(name)));
    }
    branch::delete(client, project, &name).await?;
    Ok(Some(Leftover::Deleted(name)))
}

async fn place(
    client: &Client,
    project: &str,
    source_branch: &str,
    target_branch: &str,
    marker: &str,
) -> Result<Place, TaskError> {
    // People may edit the text around it.
    let is_ours = |candidate: &MergeRequest| !marker.is_empty() && candidate.description.contains(marker);
    let open = merge_requests::open_to(client, project, target_branch).await?;
    if let Some(ours) = open.into_iter().find(is_ours) {
        return Ok(Place::Ours(ours));
    }
    for n in 1..=MAX_BRANCHES {
        let name = if n == 1 { source_branch.to_owned() } else { format!("{source_branch}-{n}") };
        let history = merge_requests::on_branch(client, project, &name).await?;
        if let Some(ours) = history.iter().find(|candidate| is_ours(candidate)) {
            return Ok(Place::Ours(ours.clone()));
        }
        if let Some(other) = history.iter().find(|candidate| candidate.state == MergeRequestState::Open) {
            return Ok(Place::Taken(taken(
                other.web_url.clone(),
                format!("!{} from branch {name} is open and is not of this run", other.iid),
                "close it or let it be merged, then start again",
            )));
        }
        if history.is_empty() {
            return Ok(Place::Unused(name));
        }
    }
    let message = format!("{MAX_BRANCHES} requests came from branches of this name");
    Ok(Place::Taken(taken(source_branch.to_owned(), message, "look at them: something closes every one")))
}

fn taken(subject: String, message: impl Into<String>, remedy: &str) -> Finding {
    Finding::blocking("BRANCH_TAKEN", subject, message, remedy)
}

/// Whether a commit holds exactly the proposed files.
async fn holds(client: &Client, proposal: &Proposal, commit: &str) -> Result<bool, TaskError> {
    let paths: Vec<&String> = proposal.files.iter().map(|file| &file.path).collect();
    let there = files::blobs(client, &proposal.project, &paths, commit).await?;
    Ok(proposal.files.iter().all(|file| there.get(&file.path) == Some(&file.content)))
}

/// What an earlier call opened. Its head is our commit as long as nobody pushed.
async fn found(client: &Client, proposal: &Proposal, request: MergeRequest) -> Result<Opening, TaskError> {
    let is_ours = holds(client, proposal, &request.head).await?;
    let commit = if is_ours { request.head.clone() } else { String::new() };
    Ok(Opening::Opened(Box::new(OpenedRequest { request, commit, notes: Vec::new() })))
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// One commit on a new branch, made from exactly the commit that the files were read at.
async fn commit(client: &Client, proposal: &Proposal, name: &str) -> Result<String, TaskError> {
    let actions: Vec<Value> = proposal
        .files
        .iter()
        .map(|file| {
            json!({
                "action": "update",
                "file_path": file.path,
                // Text encoding would change line ends and marks.
                "encoding": "base64",
                "content": BASE64_STANDARD.encode(&file.content),
            })
        })
        .collect();
    let body = json!({
        "branch": name,
        "start_sha": proposal.base_commit,
        "commit_message": proposal.commit_message,
        "actions": actions,
    });
    let answered = client.write::<Made>(Method::POST, &proposal.project, "repository/commits", &body).await?;
    match answered {
        Ok(made) => Ok(made.id),
        Err(refused) => {
            // Refused because our own, slower twin made the branch between our look and our act?
            match branch::find(client, &proposal.project, name).await? {
                Some(head) if holds(client, proposal, &head).await? => Ok(head),
                Some(_) => {
                    Err(TaskError::conflict(format!("branch {name} appeared and holds something else")))
                }
                None => Err(refused.into()),
            }
        }
    }
}

async fn request(
    client: &Client,
    proposal: &Proposal,
    name: &str,
    commit: String,
) -> Result<Opening, TaskError> {
    let mut notes = Vec::new();
    let people = People::known(client, proposal, &mut notes).await;
    let body = json!({
        "source_branch": name,
        "target_branch": proposal.target_branch,
        "title": proposal.title,
        "description": proposal.description,
        "labels": proposal.labels.join(","),
        "assignee_ids": people.assignees,
        "reviewer_ids": people.reviewers,
        "remove_source_branch": true,
    });
    let answered = client.write::<Told>(Method::POST, &proposal.project, "merge_requests", &body).await?;
    let request = match answered {
        Ok(told) => told.into_domain(&proposal.project),
        Err(refused) if refused.status == StatusCode::CONFLICT => {
            // Our own, slower twin opened it between our look and our act, or somebody else did: look again.
            let there = merge_requests::on_branch(client, &proposal.project, name).await?;
            match there.into_iter().find(|candidate| candidate.description.contains(&proposal.marker)) {
                Some(ours) => ours,
                None => return Err(refused.into()),
            }
        }
        Err(refused) => return Err(refused.into()),
    };
    Ok(Opening::Opened(Box::new(OpenedRequest { request, commit, notes })))
}

/// Numbers of users.
#[derive(Default)]
struct People {
    assignees: Vec<u64>,
    reviewers: Vec<u64>,
}

impl People {
    /// Those whom GitLab knows. Whom it does not know is noted: that nobody is asked is no reason not to ask at all.
    async fn known(client: &Client, proposal: &Proposal, notes: &mut Vec<String>) -> Self {
        let names: BTreeSet<&String> = proposal.assignees.iter().chain(&proposal.reviewers).collect();
        let names: Vec<&String> = names.into_iter().collect();
        let known = match users::numbers(client, &names).await {
            Ok(known) => known,
            Err(error) => {
                notes.push(format!("could not look up assignees and reviewers: {error}"));
                return Self::default();
            }
        };
        let mut numbers = |names: &[String], role: &str| -> Vec<u64> {
            let mut found = BTreeSet::new();
            for name in names {
                match known.get(&name.to_lowercase()) {
                    Some(number) => _ = found.insert(*number),
                    None => notes.push(format!("{role} `{name}` is no user of GitLab: nobody was asked")),
                }
            }
            found.into_iter().collect()
        };
        Self {
            assignees: numbers(&proposal.assignees, "assignee"),
            reviewers: numbers(&proposal.reviewers, "reviewer"),
        }
    }
}
