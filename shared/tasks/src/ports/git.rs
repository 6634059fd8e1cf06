//! The GitOps repository and its merge requests.

use async_trait::async_trait;
use guard_domain::{FileContent, MergeRequest, Proposal};

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
    /// The YAML file at `path`, or every `.yaml`/`.yml` file under the folder `path`, sorted by path, as they are at
    /// `commit`. Nothing there is `Rejected`.
    async fn yaml_files(
        &self,
        project: &str,
        path: &str,
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError>;
}

/// Merge requests, looked at.
#[async_trait]
pub trait MergeRequestReader: Send + Sync {
    /// Every merge request from this source branch, newest first, whatever its state.
    async fn on_branch(&self, project: &str, source_branch: &str) -> Result<Vec<MergeRequest>, TaskError>;

    /// One merge request.
    async fn merge_request(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError>;
}

/// Merge requests, made and withdrawn.
#[async_trait]
pub trait MergeRequestWriter: Send + Sync {
    /// Commits the files on a new branch and opens the merge request. If the branch or an open request for it is
    /// there already (a lost reply, a second call), that one is completed and returned.
    async fn open(&self, proposal: &Proposal) -> Result<MergeRequest, TaskError>;

    /// Closes the request if it is open and deletes its branch unless it was merged. Returns it as it is afterwards:
    /// it may have been merged in the meantime.
    async fn withdraw(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError>;
}
