//! Files that are made from the code: each is as it would be made now. `make generate` makes them.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the repository should stop there")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use guard_asl::{Drawing, draw_mermaid};
use guard_simulation::machines;
use guard_tasks::Contract;
use serde_json::Value;

const SCHEMAS: &str = "statemachine/schemas";
const DRAWINGS: &str = "docs/state-machines.md";
const COMMAND_LINE: &str = "docs/cli.md";
const CONFIGURATION: &str = "docs/configuration.md";
const CHECKS: &str = "docs/checks.md";
const README: &str = "README.md";
const BEGIN: &str = "<!-- generated: batch-upgrade, by make generate -->\n";
const END: &str = "<!-- end of generated -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn fenced(drawing: &str) -> String {
    format!("```mermaid\n{drawing}```\n")
}

/// JSON Schemas of every task, by file.
fn schemas() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for contract in Contract::all() {
        let mut file = |kind: &str, schema: &Value| {
            let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
            files.insert(format!("{SCHEMAS}/{}.{kind}.schema.json", contract.task), text);
        };
        file("input", &contract.input);
        file("output", &contract.output);
        if let Some(answer) = &contract.token_answer {
            file("token", answer);
        }
    }
    files
}

/// Every machine, all of it.
fn drawings() -> String {
    let mut page = "# State machines\n\n\
         Drawn from `statemachine/*.asl.json` by `make generate`: every state and every edge. Edges of a choice \
         carry what they ask for, edges of an error its name. The main path of `batch-upgrade` alone is in the \
         [README](../README.md).\n"
        .to_owned();
    for machine in machines().unwrap() {
        let comment = machine.comment.clone().unwrap_or_default();
        let drawing = fenced(&draw_mermaid(&machine));
        page.push_str(&["\n## ", &machine.name, "\n\n", &comment, "\n\n", &drawing].concat());
    }
    page
}

/// The main path of `batch-upgrade`: how it ends well, or back at the old version.
fn main_path() -> String {
    let machine = machines().unwrap().into_iter().find(|machine| machine.name == "batch-upgrade").unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let drawing = Drawing {
        without_catch: true,
        // Ends before the merge; one of them finds the request merged after all and comes back.
        without_states: names(&["HowItEnded"]),
        leading_to: names(&["BatchHealthy", "RolledBack"]),
        folds_choices: true,
        folds_maps: true,
    };
    fenced(&drawing.draw(&machine))
}

fn readme(now: &str) -> String {
    let (before, rest) = now.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}{}{END}{after}", main_path())
}

fn generated() -> BTreeMap<String, String> {
    let mut files = schemas();
    files.insert(DRAWINGS.to_owned(), drawings());
    files.insert(COMMAND_LINE.to_owned(), guard_cli::markdown());
    files.insert(CONFIGURATION.to_owned(), guard_tests::configuration::page());
    files.insert(CHECKS.to_owned(), guard_tests::checks::page());
    let now = fs::read_to_string(root().join(README)).unwrap();
    files.insert(README.to_owned(), readme(&now));
    files
}

/// What is wrong with a file, if anything.
fn difference(file: &str, now: Option<&str>, wanted: &str) -> Option<String> {
    let Some(now) = now else { return Some(format!("{file} is missing")) };
    if now == wanted {
        return None;
    }
    let (mut old, mut new) = (now.lines(), wanted.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (None, None) => return Some(format!("{file}: its last line ends otherwise")),
            (old, new) if old == new => {}
            (old, new) => {
                let text = |line: Option<&str>| line.unwrap_or("(no more lines)").to_owned();
                return Some(format!(
                    "{file}, line {number}:\n    is      {}\n    must be {}",
                    text(old),
                    text(new)
                ));
            }
        }
    }
}

#[test]
fn what_is_generated_is_up_to_date() {
    let root = root();
    let wanted = generated();
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (file, text) in &wanted {
        let path = root.join(file);
        if is_update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // A file that is right keeps its time, so that nothing is compiled again for it.
            if fs::read_to_string(&path).ok().as_ref() != Some(text) {
                fs::write(&path, text).unwrap();
            }
        } else {
            wrong.extend(difference(file, fs::read_to_string(&path).ok().as_deref(), text));
        }
    }
    for entry in fs::read_dir(root.join(SCHEMAS)).into_iter().flatten() {
        let path = entry.unwrap().path();
        let file = format!("{SCHEMAS}/{}", path.file_name().unwrap().to_str().unwrap());
        if wanted.contains_key(&file) {
            continue;
        }
        if is_update {
            fs::remove_file(&path).unwrap();
        } else {
            wrong.push(format!("{file}: nothing generates it any more"));
        }
    }
    assert!(wrong.is_empty(), "not up to date; run `make generate`\n{}", wrong.join("\n"));
}

/// A check that is written and not in the list would never be asked.
#[test]
fn every_file_of_checks_is_in_the_list() {
    let folder = fs::read_dir(root().join("shared/domain/src/checks")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = names.filter(|name| name != "tests.rs").count();
    assert_eq!(guard_domain::checks::ALL.len(), files);
}

#[test]
fn a_difference_is_named_by_file_and_line() {
    assert_eq!(difference("f", Some("a\nb\n"), "a\nb\n"), None);
    assert_eq!(difference("f", None, "a\n").unwrap(), "f is missing");
    assert_eq!(
        difference("f", Some("a\nb\n"), "a\nc\n").unwrap(),
        "f, line 2:\n    is      b\n    must be c"
    );
    assert_eq!(
        difference("f", Some("a\n"), "a\nc\n").unwrap(),
        "f, line 2:\n    is      (no more lines)\n    must be c"
    );
    assert_eq!(difference("f", Some("a"), "a\n").unwrap(), "f: its last line ends otherwise");
}
