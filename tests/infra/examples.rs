//! What people copy: inputs for the console and the schedule, pipelines, and the script that follows an execution.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use guard_simulation::{Fleet, House};
use serde_json::{Value, json};

use crate::stack::{Stack, names_in, read, root};
use crate::yaml;

/// The console's input field shows one line well, and a line can be pasted into a chat.
#[test]
fn every_example_input_is_one_line() {
    for name in names_in("statemachine/examples") {
        let text = read(&format!("statemachine/examples/{name}"));
        assert_eq!(text.trim_end().lines().count(), 1, "{name}");
        assert!(text.len() <= 120, "{name}");
        assert!(serde_json::from_str::<Value>(&text).unwrap().is_object(), "{name}");
    }
}

#[test]
fn the_example_of_a_schedule_is_what_the_stack_sends() {
    let given = [("RolloutSchedule", "on"), ("RolloutTargetVersion", "1.30.5")];
    let entry = Stack::of_guard(&given).resource("RolloutScheduleEntry");
    let sent = entry.properties["Target"]["Input"].as_str().unwrap().to_owned();
    assert_eq!(sent, read("statemachine/examples/rollout.schedule.input.json").trim_end());
}

async fn status_of(machine: &str, name: &str, input: Value) -> String {
    let fleet = Fleet::new(1, 1, None, None).unwrap();
    let house = House::new(&fleet).unwrap();
    let arn = house.run_one(machine, name, input).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    format!("{} {}", ended.status.as_str(), ended.cause.unwrap_or_default())
}

/// As the schedule delivers it: the placeholder is its time.
#[tokio::test(flavor = "current_thread")]
async fn what_a_schedule_sends_is_accepted() {
    let sent = read("statemachine/examples/rollout.schedule.input.json");
    let delivered = sent.replace("<aws.scheduler.scheduled-time>", "2026-11-24T09:00:00Z");
    let input = serde_json::from_str(&delivered).unwrap();
    assert_eq!(status_of("rollout", "scheduled", input).await, "SUCCEEDED ");
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_pipeline_sends_is_accepted() {
    let pipeline = yaml::documents(&read("examples/gitlab-ci.yml")).remove(0);
    let input = pipeline["upgrade-with-aws-cli"]["variables"]["GUARD_INPUT"].as_str().unwrap();
    let sent = input
        .replace("$GUARD_BATCH", "test")
        .replace("$GUARD_TARGET_VERSION", "1.30.5")
        .replace("$CI_PIPELINE_ID", "815");
    let input: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(input, json!({"batch_id": "test", "target_version": "1.30.5", "request_id": "gitlab-815"}));
    assert_eq!(status_of("batch-upgrade", "gitlab-815", input).await, "SUCCEEDED ");
}

#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_from_the_console_succeeds() {
    let input =
        serde_json::from_str(&read("statemachine/examples/batch-upgrade.dry-run.input.json")).unwrap();
    assert_eq!(status_of("batch-upgrade", "dry", input).await, "SUCCEEDED ");
}

/// Keys of the input that jq makes.
#[test]
fn both_pipelines_send_the_same_keys_and_paste_no_input_into_a_script() {
    let workflow = yaml::documents(&read("examples/github-actions.yml")).remove(0);
    for job in workflow["jobs"].as_object().unwrap().values() {
        for step in job["steps"].as_array().unwrap() {
            let script = step["run"].as_str().unwrap_or_default();
            assert!(!script.contains("${{"), "an input in a script is an injection: {script}");
        }
    }
    let script = workflow["jobs"]["upgrade-with-aws-cli"]["steps"][2]["run"].as_str().unwrap();
    for key in ["batch_id: env.BATCH", "target_version: env.TARGET_VERSION", "request_id: env.REQUEST_ID"] {
        assert!(script.contains(key), "{script}");
    }
}

/// A folder with a program `aws` that answers from files: one status a look, the last one again and again.
struct FakeAws(PathBuf);

const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:n";
const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:guard-batch-upgrade";

impl FakeAws {
    fn new(test: &str, statuses: &[&str], error: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-aws-{test}"));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("statuses"), statuses.join("\n") + "\n").unwrap();
        fs::write(folder.join("error"), error).unwrap();
        let program = format!(
            r#"#!/bin/sh
cd '{}' || exit 9
case "$*" in
    "stepfunctions start-execution "*) printf '%s|' "$@" >started; echo {EXECUTION} ;;
    *"--query status "*)
        read -r status <statuses
        [ "$(wc -l <statuses)" -eq 1 ] || {{ sed 1d statuses >rest && mv rest statuses; }}
        [ "$status" != LOST ] || exit 254
        echo "$status" ;;
    *"--query error "*) cat error ;;
    *"--query cause "*) echo the cause ;;
    *"--query output "*) echo '{{"outcome": "Healthy"}}' ;;
    *) exit 9 ;;
