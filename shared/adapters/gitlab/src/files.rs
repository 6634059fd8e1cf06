//! Files at a commit: listed by pages, read a hundred at once.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::FileContent;
use guard_tasks::TaskError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Answered, Client};

/// YAML files of one folder. A cluster's Istio folder holds a handful; more means that the row names a folder far too
/// high up.
const MAX_FILES: usize = 200;

/// Files of one question. GitLab counts each path as one of the 250 that a question may be worth, and gives at most a
/// hundred (`Resolvers::BlobsResolver`).
const FILES_AT_ONCE: usize = 100;

/// Git's mode of a symbolic link, whose content is a path and not YAML.
const SYMLINK: &str = "120000";

const TREE: &str = "repository/tree";

const BLOBS: &str = "query($project: ID!, $ref: String!, $paths: [String!]!) { project(fullPath: $project) { repository { blobs(ref: $ref, paths: $paths) { nodes { path size rawBlob } } } } }";

#[derive(Deserialize)]
struct Data {
    project: Option<Project>,
}

#[derive(Deserialize)]
struct Project {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    blobs: Blobs,
}

#[derive(Deserialize)]
struct Blobs {
    nodes: Vec<Blob>,
}

#[derive(Deserialize)]
struct Blob {
    path: String,
    /// Of the bytes in the repository; a number that GitLab writes as text.
    size: Value,
    #[serde(rename = "rawBlob")]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
}

/// The files at these paths and every YAML file below those of them that are folders, sorted by path.
pub(crate) async fn yaml_files(
    client: &Client,
    project: &str,
    paths: &[&str],
    commit: &str,
) -> Result<Vec<FileContent>, TaskError> {
    let clean = |path: &&str| path.trim_start_matches("./").trim_matches('/').to_owned();
    let wanted: BTreeSet<String> = paths.iter().map(clean).collect();
    let direct: Vec<&String> = wanted.iter().filter(|path| is_yaml(path)).collect();
    let mut found = blobs(client, project, &direct, commit).await?;
    let folders: Vec<&String> = wanted.iter().filter(|path| !found.contains_key(*path)).collect();
    let listed = yaml_paths(client, project, &folders, commit).await?;
    let listed: Vec<&String> = listed.iter().filter(|path| !found.contains_key(*path)).collect();
    let below = blobs(client, project, &listed, commit).await?;
    if let Some(path) = listed.into_iter().find(|path| !below.contains_key(*path)) {
        // Listed and gone at one and the same commit.
        return Err(TaskError::internal(format!("GitLab lists {path} but has no such file")));
    }
    found.extend(below);
    Ok(found.into_iter().map(|(path, content)| FileContent { path, content }).collect())
}

/// Every YAML file below the folders. Nothing below one of them is an error that names it.
async fn yaml_paths(
    client: &Client,
    project: &str,
    folders: &[&String],
    commit: &str,
) -> Result<BTreeSet<String>, TaskError> {
    let entries = entries(client, project, folders, commit).await?;
    let files: BTreeSet<String> = entries
        .into_iter()
        .filter(|entry| entry.kind == "blob" && entry.mode != SYMLINK && is_yaml(&entry.path))
        .map(|entry| entry.path)
        .collect();
    let mut all = BTreeSet::new();
    for folder in folders {
        let below: Vec<&String> = files.iter().filter(|path| is_below(path, folder)).collect();
        match below.len() {
            0 => {
                return Err(TaskError::rejected(format!("no YAML file at `{folder}` at commit {commit}")));
            }
            many if many > MAX_FILES => {
                return Err(TaskError::rejected(format!(
                    "{many} YAML files under `{folder}`, and {MAX_FILES} are the most: name the folder of one cluster's Istio"
                )));
            }
            _ => all.extend(below.into_iter().cloned()),
        }
    }
    Ok(all)
}

/// What lies below the folders: all of them by the pages of the folder that holds them all, as long as that takes no more
/// calls than asking for each by itself.
async fn entries(
    client: &Client,
    project: &str,
    folders: &[&String],
    commit: &str,
) -> Result<Vec<Entry>, TaskError> {
    if let [_, _, ..] = folders {
        let top = common_folder(folders);
        let query = below(&top, commit);
        let all = client.list_up_to::<Entry>(folders.len(), project, TREE, &query).await?;
        if let Some(all) = or_nothing(all, Some(Vec::new()))? {
            return Ok(all);
        }
    }
    let mut all = Vec::new();
    for folder in folders {
        let found = client.list::<Entry>(project, TREE, &below(folder, commit)).await?;
        all.extend(or_nothing(found, Vec::new())?);
    }
    Ok(all)
}

