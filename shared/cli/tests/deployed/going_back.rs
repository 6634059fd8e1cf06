//! `guard rollback`.

use serde_json::json;

use crate::aws::{ACCOUNT, Aws};

const ROLLBACK: [&str; 6] = ["rollback", "--batch", "test", "--reason", "slower than last week", "--yes"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ROLLBACK.iter().chain(more).copied().collect()
}

#[test]
fn a_healthy_batch_is_taken_back() {
    let aws = Aws::start();
    aws.account().tables.cluster("eks-1", "test", "healthy");
    aws.next_life(vec![
        Box::new(|run| run.enter("PlanRollback", &json!({}))),
        Box::new(|run| run.succeed(json!({"summary": "all are back"}))),
    ]);
    let ran = aws.guard(&with(&["--wait", "--poll-seconds", "0.05"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[
        "started    test-rollback-",
        ":execution:guard-batch-rollback:test-rollback-",
        "SUCCEEDED",
        "all are back",
    ]);
    ran.says(&["batch-rollback      PlanRollback"]);
    let arn = ran.out.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let mut account = aws.account();
    let input = &account.execution(&arn).unwrap().input;
    assert_eq!(*input, json!({"batch_id": "test", "reason": "slower than last week"}));
}

#[test]
fn a_way_back_that_failed_fails_the_command() {
    for (error, code) in [("RollbackFailed", 5), ("GateFailed", 3), ("Halted", 6)] {
        let aws = Aws::start();
        aws.account().tables.cluster("eks-1", "test", "healthy");
        aws.next_life(vec![Box::new(move |run| run.fail(error, "why"))]);
        assert_eq!(aws.guard(&with(&["--wait"])).code, code, "{error}");
    }
}

/// Nobody can say yes where there is no terminal, so it has to be said before.
#[test]
fn without_a_yes_nothing_is_started() {
    let aws = Aws::start();
    aws.account().tables.cluster("eks-1", "test", "healthy");
    let ran = aws.guard(&ROLLBACK[..5]);
    assert_eq!(ran.code, 2);
    ran.notes(&["Start the way back of 1 clusters of test?", "Nobody is there to say yes", "add --yes"]);
    assert!(!aws.account().asked.contains(&"StartExecution".to_owned()));
    assert_eq!(aws.guard(&["rollback", "--batch", "test", "--reason", " "]).code, 2);
    let unknown = aws.guard(&["rollback", "--batch", "moon", "--reason", "x", "--yes"]);
    assert_eq!(unknown.code, 1);
    unknown.notes(&["`moon` is not a batch of the registry"]);
}

fn under_way() -> (Aws, String, String) {
    let aws = Aws::start();
    aws.account().tables.cluster("eks-1", "test", "upgrading");
    let arn = aws.execution("guard-batch-upgrade", "run-1", json!({"batch_id": "test"}), vec![]);
    let child = aws.execution("guard-cluster-converge", "eks-1-child", json!({}), vec![]);
    let mut account = aws.account();
    account.tables.lock("batch#test", "run-1", &arn);
    let converge = json!({"cluster_id": "eks-1", "child": "eks-1-child"});
    account.execution(&arn).unwrap().enter("Converge", &converge);
    drop(account);
    (aws, arn, child)
}

/// A rollback by hand starts from healthy clusters: to stop a run first would leave them in the middle.
#[test]
fn a_run_in_the_middle_of_its_clusters_is_not_stopped_unasked() {
    let (aws, arn, _) = under_way();
    let ran = aws.guard(&ROLLBACK);
    assert_eq!(ran.code, 3, "{}", ran.err);
    ran.notes(&["run-1 is under way: eks-1 is upgrading", "guard reject --batch test", "--stop-run"]);
    assert_eq!(aws.account().execution(&arn).unwrap().status, "RUNNING");
}

#[test]
fn with_stop_run_the_run_and_all_inside_of_it_are_stopped_first() {
    let (aws, arn, child) = under_way();
    let ran = aws.guard(&with(&["--stop-run"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.notes(&[&format!("stopped    {arn}"), &format!("stopped    {child}")]);
    ran.says(&["started    test-rollback-"]);
    let mut account = aws.account();
    for arn in [&arn, &child] {
        assert_eq!(account.execution(arn).unwrap().status, "ABORTED");
    }
    let cause = account.execution(&arn).unwrap().error.clone().unwrap();
    assert_eq!(
        cause,
        ("Cancelled".to_owned(), "stopped by guard rollback: slower than last week".to_owned())
    );
    let started = format!("{ACCOUNT}:execution:guard-batch-rollback:test-rollback-");
    assert!(ran.out.contains(&started));
}

/// What an ended run left in the middle is named by that run: the machine knows whether it may go back.
#[test]
fn what_a_run_left_in_the_middle_goes_back_by_its_name() {
    let aws = Aws::start();
    aws.account().tables.cluster("eks-1", "test", "upgrading");
    let unasked = aws.guard(&[&ROLLBACK[..5], &["--resume", "test-1.30.5"]].concat());
    unasked.notes(&["Start the way back of what test-1.30.5 left in the middle of test?"]);
    let ran = aws.guard(&with(&["--resume", "test-1.30.5"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let arn = ran.out.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let mut account = aws.account();
    let input = &account.execution(&arn).unwrap().input;
    let said = json!({"batch_id": "test", "reason": "slower than last week", "resume": "test-1.30.5"});
    assert_eq!(*input, said);
    drop(account);
    for wrong in [&["--resume", "no run"][..], &["--resume", "run-1", "--stop-run"]] {
        assert_eq!(aws.guard(&with(wrong)).code, 2, "{wrong:?}");
    }
    // One that is under way takes them back itself.
    let (aws, arn, _) = under_way();
    let ran = aws.guard(&with(&["--resume", "run-1"]));
    assert_eq!(ran.code, 3, "{}", ran.err);
    ran.notes(&["run-1 is under way: eks-1 is upgrading", "start again with --resume run-1"]);
    assert_eq!(aws.account().execution(&arn).unwrap().status, "RUNNING");
}

/// A dry run changes nothing: it is in nobody's way.
#[test]
fn a_dry_run_is_not_stopped() {
    let aws = Aws::start();
    aws.account().tables.cluster("eks-1", "test", "healthy");
    let arn =
        aws.execution("guard-batch-upgrade", "dry-1", json!({"batch_id": "test", "dry_run": true}), vec![]);
    assert_eq!(aws.guard(&ROLLBACK).code, 0);
    assert_eq!(aws.account().execution(&arn).unwrap().status, "RUNNING");
}
