//! After the merge: is there what was proposed, and how is it taken back?

use std::collections::BTreeMap;

use super::flux::Object;
use super::splice::{Replacement, splice};
use super::{Change, Edited, Scalar, read};
use crate::yaml::{self, Content, Node, Path};
use crate::{FileContent, Finding};

/// Where a changed scalar is now.
struct Found<'a> {
    document: usize,
    path: Path,
    node: &'a Node,
}

/// What is not there as it was proposed; empty when everything is. A person may have edited the request before merging
/// it. Each finding says what is there and what was proposed.
pub fn holds(files: &[FileContent], changes: &[Change]) -> Result<(), Vec<Finding>> {
    let differs = |change: &Change, there: &str| {
        Finding::blocking(
            "MERGED_DIFFERENTLY",
            place_of(change),
            format!("{there}, proposed was {}", change.to.value),
            "GUARD did not propose this; see who edited the merge request, and take it back or start again",
        )
    };
    let mut findings = Vec::new();
    for_each_file(files, changes, |file, changes| {
        let Some(file) = file else {
            findings.extend(changes.iter().map(|change| differs(change, "the file is gone")));
            return;
        };
        let documents = match read(file) {
            Ok(documents) => documents,
            Err(unreadable) => return findings.push(unreadable),
        };
        for change in changes {
            match find(&documents, change) {
                None => findings.push(differs(change, "the path is gone")),
                Some(found) if found.node.data().as_ref() == Some(&change.to.value) => {}
                Some(found) => findings.push(differs(change, &format!("there is {}", shown(found.node)))),
            }
        }
    });
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// The files with every change taken back: the exact previous values, in the files as they are now. A change that is
/// taken back already is left alone. What somebody changed meanwhile is not touched: then nothing is, and the findings
/// say where.
///
/// `files` holds at least every file that the changes name. The changes of the answer lead back: their `from` is what is
/// there now, their `to` what was there before.
pub fn revert(files: &[FileContent], changes: &[Change]) -> Result<Edited, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut edited = Edited::default();
    for_each_file(files, changes, |file, changes| {
        let Some(file) = file else {
            findings.extend(changes.iter().map(|change| changed_since(change, "the file is gone")));
            return;
        };
        let documents = match read(file) {
            Ok(documents) => documents,
            Err(unreadable) => return findings.push(unreadable),
        };
        let mut replacements = Vec::new();
        let mut back = Vec::new();
        for change in changes {
            match step_back(file, &documents, change) {
                Ok(None) => {}
                Ok(Some((replacement, change))) => {
                    replacements.push(replacement);
                    back.push(change);
                }
                Err(finding) => findings.push(*finding),
            }
        }
        if replacements.is_empty() {
            return;
        }
        match splice(file, &documents, &replacements) {
            Ok(file) => {
                edited.files.push(file);
                edited.changes.extend(back);
            }
            Err(finding) => findings.push(finding),
        }
    });
    if findings.is_empty() { Ok(edited) } else { Err(findings) }
}

/// One change, led back in the file as it is now. `None` when it is back already.
fn step_back(
    file: &FileContent,
    documents: &[Node],
    change: &Change,
) -> Result<Option<(Replacement, Change)>, Box<Finding>> {
    let refuse = |there: &str| Err(Box::new(changed_since(change, there)));
    let Some(found) = find(documents, change) else { return refuse("the path is gone") };
    let now = found.node.data();
    if now.as_ref() == Some(&change.before().value) {
        return Ok(None);
    }
    let bytes = found.node.bytes(&file.content);
    let (Content::Scalar { style, .. }, Some(bytes), true) =
        (&found.node.content, bytes, now.as_ref() == Some(&change.to.value))
    else {
        return refuse(&format!("there is {}", shown(found.node)));
    };
    let readers = yaml::readers(&documents[found.document], &found.path);
    if let Some((path, line)) = readers.iter().find(|(path, _)| !change.also.contains(&path.to_string())) {
        return refuse(&format!("line {line}: {path} reads the same value now, by an alias"));
    }
    let text_now = &file.content[bytes];
    // Written as GUARD wrote it: back comes exactly what was there. Otherwise somebody chose other quotes.
    let text = if text_now == change.to.text {
        change.before().text.clone()
    } else {
        match yaml::written(&change.before().value, *style) {
            Some(text) => text,
            None => return refuse(&format!("it is written as {text_now}")),
        }
    };
    let back = Change {
        document: found.document,
        line: found.node.line,
        path: found.path.to_string(),
        from: Scalar { value: change.to.value.clone(), text: text_now.to_owned() },
        to: Scalar { value: change.before().value.clone(), text: text.clone() },
        back: None,
        ..change.clone()
    };
    let value = change.before().value.clone();
    let replacement = Replacement { document: found.document, path: found.path, value, text, after: None };
    Ok(Some((replacement, back)))
}

