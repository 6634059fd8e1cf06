//! Puts new scalars in the place of old ones, and proves that nothing else differs.

use serde_json::Value;

use super::place;
use crate::yaml::{self, Node, Path};
use crate::{FileContent, Finding};

/// One scalar to replace.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    /// Document inside the file, from 0.
    pub(crate) document: usize,
    /// Path inside the document, no selectors.
    pub(crate) path: Path,
    /// The new value.
    pub(crate) value: Value,
    /// The new value as it is to stand there.
    pub(crate) text: String,
}

/// The file with the scalars replaced. It is read again and compared as data: exactly the named scalars differ, and
/// have the wanted values; anything else is refused.
pub(crate) fn splice(
    file: &FileContent,
    documents: &[Node],
    replacements: &[Replacement],
) -> Result<FileContent, Finding> {
    let refuse = |cause: String| {
        Finding::blocking(
            "EDIT_NOT_PROVEN",
            &file.path,
            cause,
            "report this file: GUARD will not write it; until then make the change by hand",
        )
    };
    let mut cuts = Vec::new();
    for replacement in replacements {
        let node = documents.get(replacement.document).and_then(|node| node.at_path(&replacement.path));
        let bytes = node.and_then(|node| node.bytes(&file.content));
        let bytes = bytes.ok_or_else(|| {
            let line = node.map_or(0, |node| node.line);
            Finding::blocking(
                "VALUE_NOT_ON_ONE_LINE",
                place(&file.path, line, &replacement.path),
                "it is no scalar on one line, so its bytes cannot be replaced",
                "write the value on one line, without a block or an alias",
            )
        })?;
        cuts.push((bytes, replacement.text.as_str()));
    }
    cuts.sort_by_key(|(bytes, _)| bytes.start);
    let mut content = String::with_capacity(file.content.len());
    let mut read = 0;
    for (bytes, text) in cuts {
        let kept = file.content.get(read..bytes.start);
        content.push_str(kept.ok_or_else(|| refuse("two changes meet in one place".into()))?);
        content.push_str(text);
        read = bytes.end;
    }
    content.push_str(&file.content[read..]);
    prove(documents, &content, replacements).map_err(refuse)?;
    Ok(FileContent { path: file.path.clone(), content })
}

fn prove(before: &[Node], content: &str, replacements: &[Replacement]) -> Result<(), String> {
    let after = yaml::documents(content)
        .map_err(|cause| format!("the edited file could not be read again: {cause}"))?;
    if before.len() != after.len() {
        return Err("the edit would change how many documents there are".into());
    }
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let ours: Vec<&Replacement> = replacements.iter().filter(|one| one.document == index).collect();
        let paths: Vec<&Path> = ours.iter().map(|one| &one.path).collect();
        if let Some(path) = yaml::first_difference(before, after, &paths) {
            return Err(format!("the edit would change {path} too"));
        }
        for one in ours {
            if after.at_path(&one.path).and_then(Node::data).as_ref() != Some(&one.value) {
                return Err(format!("{} would not be {}", one.path, one.value));
            }
        }
    }
    Ok(())
}
