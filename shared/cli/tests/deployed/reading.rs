//! `guard list` and `guard status`.

use serde_json::{Value, json};

use crate::aws::Aws;

fn fleet() -> Aws {
    let aws = Aws::start();
    let mut account = aws.account();
    account.tables.cluster("eks-1", "test", "healthy");
    account.tables.cluster("eks-2", "prod", "upgrading");
    drop(account);
    aws
}

#[test]
fn a_list_is_a_table_or_one_document() {
    let aws = fleet();
    let table = aws.guard(&["list"]);
    assert_eq!(table.code, 0, "{}", table.err);
    table.says(&["cluster", "eks-1", "healthy", "eks-2", "upgrading"]);
    let json = aws.guard(&["list", "--format", "json", "--batch", "prod"]);
    let rows: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["cluster_id"], "eks-2");
    assert_eq!(json.err, "");
    let none = aws.guard(&["list", "--format", "json", "--environment", "moon"]);
    assert_eq!((none.code, none.out.trim()), (0, "[]"));
}

#[test]
fn nothing_found_says_what_there_is() {
    let aws = fleet();
    let ran = aws.guard(&["list", "--batch", "tset"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    ran.notes(&["no cluster fits; batches are prod, test"]);
    let empty = Aws::start().guard(&["list"]);
    empty.notes(&["the registry is empty", "guard registry import FILE"]);
}

#[test]
fn a_row_that_cannot_be_read_is_told_and_not_left_out_in_silence() {
    let aws = fleet();
    aws.account().tables.put("guard-cluster-registry", &json!({"cluster_id": "eks-3", "batch_id": "test"}));
    let ran = aws.guard(&["list", "--format", "json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap().as_array().unwrap().len(), 2);
    ran.notes(&["cannot be read", "registry row eks-3"]);
    assert_eq!(aws.guard(&["status"]).code, 1);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let aws = fleet();
    let mut child = aws
        .command(&["list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_status_of_all_tells_batches_runs_and_ends() {
    let aws = fleet();
    let upgrade = json!({"batch_id": "prod", "target_version": "1.30.5"});
    let arn = aws.execution(
        "guard-batch-upgrade",
        "run-2",
        upgrade.clone(),
        vec![Box::new(|run| {
            run.enter("ConvergeClusters", &json!({}));
        })],
    );
    aws.account().tables.lock("batch#prod", "run-2", &arn);
    aws.execution("guard-batch-upgrade", "run-1", upgrade, vec![]);
    let old = arn.replace("run-2", "run-1");
    aws.account().execution(&old).unwrap().fail("RolledBack", "a regression");
    let ran = aws.guard(&["status"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[
        "Batches",
        "prod",
        "1 upgrading",
        "run-2",
        "Under way",
        "run-2  prod",
        "ConvergeClusters",
        "Last runs",
        "run-1",
        "RolledBack",
    ]);
}

#[test]
fn clusters_that_a_dead_run_left_in_the_middle_are_pointed_at() {
    let aws = fleet();
    let upgrade = json!({"batch_id": "prod", "target_version": "1.30.5"});
    let arn = aws.execution("guard-batch-upgrade", "run-1", upgrade, vec![]);
    aws.account().execution(&arn).unwrap().end("ABORTED");
    aws.account().tables.lock("batch#prod", "run-1", &arn);
    let ran = aws.guard(&["status", "--batch", "prod"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[
        "eks-2",
        "1 locks are held since",
        "which has ended",
        "no run of this batch is under way",
        "ABORTED",
    ]);
    ran.notes(&[
        "left in the middle, and no live run owns them: eks-2",
        "guard run, or guard rollback, with --resume run-1",
        "Clusters left in the middle",
    ]);
    let unknown = aws.guard(&["status", "--batch", "moon"]);
    assert_eq!(unknown.code, 1);
    unknown.notes(&["`moon` is not a batch of the registry; known are prod, test"]);
}