/// The scalar where the change left it, or in the one document that holds the same object now.
fn find<'a>(documents: &'a [Node], change: &Change) -> Option<Found<'a>> {
    let path = Path::parse(&change.path).ok()?;
    let objects = Object::all(0, &change.file, documents);
    let mut same = objects
        .iter()
        .filter(|object| object.identity() == change.object && path.0.starts_with(&object.base.0));
    let document = match same.clone().find(|object| object.document == change.document) {
        Some(object) => object.document,
        None => same.next().filter(|_| same.next().is_none())?.document,
    };
    let node = documents.get(document)?.at_path(&path)?;
    Some(Found { document, path, node })
}

fn for_each_file<'a>(
    files: &[FileContent],
    changes: &'a [Change],
    mut each: impl FnMut(Option<&FileContent>, &[&'a Change]),
) {
    let mut by_file: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_file.entry(&change.file).or_default().push(change);
    }
    for (path, changes) in by_file {
        each(files.iter().find(|file| file.path == path), &changes);
    }
}

fn changed_since(change: &Change, there: &str) -> Finding {
    Finding::blocking(
        "CHANGED_SINCE",
        place_of(change),
        format!(
            "{there}, expected was {} from the upgrade, to go back to {}",
            change.to.value,
            change.before().value
        ),
        "somebody changed it after the upgrade: agree with them, then set the old value by hand",
    )
}

fn place_of(change: &Change) -> String {
    format!("{}:{}: {} {}", change.file, change.line, change.object, change.path)
}