/// GitLab answers 404 to a folder that is not there, too. A project that is not there says so.
fn or_nothing<T>(answered: Answered<T>, nothing: T) -> Result<T, TaskError> {
    match answered {
        Err(refused) if refused.status == StatusCode::NOT_FOUND && !refused.detail.contains("Project") => {
            Ok(nothing)
        }
        answered => Ok(answered?),
    }
}

fn below<'a>(folder: &'a str, commit: &'a str) -> [(&'static str, &'a str); 3] {
    [("path", folder), ("ref", commit), ("recursive", "true")]
}

/// The deepest folder that holds all of them; empty for the root.
fn common_folder(folders: &[&String]) -> String {
    let mut shared: Option<Vec<&str>> = None;
    for folder in folders {
        let parts = folder.split('/');
        shared = Some(match shared {
            None => parts.collect(),
            Some(shared) => {
                shared.into_iter().zip(parts).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
            }
        });
    }
    shared.unwrap_or_default().join("/")
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The content of those of the files that are there.
pub(crate) async fn blobs(
    client: &Client,
    project: &str,
    paths: &[&String],
    commit: &str,
) -> Result<BTreeMap<String, String>, TaskError> {
    let mut found = BTreeMap::new();
    for some in paths.chunks(FILES_AT_ONCE) {
        let variables = json!({ "project": project, "ref": commit, "paths": some });
        let data: Data = client.ask(BLOBS, &variables).await?;
        let repository = data.project.and_then(|project| project.repository).ok_or_else(|| {
            TaskError::rejected(format!(
                "project {project} is not there, or not for this token: look at `gitlab_repo` of the registry's rows, and whether the token's user is a member"
            ))
        })?;
        for blob in repository.blobs.nodes {
            let content = content(&blob)?;
            found.insert(blob.path, content);
        }
    }
    Ok(found)
}

/// A file's text, proved to be its bytes: what GitLab takes for another encoding it gives in other bytes.
fn content(blob: &Blob) -> Result<String, TaskError> {
    let content = blob.text.clone().unwrap_or_default();
    let size = match &blob.size {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    if size != u64::try_from(content.len()).ok() {
        let path = &blob.path;
        return Err(TaskError::rejected(format!("{path} is not UTF-8, and only text can be edited safely")));
    }
    Ok(content)
}

fn is_yaml(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
    })
}

#[cfg(test)]
mod tests {
    use guard_tasks::ErrorName;

    use super::*;

    fn blob(raw: Option<&str>, size: Value) -> Blob {
        Blob { path: "dir/x.yaml".to_owned(), size, text: raw.map(str::to_owned) }
    }

    #[test]
    fn line_ends_and_marks_survive_and_other_encodings_are_refused_by_name() {
        let text = "\u{feff}a: 1\r\n";
        assert_eq!(content(&blob(Some(text), json!(text.len()))).unwrap(), text);
        assert_eq!(content(&blob(Some(text), json!(text.len().to_string()))).unwrap(), text);
        assert_eq!(content(&blob(Some(""), json!("0"))).unwrap(), "");
        for (raw, size) in [(Some("caf\u{e9}"), json!("4")), (None, json!("2")), (Some("a"), Value::Null)] {
            let error = content(&blob(raw, size)).unwrap_err();
            assert_eq!(error.name, ErrorName::Rejected);
            assert!(error.chain().contains("dir/x.yaml"), "{error}");
        }
    }

    #[test]
    fn yaml_is_told_by_its_ending() {
        for (path, is) in [("a.yaml", true), ("a/b.YML", true), ("a.yaml.bak", false), ("yaml", false)] {
            assert_eq!(is_yaml(path), is, "{path}");
        }
    }

    #[test]
    fn the_folder_that_holds_all_is_made_of_whole_names() {
        let common = |folders: &[&str]| {
            let folders: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
            common_folder(&folders.iter().collect::<Vec<_>>())
        };
        assert_eq!(common(&["clusters/a/istio", "clusters/ab/istio"]), "clusters");
        assert_eq!(common(&["clusters/a", "clusters/a/istio"]), "clusters/a");
        assert_eq!(common(&["a", "b"]), "");
        assert_eq!(common(&[]), "");
    }
}
