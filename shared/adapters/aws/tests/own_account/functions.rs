//! Other functions, started and called.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guard_aws::{Functions, OwnKeys, Watcher};
use guard_http::{Call, System, Transport};
use guard_tasks::{ErrorName, TaskError, WatcherWaker as _};
use serde_json::{Value, json};

use crate::account::{REGION, answering, clock, keys};

const ARN: &str = "arn:aws:lambda:eu-west-1:111111111111:function:guard-watch-merges";

fn functions(transport: Arc<dyn Transport>) -> Functions {
    Functions::new(transport, OwnKeys::provider(Some(&keys())), clock(), REGION, None)
}

/// The signature of the same request by botocore 1.43 with the same keys at the same second.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=AKIDGUARD/20261123/eu-west-1/lambda/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token, \
     Signature=3f76a4afd9f787ab46dbf335983a00c37d365e8b740c375d3801fbb3dc11e157";

#[tokio::test]
async fn waking_the_watcher_starts_its_function_and_does_not_wait() {
    let (transport, asked) = answering(202, &json!({}));
    Watcher::new(functions(transport), ARN).wake().await.unwrap();
    assert_eq!(asked.only_body(), json!({}));
    let call = &asked.calls()[0];
    assert_eq!((call.system, call.idempotent, call.timeout), (System::Lambda, true, Duration::from_secs(10)));
    let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/\
               arn%3Aaws%3Alambda%3Aeu-west-1%3A111111111111%3Afunction%3Aguard-watch-merges/invocations";
    assert_eq!(call.request.uri().to_string(), url);
    assert_eq!(call.request.headers()["x-amz-invocation-type"], "Event");
    assert_eq!(call.request.headers()["authorization"], SIGNATURE);
}

#[tokio::test]
async fn refusals_name_the_action_the_function_and_the_remedy() {
    for (status, code, name) in [
        (404, "ResourceNotFoundException", ErrorName::Rejected),
        (403, "AccessDeniedException", ErrorName::Denied),
        (429, "TooManyRequestsException", ErrorName::Throttled),
        (500, "ServiceException", ErrorName::Transient),
    ] {
        let transport = move |_: Call| {
            let answer = http::Response::builder().status(status).header("x-amzn-errortype", code);
            Ok(answer.body(Bytes::from_static(br#"{"Type": "User", "Message": "because"}"#)).unwrap())
        };
        let watcher = Watcher::new(functions(Arc::new(transport)), "guard-watch-merges");
        let error = watcher.wake().await.unwrap_err();
        assert_eq!(error.name, name, "{error}");
        let expected = format!("Lambda Invoke guard-watch-merges: status {status} {code}: because");
        assert_eq!(error.chain(), expected);
    }
}

async fn called(failed: Option<&'static str>, body: Value) -> Result<Value, TaskError> {
    let body = Bytes::from(body.to_string());
    let transport = move |call: Call| {
        assert_eq!(call.request.headers()["x-amz-invocation-type"], "RequestResponse");
        let mut answer = http::Response::builder().status(200);
        if let Some(failed) = failed {
            answer = answer.header("x-amz-function-error", failed);
        }
        Ok(answer.body(body.clone()).unwrap())
    };
    functions(Arc::new(transport)).call("guard-answer-decision", &json!({"run_id": "r1"})).await
}

#[tokio::test]
async fn a_call_gives_the_functions_answer() {
    let answer = called(None, json!({"summary": "run r1 goes on"})).await.unwrap();
    assert_eq!(answer, json!({"summary": "run r1 goes on"}));
}

#[tokio::test]
async fn a_failure_of_the_function_keeps_its_name() {
    let failure = |kind: &str| json!({"errorType": kind, "errorMessage": "payload.run_id: asks nothing now"});
    let error = called(Some("Unhandled"), failure("Rejected")).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert_eq!(error.chain(), "function guard-answer-decision: payload.run_id: asks nothing now");
    let error = called(Some("Unhandled"), failure("Runtime.ExitError")).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Internal);
    assert!(error.chain().contains("Runtime.ExitError payload.run_id"), "{error}");
    let error = called(Some("Unhandled"), json!([])).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Internal);
}
