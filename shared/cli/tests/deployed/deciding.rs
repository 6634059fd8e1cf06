//! `guard approve` and `guard reject`.

use serde_json::json;

use crate::aws::{Aws, Ran};

fn asking() -> Aws {
    let aws = Aws::start();
    let arn = aws.execution("guard-batch-upgrade", "run-1", json!({"batch_id": "test"}), vec![]);
    let mut account = aws.account();
    account.tables.lock("batch#test", "run-1", &arn);
    let question = json!({"clusters": ["eks-1"], "reasons": ["eks-1: latency rose by 9 %"]});
    account.tables.entry("run-1", "question", &question);
    account.function_answer = json!({"summary": "run run-1 goes on with this answer"});
    drop(account);
    aws
}

#[test]
fn an_answer_goes_through_the_function() {
    for (command, answer) in [("approve", "approve"), ("reject", "reject")] {
        let aws = asking();
        let ran = aws.guard(&[command, "--batch", "test", "--reason", " a few milliseconds "]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.says(&[
            "asked      eks-1: latency rose by 9 %",
            &format!("answered   {answer}, by ada: run run-1 goes on"),
        ]);
        ran.notes(&["guard monitor --execution arn:"]);
        let payload =
            json!({"run_id": "run-1", "answer": answer, "who": "ada", "reason": "a few milliseconds"});
        assert_eq!(aws.account().invoked, [("guard-answer-decision".to_owned(), payload)]);
    }
}

#[test]
fn somebody_answers_and_says_who() {
    let aws = asking();
    let mut nameless = aws.command(&["approve", "--batch", "test", "--reason", "x"]);
    let nameless = Ran::of(&nameless.env_remove("USER").output().unwrap());
    assert_eq!(nameless.code, 2);
    nameless.notes(&["nobody is named", "--who YOUR-NAME"]);
    let named = aws.guard(&["approve", "--batch", "test", "--reason", "x", "--who", "grace"]);
    assert_eq!(named.code, 0, "{}", named.err);
    assert_eq!(aws.account().invoked[0].1["who"], "grace");
    assert_eq!(aws.guard(&["approve", "--batch", "test"]).code, 2);
}

#[test]
fn what_is_not_asked_is_not_answered() {
    let none = Aws::start().guard(&["reject", "--batch", "test", "--reason", "x"]);
    assert_eq!(none.code, 3);
    none.notes(&["no run of batch test is under way: nothing is asked", "guard status --batch test"]);

    let aws = asking();
    aws.account().function_answer = json!({"errorType": "Rejected", "errorMessage": "answer-decision: payload.run_id: run run-1 asks nothing now"});
    let late = aws.guard(&["approve", "--batch", "test", "--reason", "x"]);
    assert_eq!(late.code, 3, "{}", late.err);
    late.notes(&["run run-1 asks nothing now", "look whether it still waits: guard status --batch test"]);
}
