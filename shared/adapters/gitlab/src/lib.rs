//! GitLab REST v4: commits, files and merge requests of the GitOps repositories; and what its webhook delivers.
//!
//! Never here: a merge (people merge), a forced push, a retry, or a guess about what a file's content means. Start
//! reading at [`GitLab`].

mod access;
mod branch;
mod client;
mod commits;
mod conversation;
mod files;
mod graphql;
mod merge_requests;
mod open;
mod remedy;
mod users;
mod webhook;
mod withdraw;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::{FileContent, MergeRequest, Proposal};
use guard_http::Transport;
use guard_tasks::{
    Comment, CommitReader, Context as _, FileReader, Leftover, MergeRequestConversation, MergeRequestReader,
    MergeRequestWriter, Opening, TaskError, Unopened, Withdrawn,
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
    async fn files(
        &self,
        project: &str,
        paths: &[&str],
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        let owned: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let found = files::blobs(&self.client, project, &owned.iter().collect::<Vec<_>>(), commit).await;
        let found = found.context(format!("read {} of {project}", shown(paths)))?;
        Ok(found.into_iter().map(|(path, content)| FileContent { path, content }).collect())
    }

    async fn yaml_files(
        &self,
        project: &str,
        paths: &[&str],
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        files::yaml_files(&self.client, project, paths, commit)
            .await
            .context(format!("read {} of {project}", shown(paths)))
    }
}

/// The first few of them.
fn shown(paths: &[&str]) -> String {
    match paths {
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => "nothing".to_owned(),
    }
}

#[async_trait]
impl MergeRequestReader for GitLab {
    async fn merge_requests(&self, project: &str, iids: &[u64]) -> Result<Vec<MergeRequest>, TaskError> {
        merge_requests::numbered(&self.client, project, iids)
            .await
            .context(format!("look at {} merge requests of {project}", iids.len()))
    }

    async fn changed_files(&self, project: &str, iid: u64) -> Result<BTreeSet<String>, TaskError> {
        merge_requests::changed_files(&self.client, project, iid)
            .await
            .context(format!("list the files of merge request {project}!{iid}"))
    }
}

#[async_trait]
impl MergeRequestConversation for GitLab {
    async fn ask(
        &self,
        project: &str,
        iid: u64,
        marker: &str,
        text: &str,
    ) -> Result<Vec<Comment>, TaskError> {
        conversation::ask(&self.client, project, iid, marker, text)
            .await
            .context(format!("ask on merge request {project}!{iid}"))
    }

    async fn is_maintainer(&self, project: &str, user: u64) -> Result<bool, TaskError> {
        conversation::is_maintainer(&self.client, project, user)
            .await
            .context(format!("look up the role of user {user} in {project}"))
    }
}

#[async_trait]
impl MergeRequestWriter for GitLab {
    async fn open(&self, proposal: &Proposal) -> Result<Opening, TaskError> {
        open::open(&self.client, proposal)
            .await
            .context(format!("open merge request from {} in {}", proposal.source_branch, proposal.project))
    }

    async fn find(
        &self,
        project: &str,
        source_branch: &str,
        target_branch: &str,
        marker: &str,
    ) -> Result<Option<MergeRequest>, TaskError> {
        open::find(&self.client, project, source_branch, target_branch, marker)
            .await
            .context(format!("look for the merge request from {source_branch} in {project}"))
    }

    async fn withdraw(&self, project: &str, iid: u64) -> Result<Withdrawn, TaskError> {
        withdraw::withdraw(&self.client, project, iid)
            .await
            .context(format!("withdraw merge request {project}!{iid}"))
    }

    async fn discard(&self, unopened: Unopened<'_>) -> Result<Option<Leftover>, TaskError> {
        open::discard(&self.client, unopened)
            .await
            .context(format!("discard branch {} in {}", unopened.source_branch, unopened.project))
    }
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLab").field("client", &self.client).finish()
    }
}