esac
"#,
            folder.display()
        );
        fs::write(folder.join("aws"), program).unwrap();
        fs::set_permissions(folder.join("aws"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn follow(&self, arguments: &[&str]) -> Output {
        Command::new(root().join("examples/watch-execution.sh"))
            .args(arguments)
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.display()))
            .env("INTERVAL", "0")
            .output()
            .unwrap()
    }
}

#[test]
fn an_execution_is_started_and_followed_to_its_end() {
    let aws = FakeAws::new("starts", &["RUNNING", "RUNNING", "LOST", "SUCCEEDED"], "");
    let input = r#"{"batch_id": "a b", "target_version": "1.30.5"}"#;
    let output = aws.follow(&[MACHINE, input, "ci-7"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("started {EXECUTION}\n")), "{said}");
    assert_eq!(said.matches("RUNNING").count(), 1, "told when it changes: {said}");
    assert!(said.ends_with("{\"outcome\": \"Healthy\"}\n"), "{said}");
    let started = fs::read_to_string(aws.0.join("started")).unwrap();
    assert!(started.contains(&format!("--input|{input}|--name|ci-7|")), "{started}");
}

#[test]
fn every_end_has_the_exit_code_of_the_command_line() {
    let codes = [
        ("GateFailed", 3),
        ("Rejected", 3),
        ("MergeRequestClosed", 3),
        ("MergeRequestExpired", 3),
        ("RolledBack", 4),
        ("RollbackFailed", 5),
        ("Halted", 6),
        ("States.Runtime", 1),
    ];
    for (error, code) in codes {
        let output = FakeAws::new(&format!("ends-{error}"), &["FAILED"], error).follow(&[EXECUTION]);
        assert_eq!(output.status.code(), Some(code), "{error}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{error}: the cause\n"));
    }
    // Whatever a machine of ours can end with is one of them.
    for name in names_in("statemachine").iter().filter(|name| name.ends_with(".asl.json")) {
        let text = read(&format!("statemachine/{name}"));
        for rest in text.split("\"Error\": \"").skip(1) {
            let error = rest.split_once('"').unwrap().0;
            assert!(codes.iter().any(|(known, _)| *known == error), "{name}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_followed_says_so() {
    for (status, code) in [("TIMED_OUT", 6), ("ABORTED", 1)] {
        let output = FakeAws::new(&format!("odd-{status}"), &[status], "").follow(&[EXECUTION]);
        assert_eq!(output.status.code(), Some(code), "{status}");
    }
    let silent = FakeAws::new("silent", &["LOST"], "").follow(&[EXECUTION]);
    assert_eq!(silent.status.code(), Some(6));
    assert!(String::from_utf8(silent.stderr).unwrap().contains("the run goes on without us"));
    let aws = FakeAws::new("usage", &["RUNNING"], "");
    for wrong in [&[][..], &["guard"], &[MACHINE], &[EXECUTION, "{}"]] {
        let output = aws.follow(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("usage: "));
    }
}

#[test]
fn the_command_lines_of_examples_and_guides_exist() {
    let reference = read("docs/cli.md");
    let places = ["examples/gitlab-ci.yml", "examples/github-actions.yml", "docs/deploy.md"]
        .map(|path| (path, read(path)));
    let mut seen = 0;
    for (path, text) in &places {
        // A command may go on in the next line of a folded scalar.
        let text = text.replace("\n      --", " --");
        for command in
            text.lines().filter_map(|line| line.trim().trim_start_matches("- run: ").strip_prefix("guard "))
        {
            let words: Vec<&str> = command.split_whitespace().take_while(|word| *word != "#").collect();
            let depth = words.iter().take_while(|word| word.chars().all(char::is_alphabetic)).count();
            let heading = format!("# guard {}\n", words[..depth].join(" "));
            let (_, section) = reference
                .split_once(&heading)
                .unwrap_or_else(|| crate::stack::fail(&format!("{path}: {heading} is not in docs/cli.md")));
            let section = section.split("\n#").next().unwrap();
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    section.contains(&format!("{flag} ")) || section.contains(&format!("{flag}\n")),
                    "{path}: {flag}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}
