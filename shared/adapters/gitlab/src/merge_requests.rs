//! Merge requests as GitLab tells them.

use guard_domain::{MergeRequest, MergeRequestState};
use guard_tasks::TaskError;
use jiff::Timestamp;
use serde::Deserialize;

use crate::client::Client;

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
        let landed = self.merge_commit_sha.or(self.squash_commit_sha).or(self.sha);
        MergeRequest {
            project: project.to_owned(),
            iid: self.iid,
            web_url: self.web_url,
            source_branch: self.source_branch,
            target_branch: self.target_branch,
            description: self.description.unwrap_or_default(),
            state,
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

/// Newest first, whatever the state.
pub(crate) async fn on_branch(
    client: &Client,
    project: &str,
    source_branch: &str,
) -> Result<Vec<MergeRequest>, TaskError> {
    let query =
        [("source_branch", source_branch), ("state", "all"), ("order_by", "created_at"), ("sort", "desc")];
    let told = client.list::<Told>(project, "merge_requests", &query).await??;
    let mut found: Vec<MergeRequest> = told.into_iter().map(|told| told.into_domain(project)).collect();
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.iid.cmp(&a.iid)));
    Ok(found)
}
