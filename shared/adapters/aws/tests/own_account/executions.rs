//! Executions as a person drives them, and their histories.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use guard_aws::{ExecutionState, Happened, OwnKeys, Start, StepFunctions};
use guard_http::Call;
use guard_tasks::ErrorName;
use serde_json::{Value, json};

use crate::account::{Asked, REGION, answering, clock, keys};

const ARN: &str = "arn:aws:states:eu-west-1:111111111111:execution:guard-batch-upgrade:r1";
const MACHINE: &str = "arn:aws:states:eu-west-1:111111111111:stateMachine:guard-batch-upgrade";

fn step_functions(status: u16, body: &Value) -> (StepFunctions, Asked) {
    let (transport, asked) = answering(status, body);
    (StepFunctions::new(transport, OwnKeys::provider(Some(&keys())), clock(), REGION, None), asked)
}

/// One answer a call, in their order.
fn pages(answers: Vec<Value>) -> (StepFunctions, Arc<Mutex<Vec<Value>>>) {
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&asked);
    let transport = move |call: Call| {
        let mut asked = record.lock().unwrap();
        asked.push(serde_json::from_slice(call.request.body()).unwrap());
        let body = Bytes::from(answers[asked.len() - 1].to_string());
        Ok(http::Response::builder().header("content-type", "application/x-amz-json-1.0").body(body).unwrap())
    };
    let provider = OwnKeys::provider(Some(&keys()));
    (StepFunctions::new(Arc::new(transport), provider, clock(), REGION, None), asked)
}

fn refusal(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.swf.service.v2.model#{code}"), "message": "because"})
}

#[tokio::test]
async fn a_start_names_the_execution_and_carries_its_input_as_text() {
    let (sfn, asked) = step_functions(200, &json!({"executionArn": ARN, "startDate": 1_795_000_000}));
    let started = sfn.start(MACHINE, "r1", &json!({"batch_id": "test"})).await.unwrap();
    assert_eq!(started, Start::Began { execution_arn: ARN.to_owned() });
    let expected = json!({"stateMachineArn": MACHINE, "name": "r1", "input": "{\"batch_id\":\"test\"}"});
    assert_eq!(asked.only_body(), expected);
    assert!(asked.calls()[0].idempotent, "the same name and input start one execution");

    let (sfn, _) = step_functions(400, &refusal("ExecutionAlreadyExists"));
    assert_eq!(sfn.start(MACHINE, "r1", &json!({})).await.unwrap(), Start::NameTaken);
    let (sfn, _) = step_functions(400, &refusal("AccessDeniedException"));
    let error = sfn.start(MACHINE, "r1", &json!({})).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied);
    assert!(
        error.chain().starts_with(&format!("start r1 of {MACHINE}: Step Functions StartExecution")),
        "{error}"
    );
}

#[tokio::test]
async fn an_execution_is_read_whole() {
    let (sfn, _) = step_functions(
        200,
        &json!({
            "executionArn": ARN, "stateMachineArn": MACHINE, "name": "r1", "status": "FAILED",
            "startDate": 1_795_000_000.5, "stopDate": 1_795_000_060, "input": "{\"batch_id\":\"test\"}",
            "error": "RolledBack", "cause": "why"
        }),
    );
    let found = sfn.execution(ARN).await.unwrap().unwrap();
    assert_eq!((found.state, found.name.as_str()), (ExecutionState::Failed, "r1"));
    assert_eq!(found.input, json!({"batch_id": "test"}));
    assert_eq!(found.output, Value::Null);
    assert_eq!(found.started_at.as_millisecond(), 1_795_000_000_500);
    assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("RolledBack"), Some("why")));
    let (sfn, _) = step_functions(400, &refusal("ExecutionDoesNotExist"));
    assert_eq!(sfn.execution(ARN).await.unwrap(), None);
    let (sfn, _) = step_functions(400, &refusal("InvalidArn"));
    assert_eq!(sfn.execution("x").await.unwrap_err().name, ErrorName::Rejected);
}

