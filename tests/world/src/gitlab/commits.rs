//! Commits: many actions in one, and the questions about ancestry.

use serde_json::{Value, json};

use super::model::Project;
use super::pages::page;
use super::{message, missing, not_found, repository};
use crate::call::{self, Answer, Call, Refusal};
use crate::git::{self, Commit, Note, Tree};
use crate::state::stamp;

const STALE: &str = "You are attempting to update a file that has changed since you started editing it.";

pub(super) fn commit_json(project: &Project, commit: &Commit) -> Value {
    let title = commit.note.message.lines().next().unwrap_or_default();
    let at = stamp(commit.note.at);
    json!({
        "id": commit.id,
        "short_id": commit.id.get(..8),
        "title": title,
        "message": commit.note.message,
        "parent_ids": commit.parents,
        "author_name": commit.note.author,
        "author_email": "fleet@example.com",
        "authored_date": at,
        "committer_name": commit.note.author,
        "committer_email": "fleet@example.com",
        "committed_date": at,
        "created_at": at,
        "web_url": format!("https://gitlab.example.com/{}/-/commit/{}", project.path, commit.id),
    })
}

pub(super) fn create(project: &mut Project, call: &Call) -> Answer {
    let Some(body) = call.json() else { return missing("branch") };
    match try_create(project, &body) {
        Ok(id) => match project.git.resolve(&id) {
            Some(commit) => call::json(201, &commit_json(project, commit)),
            None => not_found("Commit"),
        },
        Err(answer) => *answer,
    }
}

fn refuse(status: u16, text: impl Into<Value>) -> Refusal {
    Box::new(message(status, text))
}

fn try_create(project: &mut Project, body: &Value) -> Result<String, Refusal> {
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let branch = field("branch").ok_or_else(|| Box::new(missing("branch")))?;
    let text = field("commit_message").ok_or_else(|| Box::new(missing("commit_message")))?;
    let actions =
        body.get("actions").and_then(Value::as_array).ok_or_else(|| Box::new(missing("actions")))?;
    let (start_branch, start_sha) = (field("start_branch"), field("start_sha"));
    if start_branch.is_some() && start_sha.is_some() {
        let error = "start_branch, start_sha are mutually exclusive";
        return Err(Box::new(call::json(400, &json!({ "error": error }))));
    }
    if !repository::legal_name(branch) {
        return Err(refuse(400, "You can only create or edit files when you are on a branch"));
    }
    if project.is_closed_to_pushes(branch) {
        return Err(refuse(403, "You are not allowed to push into this branch"));
    }
    let existing = project.git.branches.get(branch).cloned();
    let force = body.get("force") == Some(&Value::Bool(true));
    let start = match (existing, start_branch.or(start_sha)) {
        (Some(_), Some(_)) if !force => {
            return Err(refuse(
                400,
                format!(
                    "A branch called '{branch}' already exists. Switch to that branch in order to make changes"
                ),
            ));
        }
        (_, Some(start)) => start.to_owned(),
        (Some(id), None) => id,
        (None, None) => {
            return Err(refuse(400, "You can only create or edit files when you are on a branch"));
        }
    };
    let parent = project
        .git
        .resolve(&start)
        .cloned()
        .ok_or_else(|| Box::new(message(400, format!("Cannot find start ref '{start}'"))))?;
    let mut tree = (*parent.tree).clone();
    for action in actions {
        act(project, &parent, &mut tree, action)?;
    }
    let author = field("author_name").unwrap_or("GUARD").to_owned();
    let note = Note { author, message: text.to_owned(), at: project.now };
    let id = project.git.commit(vec![parent.id], tree, note);
    project.git.branches.insert(branch.to_owned(), id.clone());
    if branch == "main" {
        project.main_moved();
    }
    Ok(id)
}

