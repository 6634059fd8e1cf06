//! `guard diff`: the edit that an upgrade would propose, for files on this machine. It asks nobody.

mod files;

use guard_domain::manifest::{self, Aim, Change, Edited, Rules};
use guard_domain::{FileContent, Finding, IstioVersion, SpecUpdate, UpgradeSpec};
use guard_tasks::task;
use serde::Serialize;

use crate::args::DiffOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print;

/// The answer as one document.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    outcome: Outcome,
    changes: &'a [Change],
    findings: &'a [Finding],
    diff: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Edited,
    NothingToDo,
    Refused,
}

pub(crate) fn run(options: &DiffOptions) -> Result<Exit, Failure> {
    let files = files::read(&options.file)?;
    let result = match &options.target_version {
        None => manifest::move_repositories(&files),
        Some(target) => {
            let settings = settings(options, target)?;
            let aim = Aim {
                from: options.from.as_ref().or(options.pin_ranges.as_ref()),
                to: target,
                rules: Rules {
                    pin_ranges: options.pin_ranges.is_some(),
                    allow_umbrella: options.allow_umbrella,
                    trust_repositories_elsewhere: options.trust_repositories,
                },
                check_path: !options.any_path,
                settings: &settings,
            };
            manifest::edit(&files, &aim)
        }
    };
    match result {
        Ok(edited) => done(options, &files, &edited),
        Err(findings) => {
            if options.json {
                let answer =
                    Answer { outcome: Outcome::Refused, changes: &[], findings: &findings, diff: "" };
                print::json(&answer)?;
            } else {
                findings.iter().for_each(print::finding);
            }
            Ok(Exit::Refused)
        }
    }
}

fn done(options: &DiffOptions, before: &[FileContent], edited: &Edited) -> Result<Exit, Failure> {
    let mut diff = String::new();
    for after in &edited.files {
        let old = before.iter().find(|file| file.path == after.path);
        let old = old.map_or("", |file| file.content.as_str());
        // As `git diff` and `patch` name files: relative.
        let name = after.path.trim_start_matches("./").trim_start_matches('/');
        diff += &manifest::unified_diff(name, old, &after.content);
    }
    if options.write {
        files::write(&edited.files)?;
    }
    let is_idle = edited.files.is_empty();
    if options.json {
        let outcome = if is_idle { Outcome::NothingToDo } else { Outcome::Edited };
        print::json(&Answer { outcome, changes: &edited.changes, findings: &edited.notes, diff: &diff })?;
        return Ok(Exit::Done);
    }
    edited.notes.iter().for_each(print::finding);
    print::diff(&diff);
    match (is_idle, options.write) {
        (true, _) => print::progress("nothing to do: the files are as wanted already"),
        (false, true) => print::progress(&format!("wrote {} files", edited.files.len())),
        (false, false) => {}
    }
    Ok(Exit::Done)
}

/// The updates of the spec, checked as `plan-batch` checks them.
fn settings(options: &DiffOptions, target: &IstioVersion) -> Result<Vec<SpecUpdate>, Failure> {
    let Some(path) = &options.upgrade_spec else { return Ok(Vec::new()) };
    let wrong = |cause: String| Failure::usage(format!("--upgrade-spec {}: {cause}", path.display()));
    let text = files::text(path)?;
    let document = serde_saphyr::from_str(&text).map_err(|error| {
        wrong(error.to_string().lines().find(|line| !line.trim().is_empty()).unwrap_or("no YAML").to_owned())
    })?;
    let spec: UpgradeSpec = task::decode("upgrade_spec", document).map_err(|error| wrong(error.chain()))?;
    let problems = spec.problems(target);
    if problems.is_empty() { Ok(spec.updates) } else { Err(wrong(problems.join("; "))) }
}
