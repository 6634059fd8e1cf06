//! `guard monitor`.

use serde_json::json;

use crate::aws::{ACCOUNT, Aws, Ran};

fn upgrade() -> serde_json::Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

/// A whole story: states, clusters, audit log, soak, findings, in the order in which they happen.
#[test]
fn a_run_is_told_from_its_histories_and_its_record() {
    let aws = Aws::start();
    {
        let mut account = aws.account();
        account.tables.cluster("eks-1", "test", "upgrading");
        account.tables.entry("run-1", "progress", &json!({"eks-1": "converged"}));
        let soak = json!({
            "from": "2026-11-18T12:00:00Z", "until": "2026-11-18T13:00:00Z",
            "changed_at": "2026-11-18T11:50:00Z", "extensions": 1
        });
        account.tables.entry("run-1", "soak", &soak);
        let look = json!({"at": "2026-11-18T12:30:00Z", "verdict": {"outcome": "fail", "reasons": ["too many errors"]}});
        account.tables.entry("run-1", "soak#eks-1", &look);
        account.tables.audit(
            "run-1",
            "2026-11-18T11:00:00Z",
            "open-merge-request",
            "opened merge request !1",
        );
        let child = json!({"run_id": "run-1"});
        account.begin("guard-cluster-converge", "eks-1-upgrade-1-0123456789", child, Vec::new());
        let arn = format!("{ACCOUNT}:execution:guard-cluster-converge:eks-1-upgrade-1-0123456789");
        let converge = account.execution(&arn).unwrap();
        converge.enter("WatchRollout", &json!({"cluster_id": "eks-1"}));
        let cause = r#"{"errorType": "Transient", "errorMessage": "Kubernetes GET /x: timed out"}"#;
        converge.fail_once("Transient", cause);
    }
    aws.execution(
        "guard-batch-upgrade",
        "run-1",
        upgrade(),
        vec![
            Box::new(|run| run.enter("PlanBatch", &json!({}))),
            Box::new(|run| {
                run.enter("ConvergeClusters", &json!({}));
                run.enter("Converge", &json!({"cluster_id": "eks-1", "child": "eks-1-upgrade-1-0123456789"}));
            }),
            Box::new(|run| {
                run.exit("Converge", &json!({"cluster_id": "eks-1", "verdict": "pass"}));
                run.enter("Soak", &json!({}));
            }),
            Box::new(|run| run.fail("RolledBack", "eks-1: too many errors")),
        ],
    );
    let ran = aws.guard(&["monitor", "--batch", "test", "--poll-seconds", "0.05"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    // The audit log comes by its own time, which is before those of the histories here.
    ran.says(&["open-merge-request  opened merge request !1", "batch-upgrade       PlanBatch"]);
    ran.says(&["ConvergeClusters", "eks-1 begins to converge", "eks-1 converged: pass", "Soak"]);
    ran.notes(&["docs/runbook.md says what to do: section RolledBack"]);
    ran.says(&["cluster-converge    eks-1: WatchRollout: Transient: Kubernetes GET /x: timed out"]);
    assert_eq!(ran.out.matches("opened merge request").count(), 1, "{}", ran.out);
    ran.says(&["run-1 after 1h 05m: RolledBack", "eks-1: too many errors", "eks-1", "upgrading"]);
}

#[test]
fn a_run_that_waits_for_a_merge_says_whom_it_waits_for() {
    let aws = Aws::start();
    let request = json!({
        "project": "platform/fleet", "clusters": ["eks-1"], "base_commit": "b0", "source_branch": "feature/x",
        "target_branch": "main", "marker": "m", "changes": [], "digest": "d", "landed": null,
        "opened": {"iid": 7, "web_url": "https://gitlab.example/7", "commit": "c0"}
    });
    aws.account().tables.entry("run-1", "merge-request#upgrade#001", &request);
    aws.execution(
        "guard-batch-upgrade",
        "run-1",
        upgrade(),
        vec![
            Box::new(|run| run.enter("AwaitUpgradeMerge", &json!({}))),
            Box::new(|_| {}),
            Box::new(|run| run.fail("MergeRequestClosed", "closed")),
        ],
    );
    let ran = aws.guard(&["monitor", "--poll-seconds", "0.05"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert_eq!(
        ran.out.matches("waiting for a person to merge https://gitlab.example/7").count(),
        1,
        "{}",
        ran.err
    );
}

#[test]
fn what_is_asked_is_shown_with_the_commands_that_answer() {
    let aws = Aws::start();
    let question = json!({"clusters": ["eks-1"], "reasons": ["eks-1: latency rose by 9 %"]});
    aws.account().tables.entry("run-1", "question", &question);
    let arn = aws.execution(
        "guard-batch-upgrade",
        "run-1",
        upgrade(),
        vec![Box::new(|run| {
            run.enter("AwaitDecision", &json!({}));
        })],
    );
    let ran = aws.guard(&["status", "--execution", &arn]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[
        "AwaitDecision",
        "eks-1: latency rose by 9 %",
        "guard approve --batch test",
        "guard reject --batch test",
    ]);
}

/// A nested rollback and the batches of a rollout are found by the names in the data, and told.
#[test]
fn executions_inside_of_executions_are_followed() {
    let aws = Aws::start();
    aws.execution(
        "guard-batch-rollback",
        "back-1",
        json!({"run": {"run_id": "child-1", "batch_id": "test"}}),
        vec![],
    );
    let back = format!("{ACCOUNT}:execution:guard-batch-rollback:back-1");
    aws.account().execution(&back).unwrap().enter("OpenRollbackMergeRequest", &json!({}));
    let batch = aws.execution("guard-batch-upgrade", "child-1", upgrade(), vec![]);
    aws.account()
        .execution(&batch)
        .unwrap()
        .enter("StartRollback", &json!({"gate": {"rollback_name": "back-1"}}));
    aws.execution(
        "guard-rollout",
        "all-1",
        json!({"target_version": "1.30.5"}),
        vec![
            Box::new(|run| run.enter("StartBatch", &json!({"next": {"child": "child-1"}}))),
            Box::new(|run| run.fail("Halted", "batch test is not healthy")),
        ],
    );
    let ran = aws.guard(&[
        "monitor",
        "--execution",
        &format!("{ACCOUNT}:execution:guard-rollout:all-1"),
        "--poll-seconds",
        "0.05",
    ]);
    assert_eq!(ran.code, 6, "{}{}", ran.out, ran.err);
    for line in [
        "rollout             StartBatch",
        "batch-upgrade       StartRollback",
        "batch-rollback      OpenRollbackMergeRequest",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
}

#[test]
fn without_a_run_there_is_nothing_to_follow() {
    let ran = Aws::start().guard(&["monitor"]);
    assert_eq!(ran.code, 1);
    ran.notes(&["error: nothing is under way", "note: look at the last runs: guard status"]);
}

#[test]
fn silence_is_borne_for_a_while_and_then_told() {
    let aws = Aws::start();
    aws.execution(
        "guard-batch-upgrade",
        "run-1",
        upgrade(),
        vec![
            Box::new(|run| run.enter("PlanBatch", &json!({}))),
            Box::new(|run| run.succeed(json!("every cluster is at the target already"))),
        ],
    );
    let arn = format!("{ACCOUNT}:execution:guard-batch-upgrade:run-1");
    aws.refuse("DescribeExecution", 400, "ThrottlingException");
    aws.refuse("GetExecutionHistory", 500, "InternalError");
    let ran = aws.guard(&["monitor", "--execution", &arn, "--poll-seconds", "0.05"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&["SUCCEEDED", "every cluster is at the target already"]);
}

/// Ctrl-C leaves the run alone, and says how to come back.
#[test]
fn an_interrupted_monitor_says_how_to_come_back() {
    let aws = Aws::start();
    let arn = aws.execution(
        "guard-batch-upgrade",
        "run-1",
        upgrade(),
        vec![Box::new(|run| {
            run.enter("PlanBatch", &json!({}));
        })],
    );
    let mut command = aws.command(&["monitor", "--execution", &arn, "--poll-seconds", "600"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // The first line is printed after the first look: by then the signal is listened for.
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert!(line.contains("PlanBatch"), "{line}");
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut rest).unwrap();
    assert_eq!(status.code(), Some(6), "{rest}");
    assert!(
        rest.contains("the run goes on") && rest.contains(&format!("guard monitor --execution {arn}")),
        "{rest}"
    );
    assert_eq!(aws.account().execution(&arn).unwrap().status, "RUNNING");
}

#[test]
fn a_wrong_name_is_told() {
    let aws = Aws::start();
    let nonsense = aws.guard(&["monitor", "--execution", "run-1"]);
    assert_eq!(nonsense.code, 2);
    nonsense.notes(&["`run-1` is not the ARN of an execution of GUARD"]);
    let unknown = aws.guard(&["monitor", "--execution", &format!("{ACCOUNT}:execution:guard-rollout:x")]);
    assert_eq!(unknown.code, 1);
    unknown.notes(&["there is no execution"]);
    let never = aws.guard(&["monitor", "--batch", "test"]);
    assert_eq!(never.code, 1);
    never.notes(&["batch test has no run", "guard run --batch test"]);
}

#[test]
fn of_several_runs_one_must_be_named() {
    let aws = Aws::start();
    for (run, batch) in [("run-1", "test"), ("run-2", "dev")] {
        aws.execution("guard-batch-upgrade", run, json!({"batch_id": batch}), vec![]);
    }
    let ran: Ran = aws.guard(&["monitor"]);
    assert_eq!(ran.code, 2);
    ran.notes(&["2 runs are under way", "run-2", "--batch BATCH"]);
}