#[tokio::test]
async fn machines_and_executions_are_listed_page_by_page() {
    let machine = |name: &str| json!({"name": name, "stateMachineArn": format!("arn:{name}"), "type": "STANDARD", "creationDate": 1});
    let (sfn, asked) = pages(vec![
        json!({"stateMachines": [machine("a")], "nextToken": "t"}),
        json!({"stateMachines": [machine("b")]}),
    ]);
    assert_eq!(sfn.machine("b").await.unwrap().as_deref(), Some("arn:b"));
    assert_eq!(asked.lock().unwrap()[1]["nextToken"], "t");

    let line = |name: &str| {
        json!({
            "executionArn": format!("arn:{name}"), "stateMachineArn": MACHINE, "name": name, "status": "RUNNING",
            "startDate": 1
        })
    };
    let (sfn, asked) = pages(vec![
        json!({"executions": [line("3"), line("2")], "nextToken": "t"}),
        json!({"executions": [line("1")], "nextToken": "u"}),
    ]);
    let found = sfn.executions(MACHINE, true, 3).await.unwrap();
    assert_eq!(found.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    assert_eq!(asked.lock().unwrap()[0]["statusFilter"], "RUNNING");
    assert_eq!(asked.lock().unwrap().len(), 2, "enough is enough");
}

fn event(id: i64, kind: &str, key: &str, details: &Value) -> Value {
    json!({"id": id, "previousEventId": id - 1, "timestamp": 1_795_000_000 + id, "type": kind, key: details})
}

#[tokio::test]
async fn a_history_is_read_from_its_end_down_to_what_is_known() {
    let entered = |id, name: &str| {
        event(
            id,
            "TaskStateEntered",
            "stateEnteredEventDetails",
            &json!({"name": name, "input": "{\"n\":1}"}),
        )
    };
    let failed = event(
        6,
        "TaskFailed",
        "taskFailedEventDetails",
        &json!({"resource": "invoke", "resourceType": "lambda", "error": "Transient", "cause": "why"}),
    );
    let exited =
        event(5, "TaskStateExited", "stateExitedEventDetails", &json!({"name": "A", "output": "not json"}));
    let other = event(7, "TaskScheduled", "unknownDetails", &json!({}));
    let (sfn, asked) = pages(vec![
        json!({"events": [other, failed], "nextToken": "t"}),
        json!({"events": [exited, entered(4, "B"), entered(3, "A")], "nextToken": "u"}),
    ]);
    let history = sfn.history(ARN, 3).await.unwrap();
    let whats: Vec<Happened> = history.events.iter().map(|event| event.what.clone()).collect();
    assert_eq!(
        whats,
        [
            Happened::Entered { state: "B".into(), input: json!({"n": 1}) },
            Happened::Exited { state: "A".into(), output: Value::Null },
            Happened::Failed { error: "Transient".into(), cause: "why".into() },
        ]
    );
    assert_eq!(history.read_to, 7, "what is of no interest is not read twice either");
    assert_eq!(asked.lock().unwrap().len(), 2, "the page that holds what is known is the last");
    assert_eq!(asked.lock().unwrap()[0]["reverseOrder"], true);

    let (sfn, _) = pages(vec![json!({"events": []})]);
    assert_eq!(sfn.history(ARN, 9).await.unwrap().read_to, 9);
    let (sfn, _) = step_functions(400, &refusal("ExecutionDoesNotExist"));
    assert!(sfn.history(ARN, 0).await.unwrap().events.is_empty());
    let (sfn, _) = step_functions(400, &refusal("ThrottlingException"));
    assert_eq!(sfn.history(ARN, 0).await.unwrap_err().name, ErrorName::Throttled);
}

#[tokio::test]
async fn a_stop_of_what_is_gone_is_done() {
    let (sfn, asked) = step_functions(200, &json!({"stopDate": 1}));
    sfn.stop(ARN, "Cancelled", "why").await.unwrap();
    assert_eq!(asked.only_body(), json!({"executionArn": ARN, "error": "Cancelled", "cause": "why"}));
    step_functions(400, &refusal("ExecutionDoesNotExist")).0.stop(ARN, "e", "c").await.unwrap();
    let refused = step_functions(400, &refusal("AccessDeniedException")).0.stop(ARN, "e", "c").await;
    assert_eq!(refused.unwrap_err().name, ErrorName::Denied);
}
