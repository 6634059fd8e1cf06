//! Merge requests as GitLab tells them.

use std::collections::BTreeSet;

use guard_domain::{MergeRequest, MergeRequestState};
use guard_tasks::TaskError;
use jiff::Timestamp;
use serde::Deserialize;

use crate::client::Client;

/// Merge requests asked for by number in one call: the most that come on one page, and a URL of less than two kilobytes.
const NUMBERS_AT_ONCE: usize = 100;

/// The fields GUARD reads. GitLab adds fields and values with every release; unknown ones are left alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    iid: u64,
    #[serde(default)]
    web_url: String,
    source_branch: String,
    target_branch: String,
    #[serde(default)]
    description: Option<String>,
    state: String,
    created_at: Timestamp,
    #[serde(default)]
    merged_at: Option<Timestamp>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    squash_commit_sha: Option<String>,
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    detailed_merge_status: Option<String>,
}

impl Told {
    pub(crate) fn into_domain(self, project: &str) -> MergeRequest {
        let state = match self.state.as_str() {
            "merged" => MergeRequestState::Merged,
            "closed" => MergeRequestState::Closed,
            // `locked` is being merged this second. A state that is new to us is not an end either: look again.
            _ => MergeRequestState::Open,
        };
        // A fast-forward merge has no merge commit: what landed is the squash commit or the branch's head.
        let landed = self.merge_commit_sha.or(self.squash_commit_sha).or(self.sha.clone());
        // GitLab's word for a request whose source branch is gone, or has no commits of its own.
        let is_branch_gone = self.detailed_merge_status.as_deref() == Some("commits_status");
        MergeRequest {
            project: project.to_owned(),
            iid: self.iid,
            web_url: self.web_url,
            source_branch: self.source_branch,
            target_branch: self.target_branch,
            description: self.description.unwrap_or_default(),
            state,
            head: self.sha.unwrap_or_default(),
            is_branch_gone: is_branch_gone && state == MergeRequestState::Open,
            created_at: self.created_at,
            merged_at: self.merged_at,
            landed_commit: landed.filter(|_| state == MergeRequestState::Merged),
        }
    }
}

pub(crate) async fn one(client: &Client, project: &str, iid: u64) -> Result<MergeRequest, TaskError> {
    let told: Told = client.get(project, &format!("merge_requests/{iid}"), &[]).await??;
    Ok(told.into_domain(project))
}

/// Those of these numbers that are there, a hundred at once.
pub(crate) async fn numbered(
    client: &Client,
    project: &str,
    iids: &[u64],
) -> Result<Vec<MergeRequest>, TaskError> {
    let mut found = Vec::new();
    for some in iids.chunks(NUMBERS_AT_ONCE) {
        let numbers: Vec<String> = some.iter().map(ToString::to_string).collect();
        let mut query = vec![("state", "all")];
        query.extend(numbers.iter().map(|number| ("iids[]", number.as_str())));
        found.extend(list(client, project, &query).await?);
    }
    Ok(found)
}

/// Every open one to a branch.
pub(crate) async fn open_to(
    client: &Client,
    project: &str,
    target_branch: &str,
) -> Result<Vec<MergeRequest>, TaskError> {
    list(client, project, &[("state", "opened"), ("target_branch", target_branch)]).await
}

/// Newest first, whatever the state.
pub(crate) async fn on_branch(
    client: &Client,
    project: &str,
    source_branch: &str,
) -> Result<Vec<MergeRequest>, TaskError> {
    list(client, project, &[("source_branch", source_branch), ("state", "all")]).await
}

async fn list(
    client: &Client,
    project: &str,
    query: &[(&str, &str)],
) -> Result<Vec<MergeRequest>, TaskError> {
    let order = [("order_by", "created_at"), ("sort", "desc")];
    let query: Vec<(&str, &str)> = query.iter().copied().chain(order).collect();
    let told = client.list::<Told>(project, "merge_requests", &query).await??;
    let mut found: Vec<MergeRequest> = told.into_iter().map(|told| told.into_domain(project)).collect();
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.iid.cmp(&a.iid)));
    Ok(found)
}

#[derive(Deserialize)]
struct Diff {
    old_path: String,
    new_path: String,
}

/// The files that it changes, under their old and new names.
pub(crate) async fn changed_files(
    client: &Client,
    project: &str,
    iid: u64,
) -> Result<BTreeSet<String>, TaskError> {
    let diffs = client.list::<Diff>(project, &format!("merge_requests/{iid}/diffs"), &[]).await??;
    Ok(diffs.into_iter().flat_map(|diff| [diff.old_path, diff.new_path]).collect())
}
