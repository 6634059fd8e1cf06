//! Merge requests as GUARD sees them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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
    /// Head of its branch, kept when the branch is gone; empty where GitLab does not say.
    pub head: String,
    /// It is open, and somebody deleted its branch: nobody can merge it.
    pub is_branch_gone: bool,
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

impl FileContent {
    /// One name for exactly these files with exactly this content, whatever their order.
    pub fn digest(files: &[Self]) -> String {
        let mut files: Vec<&Self> = files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut hash = Sha256::new();
        for part in files.iter().flat_map(|file| [&file.path, &file.content]) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
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
    /// Part of the description by which it is found again: nobody else's holds it.
    pub marker: String,
    /// Commit message.
    pub commit_message: String,
    /// Files with their new content. Each is there already.
    pub files: Vec<FileContent>,
    /// Labels.
    pub labels: Vec<String>,
    /// Usernames of those who are asked to merge it.
    pub assignees: Vec<String>,
    /// Usernames of those who are asked to review it.
    pub reviewers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_any_difference_and_no_order() {
        let file = |path: &str, content: &str| FileContent { path: path.into(), content: content.into() };
        let (a, b) = (file("a", "1"), file("b", "2"));
        let digest = FileContent::digest(&[a.clone(), b.clone()]);
        assert_eq!(digest, FileContent::digest(&[b.clone(), a.clone()]));
        assert_eq!(digest.len(), 64);
        for other in
            [vec![a.clone()], vec![file("a", "12"), file("b", "")], vec![a, file("b", "2\n")], vec![]]
        {
            assert_ne!(digest, FileContent::digest(&other), "{other:?}");
        }
    }
}