fn shown(node: &Node) -> String {
    node.data().map_or_else(|| "no scalar".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::{Aim, edit};
    use super::*;
    use crate::IstioVersion;

    fn file(content: &str) -> FileContent {
        FileContent { path: "istio.yaml".into(), content: content.into() }
    }

    fn release(name: &str, version: &str) -> String {
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\nspec:\n  chart:\n    spec:\n      chart: gateway\n      version: {version}\n"
        )
    }

    /// Two releases, before and after the upgrade, and what was changed.
    fn upgraded() -> (FileContent, FileContent, Vec<Change>) {
        let before = file(&(release("a", "\"1.29.3\" # pin") + &release("b", "1.29.3")));
        let v = |s| IstioVersion::parse(s).unwrap();
        let edited = edit(std::slice::from_ref(&before), &Aim::new(&v("1.29.3"), &v("1.30.5"))).unwrap();
        (before, edited.files[0].clone(), edited.changes)
    }

    fn refusals(now: &str, changes: &[Change]) -> Vec<String> {
        let findings = revert(&[file(now)], changes).unwrap_err();
        assert!(findings.iter().all(|finding| finding.code == "CHANGED_SINCE"), "{findings:?}");
        findings.into_iter().map(|finding| format!("{} {}", finding.subject, finding.message)).collect()
    }

    #[test]
    fn what_was_there_before_is_there_again() {
        let (before, after, changes) = upgraded();
        assert_eq!(holds(std::slice::from_ref(&after), &changes), Ok(()));
        let back = revert(std::slice::from_ref(&after), &changes).unwrap();
        assert_eq!(back.files, std::slice::from_ref(&before));
        assert_eq!(back.changes[0].from, changes[0].to);
        assert_eq!(back.changes[0].to, changes[0].from);
        // Taken back twice is taken back once, and the way back has a way back too.
        assert_eq!(revert(std::slice::from_ref(&before), &changes), Ok(Edited::default()));
        assert_eq!(revert(&[before], &back.changes).unwrap().files, [after]);
    }

    #[test]
    fn a_change_survives_the_run_record() {
        let (_, after, changes) = upgraded();
        let kept = serde_json::to_value(&changes).unwrap();
        assert_eq!(kept[0]["kind"], "chart_version");
        assert_eq!(kept[0]["from"], serde_json::json!({"value": "1.29.3", "text": "\"1.29.3\""}));
        let read: Vec<Change> = serde_json::from_value(kept).unwrap();
        assert_eq!(read, changes);
        assert!(revert(&[after], &read).is_ok());
    }

    #[test]
    fn what_else_was_changed_meanwhile_stays() {
        let (before, after, changes) = upgraded();
        let more = |file: &FileContent| {
            release("new", "1.2.3") + &file.content.replace("pin", "pin of May") + "# end\n"
        };
        let back = revert(&[file(&more(&after))], &changes).unwrap();
        assert_eq!(back.files, [file(&more(&before))]);
        assert_eq!((back.changes[0].document, back.changes[0].line), (1, 20));
        assert_eq!(holds(&[file(&more(&after))], &changes), Ok(()));
    }

    #[test]
    fn other_quotes_are_kept() {
        let (_, after, changes) = upgraded();
        let quoted = after.content.replace("\"1.30.5\"", "'1.30.5'");
        let back = revert(&[file(&quoted)], &changes).unwrap();
        assert_eq!(back.files, [file(&quoted.replace("1.30.5", "1.29.3"))]);
    }

    #[test]
    fn what_somebody_changed_since_is_told_and_nothing_is_touched() {
        let (_, after, changes) = upgraded();
        let told = refusals(&after.content.replace("\"1.30.5\"", "\"1.30.6\""), &changes);
        assert_eq!(
            told,
            [
                "istio.yaml:10: HelmRelease a spec.chart.spec.version there is \"1.30.6\", expected was \"1.30.5\" from the upgrade, to go back to \"1.29.3\""
            ]
        );
        let told = refusals(&after.content.replace("version: \"", "verzion: \""), &changes);
        assert!(told.len() == 1 && told[0].contains("the path is gone"), "{told:?}");
        let told = refusals(&after.content.replace("name: a", "name: c"), &changes);
        assert!(told.len() == 1 && told[0].contains("the path is gone"), "{told:?}");
        // The same object twice, neither where it was: which of them was it?
        let twice = release("x", "1.2.3")
            + &release("x", "1.2.3")
            + &release("b", "1.30.5")
            + &release("b", "1.30.5");
        let told = refusals(&twice, &changes[1..]);
        assert!(told.len() == 1 && told[0].contains("the path is gone"), "{told:?}");
    }

    #[test]
    fn an_alias_that_came_later_is_not_moved() {
        let (_, after, changes) = upgraded();
        let shared = after.content.replace("\"1.30.5\" # pin\n", "&v \"1.30.5\"\n  values: {x: *v}\n");
        let told = refusals(&shared, &changes);
        assert!(told.len() == 1 && told[0].contains("spec.values.x reads the same value"), "{told:?}");
    }

    #[test]
    fn a_file_that_is_gone_or_unreadable_is_told() {
        let (_, after, changes) = upgraded();
        let told = |result: Result<(), Vec<Finding>>| -> Vec<String> {
            result.unwrap_err().into_iter().map(|finding| finding.code).collect()
        };
        assert_eq!(told(revert(&[], &changes).map(|_| ())), ["CHANGED_SINCE", "CHANGED_SINCE"]);
        assert_eq!(told(holds(&[], &changes)), ["MERGED_DIFFERENTLY", "MERGED_DIFFERENTLY"]);
        let broken = [file(&(after.content + "x: ["))];
        assert_eq!(told(revert(&broken, &changes).map(|_| ())), ["YAML_UNREADABLE"]);
        assert_eq!(told(holds(&broken, &changes)), ["YAML_UNREADABLE"]);
    }

    #[test]
    fn what_was_merged_differently_is_told() {
        let (before, after, changes) = upgraded();
        let told = holds(&[file(&after.content.replace("\"1.30.5\"", "1.30.4"))], &changes).unwrap_err();
        assert_eq!(
            told[0].to_string(),
            "MERGED_DIFFERENTLY istio.yaml:10: HelmRelease a spec.chart.spec.version: there is \"1.30.4\", proposed was \"1.30.5\"; GUARD did not propose this; see who edited the merge request, and take it back or start again"
        );
        assert_eq!(holds(&[before], &changes).unwrap_err().len(), 2);
    }
}