/// Applies one action to the tree that is being built.
fn act(project: &Project, parent: &Commit, tree: &mut Tree, action: &Value) -> Result<(), Refusal> {
    let field = |name: &str| action.get(name).and_then(Value::as_str);
    let kind = field("action").ok_or_else(|| Box::new(missing("actions[0][action]")))?;
    let path = field("file_path").ok_or_else(|| Box::new(missing("actions[0][file_path]")))?.to_owned();
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == ".." || part.is_empty())
    {
        return Err(refuse(400, "file_path should be a valid file path"));
    }
    let content = match (field("content"), field("encoding")) {
        (Some(content), Some("base64")) => {
            Some(call::base64_read(content).ok_or_else(|| Box::new(message(400, "Invalid base64 content")))?)
        }
        (Some(content), _) => Some(content.as_bytes().to_vec()),
        (None, _) => None,
    };
    let exists = tree.contains_key(&path);
    if matches!(kind, "update" | "delete") {
        if !exists {
            return Err(refuse(400, "A file with this name doesn't exist"));
        }
        if field("last_commit_id").is_some_and(|id| project.git.last_change(parent, &path) != id) {
            return Err(refuse(400, STALE));
        }
    }
    match kind {
        "create" if exists => Err(refuse(400, "A file with this name already exists")),
        "create" | "update" => {
            tree.insert(path, content.unwrap_or_default());
            Ok(())
        }
        "delete" => {
            tree.remove(&path);
            Ok(())
        }
        _ => Err(Box::new(call::json(
            400,
            &json!({ "error": "actions[0][action] does not have a valid value" }),
        ))),
    }
}

pub(super) fn list(project: &Project, call: &Call) -> Answer {
    let Some(head) = project.git.resolve(call.get("ref_name").unwrap_or("main")) else {
        return not_found("Commit");
    };
    let path = call.get("path");
    let mut commits = project.git.commits_between("", &head.id);
    commits.reverse();
    let touches =
        |commit: &&Commit| path.is_none_or(|path| project.git.last_change(commit, path) == commit.id);
    let items = commits.into_iter().filter(touches).map(|commit| commit_json(project, commit)).collect();
    page(project, call, items)
}

pub(super) fn show(project: &Project, id: &str) -> Answer {
    match project.git.resolve(id) {
        Some(commit) => call::json(200, &commit_json(project, commit)),
        None => not_found("Commit"),
    }
}

/// The branches that contain a commit.
pub(super) fn refs(project: &Project, id: &str) -> Answer {
    let Some(commit) = project.git.resolve(id) else { return not_found("Commit") };
    let holds = |head: &String| project.git.ancestors(head).contains(&commit.id);
    let names = project.git.branches.iter().filter(|(_, head)| holds(head));
    call::json(200, &names.map(|(name, _)| json!({ "type": "branch", "name": name })).collect())
}

pub(super) fn merge_base(project: &Project, call: &Call) -> Answer {
    let named = |key: &str| key == "refs[]" || (key.starts_with("refs[") && key.ends_with(']'));
    let refs: Vec<&str> =
        call.query.iter().filter(|(key, _)| named(key)).map(|(_, value)| value.as_str()).collect();
    let [one, other] = refs.as_slice() else { return message(400, "Provide exactly 2 refs") };
    let (Some(left), Some(right)) = (project.git.resolve(one), project.git.resolve(other)) else {
        return message(
            400,
            format!("Could not find ref: {}", if project.git.resolve(one).is_none() { one } else { other }),
        );
    };
    match project.git.merge_base(&left.id, &right.id) {
        Some(commit) => call::json(200, &commit_json(project, commit)),
        None => not_found("Merge Base"),
    }
}

pub(super) fn compare(project: &Project, call: &Call) -> Answer {
    let Some(from) = call.get("from") else { return missing("from") };
    let Some(to) = call.get("to") else { return missing("to") };
    let (Some(left), Some(right)) = (project.git.resolve(from), project.git.resolve(to)) else {
        return not_found("Ref");
    };
    let base = if call.get("straight") == Some("true") {
        Some(left)
    } else {
        project.git.merge_base(&left.id, &right.id)
    };
    let Some(base) = base else { return not_found("Merge Base") };
    let commits: Vec<Value> = project
        .git
        .commits_between(&left.id, &right.id)
        .into_iter()
        .map(|commit| commit_json(project, commit))
        .collect();
    call::json(
        200,
        &json!({
            "commit": commits.last(),
            "commits": commits,
            "diffs": diffs(&base.tree, &right.tree),
            "compare_timeout": false,
            "compare_same_ref": left.id == right.id,
        }),
    )
}

/// The differences of two trees as GitLab shows them.
pub(super) fn diffs(before: &Tree, after: &Tree) -> Vec<Value> {
    let text = |content: Option<&Vec<u8>>| content.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    git::changed_paths(before, after)
        .into_iter()
        .map(|path| {
            let (old, new) = (text(before.get(&path)), text(after.get(&path)));
            json!({
                "old_path": path,
                "new_path": path,
                "a_mode": if old.is_some() { "100644" } else { "0" },
                "b_mode": if new.is_some() { "100644" } else { "0" },
                "new_file": old.is_none(),
                "renamed_file": false,
                "deleted_file": new.is_none(),
                "diff": git::unified(old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default()),
            })
        })
        .collect()
}
