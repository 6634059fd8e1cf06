//! `guard run`.

use serde_json::{Value, json};

use crate::aws::{ACCOUNT, Aws};

const UPGRADE: [&str; 5] = ["run", "--batch", "test", "--target-version", "1.30.5"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    UPGRADE.iter().chain(more).copied().collect()
}

#[test]
fn a_start_tells_where_the_run_is() {
    let aws = Aws::start();
    let ran = aws.guard(&with(&["--reason", "a CVE", "--soak-minutes", "30"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[
        "started    test-1.30.5-20",
        "execution  arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:test-1.30.5-",
    ]);
    ran.says(&[
        "console    https://eu-west-1.console.aws.amazon.com/states/",
        "follow     guard monitor --execution arn:",
    ]);
    let arn = ran.out.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let mut account = aws.account();
    let execution = account.execution(&arn).unwrap();
    let expected =
        json!({"batch_id": "test", "target_version": "1.30.5", "soak_minutes": 30, "reason": "a CVE"});
    assert_eq!(execution.input, expected);
}

#[test]
fn all_batches_are_the_rollout_machine() {
    let aws = Aws::start();
    let ran = aws.guard(&["run", "--all-batches", "--target-version", "1.30.5"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&[":execution:guard-rollout:all-batches-1.30.5-"]);
}

/// What a pipeline sees: the run's own end.
#[test]
fn with_wait_the_exit_code_is_the_runs_own() {
    for (error, code, section) in [
        (None, 0, ""),
        (Some("GateFailed"), 3, "section GateFailed"),
        (Some("Rejected"), 3, "section Rejected"),
        (Some("MergeRequestClosed"), 3, "section MergeRequestClosed"),
        (Some("MergeRequestExpired"), 3, "section MergeRequestExpired"),
        (Some("RolledBack"), 4, "section RolledBack"),
        (Some("RollbackFailed"), 5, "section RollbackFailed"),
        (Some("Halted"), 6, "section Halted"),
        (Some("States.Runtime"), 1, "guard status --batch test"),
    ] {
        let aws = Aws::start();
        aws.account().tables.cluster("eks-1", "test", "healthy");
        aws.next_life(vec![
            Box::new(|run| run.enter("PlanBatch", &json!({}))),
            Box::new(move |run| match error {
                None => run.succeed(json!({"summary": "all is well"})),
                Some(error) => run.fail(error, "this is why"),
            }),
        ]);
        let ran = aws.guard(&with(&["--wait", "--poll-seconds", "0.05"]));
        assert_eq!(ran.code, code, "{error:?}: {}{}", ran.out, ran.err);
        ran.says(&["batch-upgrade       PlanBatch"]);
        ran.notes(&[section]);
        ran.says(&["after 1h 05m: ", if error.is_some() { "this is why" } else { "all is well" }, "eks-1"]);
    }
}

#[test]
fn a_run_that_was_stopped_is_an_error() {
    let aws = Aws::start();
    aws.next_life(vec![Box::new(|run| run.end("ABORTED"))]);
    assert_eq!(aws.guard(&with(&["--wait"])).code, 1);
}

/// A halted rollout tells only that it halted; its batch tells why.
#[test]
fn a_rollout_ends_with_the_code_of_the_batch_that_halted_it() {
    let aws = Aws::start();
    let child = "test-upgrade-1-0123456789";
    let rolled_back: Value = json!({"batch_id": "test", "target_version": "1.30.5"});
    aws.execution(
        "guard-batch-upgrade",
        child,
        rolled_back,
        vec![Box::new(|run| run.fail("RolledBack", "a regression"))],
    );
    aws.next_life(vec![Box::new(move |run| {
        run.enter("StartBatch", &json!({"next": {"child": child}}));
        run.exit("StartBatch", &json!({}));
        run.fail("Halted", "batch test is not healthy");
    })]);
    let ran = aws.guard(&["run", "--all-batches", "--target-version", "1.30.5", "--wait"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    ran.says(&["batch test is not healthy"]);
}

#[test]
fn a_start_whose_answer_was_lost_is_found_again() {
    let aws = Aws::start();
    // The server had started it when the connection broke: the second attempt finds the name taken.
    let first = aws.guard(&UPGRADE);
    assert_eq!(first.code, 0);
    let name = first.out.lines().next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    aws.refuse("StartExecution", 503, "ServiceUnavailable");
    let again = aws.guard(&UPGRADE);
    assert_eq!(again.code, 0, "{}", again.err);
    // Within the same second it is the same name and the same input, so the same run.
    let named = again.out.lines().next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(aws.account().asked.iter().filter(|asked| *asked == "StartExecution").count(), 3);
    assert_eq!(name[..12], named[..12]);
}

#[test]
fn a_start_that_is_refused_says_what_to_do() {
    let aws = Aws::start();
    aws.refuse("StartExecution", 400, "AccessDeniedException");
    let ran = aws.guard(&UPGRADE);
    assert_eq!(ran.code, 1);
    ran.notes(&[
        "error: start test-1.30.5-",
        "AccessDeniedException",
        "note: ",
        "aws sts get-caller-identity",
    ]);

    aws.account().machines = vec!["mesh-guard-batch-upgrade".to_owned()];
    let ran = aws.guard(&UPGRADE);
    assert_eq!(ran.code, 1);
    ran.notes(&["there is no state machine guard-batch-upgrade in eu-west-1", "guard --prefix mesh-guard"]);
    let named = aws.guard(&with(&["--prefix", "mesh-guard"]));
    assert_eq!(named.code, 0);
    named.says(&[
        &format!("{ACCOUNT}:execution:mesh-guard-batch-upgrade:"),
        "guard monitor --prefix mesh-guard --execution",
    ]);
}

/// A pipeline that is delivered twice ends as the wish ended, not as its second delivery.
#[test]
fn a_second_start_of_a_request_follows_the_first() {
    let aws = Aws::start();
    let first = aws.execution(
        "guard-batch-upgrade",
        "first",
        json!({"batch_id": "test"}),
        vec![Box::new(|run| run.fail("RolledBack", "a regression"))],
    );
    aws.next_life(vec![Box::new(move |run| {
        let summary = "request r-1 was started before";
        run.succeed(json!({"outcome": "AlreadyStarted", "first_execution": first, "summary": summary}));
    })]);
    let ran = aws.guard(&with(&["--request-id", "r-1", "--wait", "--poll-seconds", "0.05"]));
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    ran.says(&["request r-1 was started before", "first after 1h 05m: RolledBack", "a regression"]);
}
