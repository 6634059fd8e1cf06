//! A panic, seen from Lambda.

use std::path::Path;

use guard_tests::runtime_api::{Reply, invoke};
use serde_json::json;

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_process_goes_on() {
    let program = Path::new(env!("CARGO_BIN_EXE_panics"));
    let variables = [("GUARD_CONFIG_FILE", "unused.yaml")];
    let meta = json!({"state": "JudgeSoak", "retry_count": 1});
    let payloads = [json!({"hush": 1}), json!({"hush": 1, "run": {"run_id": "run-7"}, "meta": meta})];
    let mut function = invoke(program, &variables, payloads).await.unwrap();
    for (request_id, keys) in [("request-1", 1), ("request-2", 2)] {
        let body = json!({
            "errorType": "Internal",
            "errorMessage": format!("panics: panicked: {keys} keys are too many"),
        });
        let expected = Reply { kind: "error".into(), request_id: request_id.into(), body };
        assert_eq!(function.reply().await.unwrap(), expected);
    }
    let (lines, metrics) = function.lines_and_metrics().await.unwrap();
    let [first, second] = &lines[..] else { panic!("one line an invocation: {lines:?}") };
    assert_eq!((&first["level"], &first["error.name"]), (&json!("ERROR"), &json!("Internal")));
    assert!(first["panic.location"].as_str().unwrap().contains("panics.rs:"), "{first}");
    assert_eq!((&first["cold_start"], &second["cold_start"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&second["function_request_id"], &second["execution.name"]),
        (&json!("request-2"), &json!("run-7"))
    );
    assert_eq!((&second["state.name"], &second["attempt"]), (&json!("JudgeSoak"), &json!(2)), "{second}");
    assert_eq!((first.get("state.name"), first.get("attempt")), (None, None), "{first}");
    assert!(!format!("{lines:?}{metrics:?}").contains("hush"), "no payload is written down");
    let counted = |name: &str| metrics.iter().filter(|line| line[name].is_number()).count();
    assert_eq!((counted("TaskDuration"), counted("TaskErrors")), (2, 2), "{metrics:?}");
    assert!(metrics.iter().all(|line| line["FunctionName"] == "guard-under-test"), "{metrics:?}");
    assert_eq!(metrics[3]["execution.name"], "run-7");
}

#[tokio::test]
async fn settings_that_are_missing_are_the_answer() {
    let program = Path::new(env!("CARGO_BIN_EXE_panics"));
    let mut function = invoke(program, &[], [json!({})]).await.unwrap();
    let reply = function.reply().await.unwrap();
    assert_eq!(reply.body["errorType"], "Rejected");
    let message = reply.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("neither GUARD_CONFIG_PARAMETER nor GUARD_CONFIG_FILE is set"), "{message}");
    assert_eq!(function.lines().await.unwrap().len(), 1, "one line an invocation");
}
