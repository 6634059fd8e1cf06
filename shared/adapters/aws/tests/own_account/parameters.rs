//! One parameter, read by name with one signed request.

use guard_aws::{OwnKeys, Parameters};
use guard_http::{Call, FailureKind, System, Transport, TransportError};
use guard_tasks::{ErrorName, TaskError};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::account::{Asked, REGION, answering, clock, keys};

const NAME: &str = "/guard/config";

fn parameters(transport: Arc<dyn Transport>, endpoint: Option<&str>) -> Parameters {
    let endpoint = endpoint.map(str::to_owned);
    Parameters::new(transport, OwnKeys::provider(Some(&keys())), clock(), REGION, endpoint.as_ref())
}

async fn read(status: u16, body: Value) -> (Result<String, TaskError>, Asked) {
    let (transport, asked) = answering(status, &body);
    (parameters(transport, None).read(NAME).await, asked)
}

#[tokio::test]
async fn the_value_as_it_was_put() {
    let parameter = json!({"Name": NAME, "Type": "SecureString", "Value": "gitlab: {}\n", "Version": 3});
    let (value, asked) = read(200, json!({"Parameter": parameter})).await;
    assert_eq!(value.unwrap(), "gitlab: {}\n");
    assert_eq!(asked.only_body(), json!({"Name": NAME, "WithDecryption": true}));
    let call = &asked.calls()[0];
    assert_eq!((call.system, call.idempotent), (System::Ssm, true));
    assert_eq!(call.request.method(), "POST");
    assert_eq!(call.request.uri().to_string(), "https://ssm.eu-west-1.amazonaws.com/");
    let header = |name: &str| call.request.headers()[name].to_str().unwrap();
    assert_eq!(header("x-amz-target"), "AmazonSSM.GetParameter");
    assert_eq!(header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(header("x-amz-date"), "20261123T080000Z");
    assert_eq!(header("x-amz-security-token"), "hush-session");
}

/// The signature of the same request by botocore 1.43 with the same keys at the same second.
#[tokio::test]
async fn the_signature_is_the_one_that_aws_computes() {
    let (_, asked) = read(400, json!({})).await;
    assert_eq!(asked.calls()[0].request.headers()["authorization"], SIGNATURE);
}

const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=AKIDGUARD/20261123/eu-west-1/ssm/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
     Signature=e82d911109131f88b7d9324191a1f82890c3a6c84638693b6a5e8a5d560b7666";

#[tokio::test]
async fn an_endpoint_may_be_elsewhere() {
    let (transport, asked) = answering(200, &json!({"Parameter": {"Value": "x"}}));
    parameters(transport, Some("http://127.0.0.1:4566/")).read(NAME).await.unwrap();
    assert_eq!(asked.calls()[0].request.uri().to_string(), "http://127.0.0.1:4566/");
}

#[tokio::test]
async fn refusals_name_the_action_the_parameter_and_the_remedy() {
    for (status, code, name) in [
        (400, "ParameterNotFound", ErrorName::Rejected),
        (400, "AccessDeniedException", ErrorName::Denied),
        (400, "ThrottlingException", ErrorName::Throttled),
        (400, "InvalidKeyId", ErrorName::Rejected),
        (500, "InternalServerError", ErrorName::Transient),
        (503, "ServiceUnavailable", ErrorName::Transient),
    ] {
        let (value, asked) = read(status, json!({"__type": code, "message": "because"})).await;
        let error = value.unwrap_err();
        assert_eq!(error.name, name, "{error}");
        let expected = format!("SSM GetParameter /guard/config: status {status} {code}: because");
        assert_eq!(error.chain(), expected);
        assert_eq!(asked.calls().len(), 1, "retrying is the state machine's job");
    }
}

#[tokio::test]
async fn what_is_no_parameter_is_an_error_that_shows_nothing_of_it() {
    for body in [json!({}), json!({"Parameter": {"Value": 5}}), json!({"Parameter": "hush"}), json!(["hush"])]
    {
        let error = read(200, body).await.0.unwrap_err();
        assert_eq!(error.name, ErrorName::Internal);
        assert_eq!(error.chain(), "SSM GetParameter /guard/config: the answer holds no value");
    }
}

#[tokio::test]
async fn no_answer_has_the_name_of_its_cause() {
    let silent = |_: Call| Err(TransportError::new(FailureKind::Timeout, "10 s"));
    let error = parameters(Arc::new(silent), None).read(NAME).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Transient);
    assert_eq!(error.chain(), "SSM GetParameter /guard/config: timed out: 10 s");
}

#[tokio::test]
async fn without_keys_nothing_is_sent() {
    let (transport, asked) = answering(200, &json!({}));
    let parameters = Parameters::new(transport, OwnKeys::provider(None), clock(), REGION, None);
    let error = parameters.read(NAME).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
    assert_eq!(asked.calls().len(), 0);
}
