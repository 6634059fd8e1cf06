//! `guard simulate` as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::process::{Command, Output};

fn guard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_guard")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_story_reads_from_the_request_to_the_table_without_colours_off_a_terminal() {
    let output = guard(&["simulate", "--scenario", "regression", "--clusters", "2"]);
    let (told, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}");
    let mut rest = told.as_str();
    for part in [
        "Istio 1.29.8 -> 1.30.5",
        "Merge request !1: Istio upgrade to v1.30.5 for test",
        "-      version: 1.29.8",
        "+      version: 1.30.5",
        "Merge request !2: [ROLLBACK] Istio back to v1.29.8 for test",
        "requests failed",
        "Audit log",
        "opened rollback merge request",
        "Bill",
        "cluster-converge",
        "calls: Datadog",
        "RolledBack",
        "failed-upgrade-rolled-back",
        "It ended as scenario regression says.",
    ] {
        let at = rest.find(part);
        assert!(at.is_some(), "`{part}` is not where it belongs in:\n{told}");
        rest = &rest[at.unwrap_or_default()..];
    }
    assert!(progress.contains("batch-upgrade     PlanBatch"), "{progress}");
    assert!(progress.contains("batch-rollback    AwaitRollbackMerge"), "{progress}");
    assert!(!told.contains('\u{1b}') && !progress.contains('\u{1b}'), "an escape sequence off a terminal");
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let output = guard(&["simulate", "--clusters", "1", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["clusters"][0]["status"], "healthy");
    assert_eq!(report["surprises"], serde_json::json!([]));
}

/// A target that GUARD refuses: the story does not end as its scenario says, and the exit code tells.
#[test]
fn an_end_that_the_scenario_did_not_mean_is_exit_code_1() {
    let output = guard(&["simulate", "--clusters", "1", "--target-version", "1.28.0"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("1.28.0 is older than 1.29.8"), "{told}");
    assert!(told.contains("It did not end as scenario clean says:"), "{told}");
}

#[test]
fn several_batches_go_one_after_the_other() {
    let output = guard(&["simulate", "--clusters", "3", "--batches", "3"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("3 clusters in test, dev, staging"), "{told}");
    assert!(told.contains("Merge request !3: Istio upgrade to v1.30.5 for staging"), "{told}");
    let refused = guard(&["simulate", "--clusters", "3", "--batches", "2", "--scenario", "mr-closed"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn what_cannot_begin_is_an_error_and_wrong_usage_is_exit_code_2() {
    let missing = guard(&["simulate", "--flux-file", "no/such/file.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("--flux-file no/such/file.yaml: "), "{}", text(&missing.stderr));
    for arguments in [
        &["simulate", "--scenario", "sunny"][..],
        &["simulate", "--target-version", "1.30"],
        &["simulate", "--clusters", "x"],
        &[],
    ] {
        assert_eq!(guard(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let too_many = guard(&["simulate", "--clusters", "201"]);
    assert_eq!(too_many.status.code(), Some(1));
    assert!(text(&too_many.stderr).contains("a batch has 1 to 200"));
}
