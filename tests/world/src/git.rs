//! A small Git: commits with parents, whole trees, branches, three-way merges of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// A commit's files.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

/// Who wrote a commit, when and why.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) note: Note,
    /// Commits are numbered as they are made, so a child's number is above its parents'.
    order: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    commits: BTreeMap<String, Commit>,
    pub(crate) branches: BTreeMap<String, String>,
}

/// Hex of a hash, cut to the length of a SHA-1.
fn forty(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize(), 20)
}

fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The id of a file's content.
pub(crate) fn blob_id(content: &[u8]) -> String {
    forty(&[b"blob", content])
}

/// The SHA-256 of a file's content, as GitLab's `content_sha256`.
pub(crate) fn content_sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content), 32)
}

impl Repository {
    /// Records a commit; the caller moves a branch to it.
    pub(crate) fn commit(&mut self, parents: Vec<String>, tree: Tree, note: Note) -> String {
        let order = self.commits.len();
        let mut parts: Vec<Vec<u8>> = vec![b"commit".to_vec(), order.to_be_bytes().to_vec()];
        parts.extend(parents.iter().map(|parent| parent.clone().into_bytes()));
        for (path, content) in &tree {
            parts.push(path.clone().into_bytes());
            parts.push(content.clone());
        }
        parts.push(note.message.clone().into_bytes());
        parts.push(note.at.to_string().into_bytes());
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let id = forty(&slices);
        let commit = Commit { id: id.clone(), parents, tree: Arc::new(tree), note, order };
        self.commits.insert(id.clone(), commit);
        id
    }

    /// Commits so far.
    pub(crate) fn commit_count(&self) -> usize {
        self.commits.len()
    }

    /// A commit by branch name, full id, or an abbreviation of at least seven digits.
    pub(crate) fn resolve(&self, reference: &str) -> Option<&Commit> {
        if let Some(id) = self.branches.get(reference) {
            return self.commits.get(id);
        }
        if let Some(commit) = self.commits.get(reference) {
            return Some(commit);
        }
        if reference == "HEAD" {
            return self.resolve("main");
        }
        if reference.len() < 7 {
            return None;
        }
        let mut found =
            self.commits.range(reference.to_owned()..).take_while(|(id, _)| id.starts_with(reference));
        found.next().map(|(_, commit)| commit)
    }

    /// The last commit, seen from `from`, that changed the file.
    pub(crate) fn last_change(&self, from: &Commit, path: &str) -> String {
        let mut at = from;
        loop {
            let here = at.tree.get(path);
            let same = at
                .parents
                .iter()
                .filter_map(|parent| self.commits.get(parent))
                .find(|parent| parent.tree.get(path) == here);
            match same {
                Some(parent) => at = parent,
                None => return at.id.clone(),
            }
        }
    }

    /// A commit and everything before it.
    pub(crate) fn ancestors(&self, id: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![id.to_owned()];
        while let Some(next) = open.pop() {
            if let Some(commit) = self.commits.get(&next)
                && seen.insert(next)
            {
                open.extend(commit.parents.iter().cloned());
            }
        }
        seen
    }

    /// The newest commit both sides have.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<&Commit> {
        let left = self.ancestors(one);
        let right = self.ancestors(other);
        left.intersection(&right).filter_map(|id| self.commits.get(id)).max_by_key(|commit| commit.order)
    }

    /// The commits `to` has and `from` has not, oldest first.
    pub(crate) fn commits_between(&self, from: &str, to: &str) -> Vec<&Commit> {
        let old = self.ancestors(from);
        let mut new: Vec<&Commit> = self
            .ancestors(to)
            .iter()
            .filter(|id| !old.contains(*id))
            .filter_map(|id| self.commits.get(id))
            .collect();
        new.sort_by_key(|commit| commit.order);
        new
    }

    /// The tree a merge of `source` into `target` would have, or `None` on a conflict.
    pub(crate) fn merged_tree(&self, source: &str, target: &str) -> Option<Tree> {
        let base = self.merge_base(source, target)?;
        let source = self.commits.get(source)?;
        let target = self.commits.get(target)?;
        let mut tree = (*target.tree).clone();
        for path in changed_paths(&base.tree, &source.tree) {
            let (old, theirs, ours) = (base.tree.get(&path), source.tree.get(&path), target.tree.get(&path));
            if ours != old && ours != theirs {
                return None;
            }
            match theirs {
                Some(content) => tree.insert(path, content.clone()),
                None => tree.remove(&path),
            };
        }
        Some(tree)
    }
}

/// The paths whose content differs.
pub(crate) fn changed_paths(before: &Tree, after: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// One hunk from the first to the last line that differs, with three lines around it.
pub(crate) fn unified(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let limit = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(limit).take_while(|(a, b)| a == b).count();
    let first = head.saturating_sub(3);
    let old_end = old.len() - tail;
    let new_end = new.len() - tail;
    let after_context = tail.min(3);
    let start = |count: usize| if count == 0 { 0 } else { first + 1 };
    let (old_count, new_count) = (old_end + after_context - first, new_end + after_context - first);
    let mut text = format!("@@ -{},{old_count} +{},{new_count} @@\n", start(old_count), start(new_count));
    let mut lines = |mark: char, part: Option<&[&str]>| {
        for line in part.unwrap_or_default() {
            text.push(mark);
            text.push_str(line);
            text.push('\n');
        }
    };
    lines(' ', old.get(first..head));
    lines('-', old.get(head..old_end));
    lines('+', new.get(head..new_end));
    lines(' ', old.get(old_end..old_end + after_context));
    text
}
