//! Executions and task tokens.

use guard_aws::{OwnKeys, StepFunctions};
use guard_http::System;
use guard_tasks::{Answered, ErrorName, ExecutionReader as _, Liveness, TaskError, TokenAnswerer as _};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::account::{Asked, REGION, answering, clock, keys};

const ARN: &str = "arn:aws:states:eu-west-1:111111111111:execution:batch-upgrade:r1";

fn step_functions(status: u16, body: &Value) -> (StepFunctions, Asked) {
    let (transport, asked) = answering(status, body);
    let endpoint = Some("http://127.0.0.1:4566".to_owned());
    let provider = OwnKeys::provider(Some(&keys()));
    (StepFunctions::new(transport, provider, clock(), REGION, endpoint.as_ref()), asked)
}

async fn liveness(status: u16, body: Value) -> Result<Liveness, TaskError> {
    step_functions(status, &body).0.liveness(ARN).await
}

fn execution(status: &str) -> Value {
    json!({"executionArn": ARN, "stateMachineArn": "m", "status": status, "startDate": 1_795_000_000})
}

fn refusal(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.swf.service.v2.model#{code}"), "message": "because"})
}

/// What is not known to be an end is none: locks are taken over from the dead only.
#[tokio::test]
async fn only_an_end_is_an_end() {
    for alive in ["RUNNING", "PENDING_REDRIVE", "SOMETHING_NEW"] {
        assert_eq!(liveness(200, execution(alive)).await.unwrap(), Liveness::Running, "{alive}");
    }
    for over in ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"] {
        let undated = liveness(200, execution(over)).await.unwrap_err();
        assert!(undated.chain().ends_with(&format!("it is {over} without a stopDate")), "{undated}");
        let mut ended = execution(over);
        ended["stopDate"] = json!(1_795_000_060);
        let at = Timestamp::from_second(1_795_000_060).unwrap();
        assert_eq!(liveness(200, ended).await.unwrap(), Liveness::Ended(at), "{over}");
    }
    assert_eq!(liveness(400, refusal("ExecutionDoesNotExist")).await.unwrap(), Liveness::Unknown);
}

#[tokio::test]
async fn a_question_without_answer_is_an_error() {
    for (status, code, name) in [
        (400, "InvalidArn", ErrorName::Rejected),
        (400, "AccessDeniedException", ErrorName::Denied),
        (400, "ThrottlingException", ErrorName::Throttled),
        (503, "ServiceUnavailable", ErrorName::Transient),
    ] {
        let error = liveness(status, refusal(code)).await.unwrap_err();
        assert_eq!(error.name, name, "{error}");
        assert!(error.chain().starts_with(&format!("look at execution {ARN}: ")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_carries_the_output_as_text() {
    let (sfn, asked) = step_functions(200, &json!({}));
    let answered = sfn.answer("token-1", &json!({"state": "merged"})).await.unwrap();
    assert_eq!(answered, Answered::InTime);
    assert_eq!(asked.only_body(), json!({"taskToken": "token-1", "output": "{\"state\":\"merged\"}"}));
    let call = &asked.calls()[0];
    assert_eq!(call.system, System::StepFunctions);
    assert!(call.idempotent, "a token is answered once, however often it is sent");
    assert_eq!(call.request.uri().to_string(), "http://127.0.0.1:4566/");
    assert_eq!(call.request.headers()["x-amz-target"], "AWSStepFunctions.SendTaskSuccess");
}

#[tokio::test]
async fn a_token_that_nobody_waits_for_is_answered() {
    for code in ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"] {
        let (sfn, asked) = step_functions(400, &refusal(code));
        assert_eq!(sfn.answer("token-1", &json!({})).await.unwrap(), Answered::TooLate);
        assert_eq!(asked.calls().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_was_not_taken_is_an_error_without_the_token() {
    for (code, name) in [("AccessDeniedException", ErrorName::Denied), ("InvalidOutput", ErrorName::Rejected)]
    {
        let error = step_functions(400, &refusal(code)).0.answer("hush-token", &json!({})).await.unwrap_err();
        assert_eq!(error.name, name, "{error}");
        assert!(!error.chain().contains("hush"), "{error}");
    }
}
