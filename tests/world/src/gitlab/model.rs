//! A merge request and the moves it can make.

use std::sync::Arc;

use jiff::Timestamp;

use crate::git::{Note, Repository, Tree};

/// GitLab's four states; `locked` never lasts long enough to be seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeState {
    Opened,
    Closed,
    Merged,
}

impl MergeState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }
}

/// What somebody said on a merge request.
#[derive(Debug, Clone)]
pub(crate) struct Remark {
    pub(crate) at: Timestamp,
    /// A username.
    pub(crate) author: String,
    pub(crate) text: String,
}

/// The user that the token belongs to.
pub(crate) const GUARD: &str = "guard";

#[derive(Debug, Clone)]
pub(crate) struct MergeRequest {
    pub(crate) iid: u64,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) labels: Vec<String>,
    /// Usernames.
    pub(crate) assignees: Vec<String>,
    pub(crate) reviewers: Vec<String>,
    pub(crate) state: MergeState,
    /// How often it was opened: an answer to an earlier opening is void.
    pub(crate) opening: u32,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) merged: Option<Timestamp>,
    pub(crate) closed: Option<Timestamp>,
    pub(crate) merged_by: Option<String>,
    pub(crate) merge_commit: Option<String>,
    /// The source's head; kept when the branch is gone.
    pub(crate) head: String,
    pub(crate) remove_source_branch: bool,
    pub(crate) notes: Vec<Remark>,
    /// The trees before and after, frozen by the merge.
    pub(crate) frozen: Option<(Arc<Tree>, Arc<Tree>)>,
}

/// One project: its repository, its merge requests, and what an answer needs to know beside them.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// GitLab accepts it in place of the path.
    pub(crate) id: u64,
    pub(crate) path: String,
    pub(crate) git: Repository,
    pub(crate) merge_requests: Vec<MergeRequest>,
    /// The world's time, as of the call that is answered.
    pub(crate) now: Timestamp,
    /// Where the links of paginated answers point.
    pub(crate) base_url: String,
    pub(crate) token_may_merge: bool,
    /// Names and patterns of protected branches.
    pub(crate) protected: Vec<String>,
    /// Usernames of the instance.
    pub(crate) users: Vec<String>,
    /// The most entries that this server puts on a page, whatever is asked for.
    pub(crate) page_limit: usize,
    /// What a call set off outside of GitLab, until the world takes it.
    pub(crate) effects: Vec<Effect>,
}

/// What follows from a call outside of GitLab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A merge request was opened, or opened again: the person may answer it.
    Asked { iid: u64 },
    /// `main` has another head.
    MainMoved,
}

impl Project {
    pub(crate) fn ask_person(&mut self, iid: u64) {
        self.effects.push(Effect::Asked { iid });
    }

    pub(crate) fn main_moved(&mut self) {
        self.effects.push(Effect::MainMoved);
    }

    /// Whether a branch is protected, by name or by a pattern that ends in `*`.
    pub(crate) fn is_protected(&self, branch: &str) -> bool {
        self.protected.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => branch.starts_with(start),
            None => branch == pattern,
        })
    }

    /// Whether the token may not push to it: only those who may merge push to protected branches.
    pub(crate) fn is_closed_to_pushes(&self, branch: &str) -> bool {
        self.is_protected(branch) && !self.token_may_merge
    }

    pub(crate) fn position(&self, iid: u64) -> Option<usize> {
        self.merge_requests.iter().position(|request| request.iid == iid)
    }

    /// Reads the source branch's head again, as GitLab does when somebody pushes.
    pub(crate) fn refresh(&mut self) {
        let git = &self.git;
        for request in self.merge_requests.iter_mut().filter(|request| request.state == MergeState::Opened) {
            if let Some(head) = git.branches.get(&request.source) {
                request.head.clone_from(head);
            }
        }
    }

    /// Why GitLab would or would not merge it now.
    pub(crate) fn merge_status(&self, request: &MergeRequest) -> &'static str {
        if request.state != MergeState::Opened {
            return "not_open";
        }
        // GitLab works it out some seconds after the opening.
        if self.now.as_second() - request.created.as_second() < 3 {
            return "checking";
        }
        if request.title.starts_with("Draft:") {
            return "draft_status";
        }
        if !self.git.branches.contains_key(&request.source) {
            return "commits_status";
        }
        let target = self.git.branches.get(&request.target);
        let tree = target.and_then(|target| self.git.merged_tree(&request.head, target));
        if tree.is_none() { "conflict" } else { "mergeable" }
    }

    /// Merges with a merge commit. `false` when there is a conflict or nothing to merge.
    pub(crate) fn merge(&mut self, at: usize, by: &str) -> bool {
        self.refresh();
        let Some(request) = self.merge_requests.get(at).cloned() else { return false };
        let Some(target) = self.git.branches.get(&request.target).cloned() else { return false };
        if !self.git.branches.contains_key(&request.source) {
            return false;
        }
        let Some(tree) = self.git.merged_tree(&request.head, &target) else { return false };
        let frozen = self.trees(&request);
        let message = format!(
            "Merge branch '{}' into '{}'\n\n{}\n\nSee merge request {}!{}",
            request.source, request.target, request.title, self.path, request.iid
        );
        let note = Note { author: by.to_owned(), message, at: self.now };
        let id = self.git.commit(vec![target, request.head.clone()], tree, note);
        self.git.branches.insert(request.target.clone(), id.clone());
        if request.remove_source_branch {
            self.git.branches.remove(&request.source);
        }
        if let Some(found) = self.merge_requests.get_mut(at) {
            found.state = MergeState::Merged;
            found.merged = Some(self.now);
            found.updated = self.now;
            found.merged_by = Some(by.to_owned());
            found.merge_commit = Some(id);
            found.frozen = frozen;
        }
        if request.target == "main" {
            self.main_moved();
        }
        true
    }

    pub(crate) fn close(&mut self, at: usize) {
        self.refresh();
        let now = self.now;
        if let Some(request) = self.merge_requests.get_mut(at)
            && request.state == MergeState::Opened
        {
            request.state = MergeState::Closed;
            request.closed = Some(now);
            request.updated = now;
        }
    }

    /// The trees between which a merge request's changes lie.
    pub(crate) fn trees(&self, request: &MergeRequest) -> Option<(Arc<Tree>, Arc<Tree>)> {
        if request.frozen.is_some() {
            return request.frozen.clone();
        }
        let target = self.git.branches.get(&request.target)?;
        let base = self.git.merge_base(&request.head, target)?;
        let head = self.git.resolve(&request.head)?;
        Some((Arc::clone(&base.tree), Arc::clone(&head.tree)))
    }
}
