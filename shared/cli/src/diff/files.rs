//! Files of this machine, read and replaced.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use guard_domain::FileContent;

use crate::failure::Failure;

/// The files, and every YAML file of the folders, each once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<FileContent>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    let mut seen = Vec::new();
    found.retain(|path| {
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_new = !seen.contains(&whole);
        seen.push(whole);
        is_new
    });
    if found.is_empty() {
        return Err(Failure::usage("--file: no YAML file there"));
    }
    found
        .iter()
        .map(|path| Ok(FileContent { path: path.display().to_string(), content: text(path)? }))
        .collect()
}

fn collect(path: &Path, is_named: bool, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path.is_dir() {
        let cannot = |error| Failure::error(format!("{}: {error}", path.display()));
        let entries = fs::read_dir(path).map_err(cannot)?;
        let mut inside: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(cannot)?;
        inside.sort();
        for path in inside {
            collect(&path, false, found)?;
        }
    } else if is_named || path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
        found.push(path.to_owned());
    }
    Ok(())
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let refuse = |cause: &dyn std::fmt::Display| Failure::error(format!("{}: {cause}", path.display()));
    let bytes = fs::read(path).map_err(|error| refuse(&error))?;
    String::from_utf8(bytes).map_err(|_| refuse(&"it is not UTF-8 text"))
}

/// Replaces the files. Everything is written beside them first, with the same mode; then each takes its place in one step,
/// so that nobody ever reads half a file.
pub(super) fn write(files: &[FileContent]) -> Result<(), Failure> {
    let mut ready = Vec::new();
    for file in files {
        match beside(file) {
            Ok(pair) => ready.push(pair),
            Err(error) => {
                // Nothing has taken its place yet.
                for (new, _) in ready {
                    let _ = fs::remove_file::<PathBuf>(new);
                }
                return Err(Failure::error(format!("{}: {error}", file.path)));
            }
        }
    }
    for (new, old) in ready {
        fs::rename(&new, &old).map_err(|error| Failure::error(format!("{}: {error}", old.display())))?;
    }
    Ok(())
}

/// The new content in a file of its own, and the path it is for. A link stays a link: what it names is replaced.
fn beside(file: &FileContent) -> std::io::Result<(PathBuf, PathBuf)> {
    let old = fs::canonicalize(&file.path)?;
    let mut name = old.file_name().unwrap_or_default().to_owned();
    name.push(format!(".guard-{}", std::process::id()));
    let new = old.with_file_name(name);
    let mut handle = fs::File::create_new(&new)?;
    let written = fs::metadata(&old)
        .and_then(|old| handle.set_permissions(old.permissions()))
        .and_then(|()| handle.write_all(file.content.as_bytes()))
        .and_then(|()| handle.sync_all());
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok((new, old))
}
