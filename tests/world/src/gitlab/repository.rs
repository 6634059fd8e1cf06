//! Files, trees and branches.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::commits::commit_json;
use super::model::Project;
use super::pages::page;
use super::{message, missing, not_found};
use crate::call::{self, Answer, Call, Refusal};
use crate::git::{self, Commit};

/// The commit and the content that a file request asks for.
fn find<'a>(
    project: &'a Project,
    call: &Call,
    path: &str,
) -> Result<(&'a Commit, &'a [u8], String), Refusal> {
    let reference = call.get("ref").unwrap_or("HEAD").to_owned();
    let commit = project.git.resolve(&reference).ok_or_else(|| Box::new(not_found("Commit")))?;
    let content = commit.tree.get(path).ok_or_else(|| Box::new(not_found("File")))?;
    Ok((commit, content, reference))
}

pub(super) fn file(project: &Project, call: &Call, path: &str) -> Answer {
    let (commit, content, reference) = match find(project, call, path) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let last = project.git.last_change(commit, path);
    let blob = git::blob_id(content);
    let sha256 = git::content_sha256(content);
    let value = json!({
        "file_name": path.rsplit('/').next().unwrap_or_default(),
        "file_path": path,
        "size": content.len(),
        "encoding": "base64",
        "content_sha256": sha256,
        "ref": reference,
        "blob_id": blob,
        "commit_id": commit.id,
        "last_commit_id": last,
        "execute_filemode": false,
        "content": call::base64_of(content),
    });
    let answer =
        if call.method == http::Method::HEAD { call::text(200, "") } else { call::json(200, &value) };
    let headers = [
        ("x-gitlab-blob-id", blob),
        ("x-gitlab-commit-id", commit.id.clone()),
        ("x-gitlab-last-commit-id", last),
        ("x-gitlab-content-sha256", sha256),
        ("x-gitlab-size", content.len().to_string()),
    ];
    headers.iter().fold(answer, |answer, (name, value)| call::with(answer, name, value))
}

pub(super) fn raw(project: &Project, call: &Call, path: &str) -> Answer {
    match find(project, call, path) {
        Ok((_, content, _)) => call::body(200, "text/plain; charset=utf-8", content.to_vec()),
        Err(answer) => *answer,
    }
}

pub(super) fn tree(project: &Project, call: &Call) -> Answer {
    let Some(commit) = project.git.resolve(call.get("ref").unwrap_or("main")) else {
        return not_found("Tree");
    };
    let directory = call.get("path").unwrap_or_default().trim_matches('/').to_owned();
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let recursive =
        call.get("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let mut directories = BTreeSet::new();
    let mut blobs = Vec::new();
    for (path, content) in commit.tree.iter() {
        let Some(rest) = path.strip_prefix(&prefix) else { continue };
        let mut ends: Vec<usize> = rest.match_indices('/').map(|(at, _)| at).collect();
        if !recursive {
            ends.truncate(1);
        }
        let direct = ends.is_empty();
        directories.extend(ends.into_iter().filter_map(|end| Some(format!("{prefix}{}", rest.get(..end)?))));
        if direct || recursive {
            blobs.push(entry(path, "blob", "100644", &git::blob_id(content)));
        }
    }
    if directories.is_empty() && blobs.is_empty() && !prefix.is_empty() {
        return message(404, "404 invalid revision or path Not Found");
    }
    let mut items: Vec<Value> = directories
        .iter()
        .map(|path| {
            entry(path, "tree", "040000", &git::blob_id(format!("tree {} {path}", commit.id).as_bytes()))
        })
        .collect();
    items.extend(blobs);
    page(project, call, items)
}

fn entry(path: &str, kind: &str, mode: &str, id: &str) -> Value {
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({ "id": id, "name": name, "type": kind, "path": path, "mode": mode })
}

fn branch_json(project: &Project, name: &str) -> Option<Value> {
    let commit = project.git.branches.contains_key(name).then(|| project.git.resolve(name)).flatten()?;
    let main = name == "main";
    let protected = project.is_protected(name);
    let merged = !main
        && project.git.branches.get("main").is_some_and(|id| project.git.ancestors(id).contains(&commit.id));
    Some(json!({
        "name": name,
        "commit": commit_json(project, commit),
        "merged": merged,
        "protected": protected,
        "default": main,
        "developers_can_push": false,
        "developers_can_merge": project.token_may_merge,
        "can_push": !project.is_closed_to_pushes(name),
        "web_url": format!("https://gitlab.example.com/{}/-/tree/{name}", project.path),
    }))
}

pub(super) fn branches(project: &Project, call: &Call) -> Answer {
    let wanted = call.get("search").unwrap_or_default();
    let matches = |name: &String| match wanted.strip_prefix('^') {
        Some(start) => name.starts_with(start),
        None => name.contains(wanted),
    };
    let names = project.git.branches.keys().filter(|name| matches(name));
    page(project, call, names.filter_map(|name| branch_json(project, name)).collect())
}

pub(super) fn branch(project: &Project, name: &str) -> Answer {
    branch_json(project, name).map_or_else(|| not_found("Branch"), |value| call::json(200, &value))
}

/// Whether Git would take this as a branch's name.
pub(super) fn legal_name(name: &str) -> bool {
    let bad = [' ', '~', '^', ':', '?', '*', '[', '\\'];
    !name.is_empty()
        && !name.starts_with(['-', '/'])
        && !name.ends_with('/')
        && !name.contains("..")
        && !name.contains(bad)
}

pub(super) fn create_branch(project: &mut Project, call: &Call) -> Answer {
    let body = call.json().unwrap_or_default();
    let value =
        |name: &str| body.get(name).and_then(Value::as_str).or_else(|| call.get(name)).map(str::to_owned);
    let Some(name) = value("branch") else { return missing("branch") };
    let Some(reference) = value("ref") else { return missing("ref") };
    if !legal_name(&name) {
        return message(400, "Branch name is invalid");
    }
    if project.git.branches.contains_key(&name) {
        return message(400, "Branch already exists");
    }
    let Some(commit) = project.git.resolve(&reference) else {
        return message(400, format!("Invalid reference name: {reference}"));
    };
    let id = commit.id.clone();
    if project.is_closed_to_pushes(&name) {
        return message(403, "403 Forbidden");
    }
    project.git.branches.insert(name.clone(), id);
    branch_json(project, &name).map_or_else(|| not_found("Branch"), |value| call::json(201, &value))
}

pub(super) fn delete_branch(project: &mut Project, name: &str) -> Answer {
    if name == "main" {
        return message(403, "403 Forbidden - Unable to remove the default branch");
    }
    if !project.git.branches.contains_key(name) {
        return not_found("Branch");
    }
    if project.is_closed_to_pushes(name) {
        return message(403, "403 Forbidden - Unable to remove the protected branch");
    }
    project.git.branches.remove(name);
    call::body(204, "application/json", "")
}
