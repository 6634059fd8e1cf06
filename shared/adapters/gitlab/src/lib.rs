//! GitLab REST v4: commits, files and merge requests of the GitOps repositories; and what its webhook delivers.
//!
//! Never here: a merge (people merge), a forced push, a retry, or a guess about what a file's content means. Start
//! reading at [`GitLab`].

mod access;
mod branch;
mod client;
mod commits;
mod files;
mod merge_requests;
mod open;
mod webhook;
mod withdraw;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::{FileContent, MergeRequest, Proposal};
use guard_http::Transport;
use guard_tasks::{
    CommitReader, Context as _, FileReader, MergeRequestReader, MergeRequestWriter, TaskError,
};
use secrecy::SecretString;

use crate::client::Client;

pub use access::TokenFacts;
pub use webhook::Webhook;

/// One GitLab, as one bot user.
pub struct GitLab {
    client: Client,
}

impl GitLab {
    /// `base_url` is the page people open, for example `https://gitlab.example.com`.
    pub fn new(transport: Arc<dyn Transport>, base_url: &str, token: SecretString) -> Self {
        Self { client: Client::new(transport, base_url, token) }
    }
}

/// For people who set GUARD up.
impl GitLab {
    /// What the token is.
    pub async fn token(&self) -> Result<TokenFacts, TaskError> {
        access::token(&self.client).await.context("look at the GitLab token")
    }

    /// What would stop GUARD in this project, as sentences; none is well.
    pub async fn project_problems(&self, project: &str) -> Result<Vec<String>, TaskError> {
        access::project_problems(&self.client, project).await.context(format!("look at project {project}"))
    }
}

#[async_trait]
impl CommitReader for GitLab {
    async fn head(&self, project: &str, branch: &str) -> Result<String, TaskError> {
        commits::head(&self.client, project, branch)
            .await
            .context(format!("read head of {branch} in {project}"))
    }

    async fn is_ancestor(&self, project: &str, commit: &str, of: &str) -> Result<bool, TaskError> {
        commits::is_ancestor(&self.client, project, commit, of)
            .await
            .context(format!("look for {commit} before {of} in {project}"))
    }
}

#[async_trait]
impl FileReader for GitLab {
    async fn yaml_files(
        &self,
        project: &str,
        path: &str,
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        files::yaml_files(&self.client, project, path, commit)
            .await
            .context(format!("read {path} of {project}"))
    }
}

#[async_trait]
impl MergeRequestReader for GitLab {
    async fn on_branch(&self, project: &str, source_branch: &str) -> Result<Vec<MergeRequest>, TaskError> {
        merge_requests::on_branch(&self.client, project, source_branch)
            .await
            .context(format!("list merge requests from {source_branch} in {project}"))
    }

    async fn merge_request(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError> {
        merge_requests::one(&self.client, project, iid)
            .await
            .context(format!("read merge request {project}!{iid}"))
    }
}

#[async_trait]
impl MergeRequestWriter for GitLab {
    async fn open(&self, proposal: &Proposal) -> Result<MergeRequest, TaskError> {
        open::open(&self.client, proposal)
            .await
            .context(format!("open merge request from {} in {}", proposal.source_branch, proposal.project))
    }

    async fn withdraw(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError> {
        withdraw::withdraw(&self.client, project, iid)
            .await
            .context(format!("withdraw merge request {project}!{iid}"))
    }
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLab").field("client", &self.client).finish()
    }
}
