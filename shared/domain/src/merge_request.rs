//! Merge requests as GUARD sees them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the target version.
    Upgrade,
    /// Back to the version before.
    Rollback,
}

impl Direction {
    /// The word in names and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
        }
    }
}

/// State of a merge request. `locked` (GitLab is merging it this second) is reported as open: look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeRequestState {
    /// Waits for a person.
    Open,
    /// Landed on the target branch.
    Merged,
    /// Closed without landing.
    Closed,
}

/// A merge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequest {
    /// GitLab project path.
    pub project: String,
    /// Number inside the project.
    pub iid: u64,
    /// Page for people.
    pub web_url: String,
    /// Branch the change is on.
    pub source_branch: String,
    /// Branch it goes to.
    pub target_branch: String,
    /// Its text, which holds GUARD's marker.
    pub description: String,
    /// Its state.
    pub state: MergeRequestState,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it landed.
    pub merged_at: Option<Timestamp>,
    /// The commit that landed, where GitLab tells: merge, squash or head commit.
    pub landed_commit: Option<String>,
}

/// One file with its whole content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// Path in the repository.
    pub path: String,
    /// Content as text; files that are not UTF-8 are refused where they are read.
    pub content: String,
}

/// A merge request to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// GitLab project path.
    pub project: String,
    /// Commit of the target branch that the files were read at; the change is built on exactly it.
    pub base_commit: String,
    /// New branch.
    pub source_branch: String,
    /// Branch to merge into.
    pub target_branch: String,
    /// Title.
    pub title: String,
    /// Markdown.
    pub description: String,
    /// Commit message.
    pub commit_message: String,
    /// Files with their new content.
    pub files: Vec<FileContent>,
    /// Labels.
    pub labels: Vec<String>,
}
