//! Files at a commit.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_domain::FileContent;
use guard_tasks::TaskError;
use http::StatusCode;
use serde::Deserialize;

use crate::client::{Client, segment};

/// YAML files read for one folder, one call each. A cluster's Istio folder holds a handful; more means that the row
/// names a folder far too high up.
const MAX_FILES: usize = 200;

/// Git's mode of a symbolic link, whose content is a path and not YAML.
const SYMLINK: &str = "120000";

/// A file as it is at some commit.
pub(crate) struct File {
    pub(crate) content: FileContent,
    /// The last commit that changed it; writing with it is refused if somebody was faster.
    pub(crate) last_commit_id: String,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    last_commit_id: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
}

pub(crate) async fn yaml_files(
    client: &Client,
    project: &str,
    path: &str,
    commit: &str,
) -> Result<Vec<FileContent>, TaskError> {
    let path = path.trim_start_matches("./").trim_matches('/');
    if is_yaml(path)
        && let Some(file) = find(client, project, path, commit).await?
    {
        return Ok(vec![file.content]);
    }
    let paths = yaml_paths(client, project, path, commit).await?;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let file = find(client, project, &path, commit).await?;
        // Listed and gone at one and the same commit.
        let file =
            file.ok_or_else(|| TaskError::internal(format!("GitLab lists {path} but has no such file")))?;
        found.push(file.content);
    }
    Ok(found)
}

async fn yaml_paths(
    client: &Client,
    project: &str,
    folder: &str,
    commit: &str,
) -> Result<Vec<String>, TaskError> {
    let query = [("path", folder), ("ref", commit), ("recursive", "true")];
    let entries = client.list::<Entry>(project, "repository/tree", &query).await??;
    let mut paths: Vec<String> = entries
        .into_iter()
        .filter(|entry| entry.kind == "blob" && entry.mode != SYMLINK && is_yaml(&entry.path))
        .map(|entry| entry.path)
        .collect();
    paths.sort();
    match paths.len() {
        0 => Err(TaskError::rejected(format!("no YAML file at `{folder}` at commit {commit}"))),
        many if many > MAX_FILES => Err(TaskError::rejected(format!(
            "{many} YAML files under `{folder}`, and {MAX_FILES} are the most: name the folder of one cluster's Istio"
        ))),
        _ => Ok(paths),
    }
}

/// One file, `None` when there is none at that commit.
pub(crate) async fn find(
    client: &Client,
    project: &str,
    path: &str,
    commit: &str,
) -> Result<Option<File>, TaskError> {
    let endpoint = format!("repository/files/{}", segment(path));
    let blob = match client.get::<Blob>(project, &endpoint, &[("ref", commit)]).await? {
        Ok(blob) => blob,
        Err(refused)
            if refused.status == StatusCode::NOT_FOUND && refused.detail.contains("File Not Found") =>
        {
            return Ok(None);
        }
        Err(refused) => return Err(refused.into()),
    };
    let content = text(path, blob.content, &blob.encoding)?;
    Ok(Some(File {
        content: FileContent { path: path.to_owned(), content },
        last_commit_id: blob.last_commit_id,
    }))
}

fn text(path: &str, content: String, encoding: &str) -> Result<String, TaskError> {
    if encoding == "text" {
        return Ok(content);
    }
    let packed: String = content.split_whitespace().collect();
    let bytes = BASE64_STANDARD
        .decode(packed)
        .map_err(|error| TaskError::internal(format!("GitLab gave {path} in broken base64: {error}")))?;
    String::from_utf8(bytes)
        .map_err(|_| TaskError::rejected(format!("{path} is not UTF-8, and only text can be edited safely")))
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

    #[test]
    fn line_ends_and_marks_survive_and_other_encodings_are_refused_by_name() {
        let packed = BASE64_STANDARD.encode("\u{feff}a: 1\r\n");
        assert_eq!(text("x.yaml", packed, "base64").unwrap(), "\u{feff}a: 1\r\n");
        let error = text("dir/x.yaml", BASE64_STANDARD.encode([0xff, 0xfe]), "base64").unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        assert!(error.chain().contains("dir/x.yaml"), "{error}");
    }

    #[test]
    fn yaml_is_told_by_its_ending() {
        for (path, is) in [("a.yaml", true), ("a/b.YML", true), ("a.yaml.bak", false), ("yaml", false)] {
            assert_eq!(is_yaml(path), is, "{path}");
        }
    }
}
