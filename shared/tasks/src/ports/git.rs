//! The GitOps repository and its merge requests.

use std::collections::BTreeSet;

use async_trait::async_trait;
use guard_domain::{FileContent, Finding, MergeRequest, Proposal};

use crate::TaskError;

/// Commits of a project.
#[async_trait]
pub trait CommitReader: Send + Sync {
    /// Newest commit of a branch, 40 hex digits.
    async fn head(&self, project: &str, branch: &str) -> Result<String, TaskError>;

    /// True when `commit` is `of` or one of its ancestors: a later commit may have superseded ours.
    async fn is_ancestor(&self, project: &str, commit: &str, of: &str) -> Result<bool, TaskError>;
}

/// Files of a project.
#[async_trait]
pub trait FileReader: Send + Sync {
    /// Those of these files that are there at `commit`, sorted by path.
    async fn files(&self, project: &str, paths: &[&str], commit: &str)
    -> Result<Vec<FileContent>, TaskError>;

    /// The YAML files at these paths, and every `.yaml`/`.yml` file below those of them that are folders, each once,
    /// sorted by path, as they are at `commit`. A path with nothing there is `Rejected`.
    async fn yaml_files(
        &self,
        project: &str,
        paths: &[&str],
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError>;
}

/// Merge requests, looked at.
#[async_trait]
pub trait MergeRequestReader: Send + Sync {
    /// Those of these numbers that are there, in any order.
    async fn merge_requests(&self, project: &str, iids: &[u64]) -> Result<Vec<MergeRequest>, TaskError>;

    /// The files that it changes, under their old and new names.
    async fn changed_files(&self, project: &str, iid: u64) -> Result<BTreeSet<String>, TaskError>;
}

/// Something that somebody said on a merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// GitLab's number of who said it.
    pub author_id: u64,
    /// Their username.
    pub author: String,
    /// What they said, as they typed it.
    pub text: String,
}

/// Merge requests, talked on.
#[async_trait]
pub trait MergeRequestConversation: Send + Sync {
    /// Says a text that holds this marker, unless it was said before; and hears what others said after it, oldest first.
    async fn ask(&self, project: &str, iid: u64, marker: &str, text: &str)
    -> Result<Vec<Comment>, TaskError>;

    /// Whether somebody is a Maintainer of the project. Who is no member is none.
    async fn is_maintainer(&self, project: &str, user: u64) -> Result<bool, TaskError>;
}

/// What came of opening one.
#[derive(Debug, Clone, PartialEq)]
pub enum Opening {
    /// It is there, whether this call opened it or an earlier one. A person may have ended it already.
    Opened(Box<OpenedRequest>),
    /// Somebody else's branch or request is in the way; nothing was written.
    Refused(Finding),
}

/// A merge request that was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedRequest {
    /// The request.
    pub request: MergeRequest,
    /// Its branch's head as GUARD made it; empty when somebody pushed before it was seen.
    pub commit: String,
    /// What did not work beside it, for the audit log: an assignee whom nobody knows.
    pub notes: Vec<String>,
}

/// A merge request that was taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawn {
    /// As it is afterwards: it may have been merged in the meantime.
    pub request: MergeRequest,
    /// It was open until now.
    pub was_open: bool,
}

/// A request that was to be opened and, as far as anybody knows, never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unopened<'a> {
    /// GitLab project.
    pub project: &'a str,
    /// Branch it was to come from.
    pub source_branch: &'a str,
    /// Branch it was to go to.
    pub target_branch: &'a str,
    /// What its description would have held.
    pub marker: &'a str,
    /// Paths of the files that it changes.
    pub files: &'a [&'a str],
    /// Digest of those files as proposed.
    pub digest: &'a str,
}

/// A branch that was pushed for a request that was never opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// It held exactly what was proposed, and is deleted.
    Deleted(String),
    /// It holds something else: somebody works on it.
    Kept(String),
}

/// Merge requests, made and withdrawn.
#[async_trait]
pub trait MergeRequestWriter: Send + Sync {
    /// Commits the files on a new branch and opens the merge request. What an earlier call left there (a lost reply, a
    /// second call) is completed and returned.
    async fn open(&self, proposal: &Proposal) -> Result<Opening, TaskError>;

    /// What carries this marker and came from this branch or one with a number behind it, whatever became of it.
    async fn find(
        &self,
        project: &str,
        source_branch: &str,
        target_branch: &str,
        marker: &str,
    ) -> Result<Option<MergeRequest>, TaskError>;

    /// Closes the request if it is open and deletes its branch unless it was merged.
    async fn withdraw(&self, project: &str, iid: u64) -> Result<Withdrawn, TaskError>;

    /// Deletes the branch of a request that was never opened, unless somebody else made something of it. `None` where
    /// there is none.
    async fn discard(&self, unopened: Unopened<'_>) -> Result<Option<Leftover>, TaskError>;
}
