//! Puts new scalars in the place of old ones, and proves that nothing else differs.

use std::ops::Range;

use serde_json::Value;

use super::place;
use crate::yaml::{self, Node, Path, Step};
use crate::{FileContent, Finding};

/// One scalar to replace, or to add.
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
    /// For a key that is not there yet: the scalar beside it, after which it goes.
    pub(crate) after: Option<Path>,
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
    let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
    for replacement in replacements {
        let at = replacement.after.as_ref().unwrap_or(&replacement.path);
        let node = documents.get(replacement.document).and_then(|node| node.at_path(at));
        let bytes = node.and_then(|node| node.bytes(&file.content));
        let cut = bytes.and_then(|bytes| match (&replacement.after, replacement.path.0.last()) {
            (None, _) => Some((bytes, replacement.text.clone())),
            (Some(_), Some(Step::Key(key))) => new_key(&file.content, &bytes, key, &replacement.text),
            (Some(_), _) => None,
        });
        cuts.push(cut.ok_or_else(|| {
            Finding::blocking(
                "VALUE_NOT_ON_ONE_LINE",
                place(&file.path, node.map_or(0, |node| node.line), at),
                "its bytes are not in one place",
                "write the value on one line, without a block or an alias",
            )
        })?);
    }
    cuts.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
    let mut content = String::with_capacity(file.content.len());
    let mut read = 0;
    for (bytes, text) in cuts {
        let kept = file.content.get(read..bytes.start);
        content.push_str(kept.ok_or_else(|| refuse("two changes meet in one place".into()))?);
        content.push_str(&text);
        read = bytes.end;
    }
    content.push_str(&file.content[read..]);
    prove(documents, &content, replacements).map_err(refuse)?;
    Ok(FileContent { path: file.path.clone(), content })
}

/// Where a new key goes and what is to stand there: on a line of its own below the scalar's, or after it where braces
/// hold both. `None` where neither is sure.
fn new_key(content: &str, beside: &Range<usize>, key: &str, text: &str) -> Option<(Range<usize>, String)> {
    let start = content[..beside.start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let before = &content[start..beside.start];
    let indent = &before[..before.len() - before.trim_start_matches(' ').len()];
    let own_key = before[indent.len()..].trim_end();
    // `chart:` alone before the scalar: the mapping is a block, and the scalar the line's only one.
    if own_key.trim_end_matches(':').chars().all(|c| c.is_ascii_alphanumeric() || c == '"' || c == '\'') {
        let end = content[beside.end..].find(['\n', '\r']).map_or(content.len(), |at| beside.end + at);
        let line_end = content[end..].split_inclusive('\n').next().filter(|end| end.ends_with('\n'));
        let line_end = line_end
            .map_or_else(|| any_line_end(content), |end| if end.starts_with('\r') { "\r\n" } else { "\n" });
        return Some((end..end, format!("{line_end}{indent}{key}: {text}")));
    }
    let is_braced = before.contains('{');
    is_braced.then(|| (beside.end..beside.end, format!(", {key}: {text}")))
}

fn any_line_end(content: &str) -> &'static str {
    if content.contains("\r\n") { "\r\n" } else { "\n" }
}

fn prove(before: &[Node], content: &str, replacements: &[Replacement]) -> Result<(), String> {
    let mut after = yaml::documents(content)
        .map_err(|cause| format!("the edited file could not be read again: {cause}"))?;
    if before.len() != after.len() {
        return Err("the edit would change how many documents there are".into());
    }
    for (index, (before, after)) in before.iter().zip(&mut after).enumerate() {
        let ours: Vec<&Replacement> = replacements.iter().filter(|one| one.document == index).collect();
        for one in &ours {
            if after.at_path(&one.path).and_then(Node::data).as_ref() != Some(&one.value) {
                return Err(format!("{} would not be {}", one.path, one.value));
            }
        }
        for one in ours.iter().filter(|one| one.after.is_some()) {
            after.remove(&one.path);
        }
        let paths: Vec<&Path> = ours.iter().map(|one| &one.path).collect();
        if let Some(path) = yaml::first_difference(before, after, &paths) {
            return Err(format!("the edit would change {path} too"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(content: &str, path: &str, text: &str, value: Value) -> Result<String, String> {
        let file = FileContent { path: "f".into(), content: content.into() };
        let documents = yaml::documents(content).unwrap();
        let path = Path::parse(path).unwrap();
        let one = Replacement { document: 0, path, value, text: text.into(), after: None };
        splice(&file, &documents, &[one]).map(|file| file.content).map_err(|finding| finding.message)
    }

    #[test]
    fn only_the_scalar_s_bytes_differ() {
        assert_eq!(spliced("a: 1 # x\r\nb: 'y'", "b", "'z'", "z".into()).unwrap(), "a: 1 # x\r\nb: 'z'");
    }

    /// What a wrong text would do to the rest of the file.
    #[test]
    fn an_edit_that_does_more_is_refused() {
        for (text, value, cause) in [
            ("2", Value::from(3), "a would not be 3"),
            ("2\nc: 3", Value::from(2), "the edit would change (top) too"),
            ("2\n---\nx: 1", Value::from(2), "the edit would change how many documents there are"),
            ("&x 2", Value::from(2), "the edit would change a too"),
            ("[", Value::from(2), "the edited file could not be read again"),
            ("'2'", Value::from(2), "a would not be 2"),
            ("2 # \n", Value::from(2), ""),
        ] {
            let got = spliced("a: 1\nb: 1\n", "a", text, value);
            assert!(got.clone().err().unwrap_or_default().starts_with(cause), "{text}: {got:?}");
        }
    }

    #[test]
    fn a_new_key_goes_below_or_beside() {
        let put = |content: &str| {
            let file = FileContent { path: "f".into(), content: content.into() };
            let documents = yaml::documents(content).unwrap();
            let one = Replacement {
                document: 0,
                path: Path::parse("a.version").unwrap(),
                value: "1.2.3".into(),
                text: "1.2.3".into(),
                after: Some(Path::parse("a.chart").unwrap()),
            };
            splice(&file, &documents, &[one]).map(|file| file.content).map_err(|finding| finding.code)
        };
        for (before, after) in [
            ("a:\n  chart: x # c\n  b: 1\n", "a:\n  chart: x # c\n  version: 1.2.3\n  b: 1\n"),
            ("a:\r\n  chart: \"x\"\r\n", "a:\r\n  chart: \"x\"\r\n  version: 1.2.3\r\n"),
            ("a:\n  'chart':   x", "a:\n  'chart':   x\n  version: 1.2.3"),
            ("a: {chart: x, b: 1}\n", "a: {chart: x, version: 1.2.3, b: 1}\n"),
            ("a: {b: 1, chart: 'x'} # c", "a: {b: 1, chart: 'x', version: 1.2.3} # c"),
        ] {
            assert_eq!(put(before).as_deref(), Ok(after));
        }
        // Braces over several lines: a line of its own would not be inside of them, or not for sure.
        assert!(put("a: {b: 1,\n  chart: x}\n").is_err());
    }
}
