//! A DynamoDB that answers what a test says, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use guard_aws::{DynamoDb, OwnKeys, TableNames};
use guard_domain::{BatchId, ClusterId, RunId};
use guard_http::{Call, TransportError};
use guard_tasks::{Clock, Fence, Lease};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }
}

/// Operations and their bodies, as they came.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<(String, Value)>>>);

impl Asked {
    pub(crate) fn operations(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(operation, _)| operation.clone()).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

/// `answer` gets the operation and how many times it was asked before.
pub(crate) fn dynamodb(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> (DynamoDb, Asked) {
    let keys = OwnKeys {
        access_key_id: "AKIDGUARD".into(),
        secret_access_key: SecretString::from("hush-key"),
        session_token: None,
    };
    with_keys(Some(&keys), answer)
}

pub(crate) fn with_keys(
    keys: Option<&OwnKeys>,
    answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static,
) -> (DynamoDb, Asked) {
    let asked = Asked::default();
    let record = asked.clone();
    let transport = move |call: Call| {
        let target = call.request.headers()["x-amz-target"].to_str().unwrap();
        let operation = target.strip_prefix("DynamoDB_20120810.").unwrap().to_owned();
        let before = record.operations().iter().filter(|known| **known == operation).count();
        record
            .0
            .lock()
            .unwrap()
            .push((operation.clone(), serde_json::from_slice(call.request.body()).unwrap()));
        answer(&operation, before)
    };
    let provider = OwnKeys::provider(keys);
    let tables = TableNames::default();
    let store = DynamoDb::new(Arc::new(transport), provider, Arc::new(Stopped), "eu-west-1", None, tables);
    (store, asked)
}

pub(crate) fn answered(status: u16, body: &Value) -> Answer {
    raw(status, body.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "a transport's answer is a result")]
pub(crate) fn raw(status: u16, body: impl Into<Bytes>) -> Answer {
    let answer =
        http::Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    Ok(answer.body(body.into()).unwrap())
}

pub(crate) fn refused(status: u16, code: &str, message: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    answered(status, &json!({"__type": kind, "message": message}))
}

/// What a sound table says, empty but for the registry row of `c1`.
pub(crate) fn sound(operation: &str) -> Answer {
    match operation {
        "GetItem" => answered(200, &json!({"Item": row("c1")})),
        "Query" | "Scan" => answered(200, &json!({"Items": [], "Count": 0})),
        "BatchGetItem" => answered(200, &json!({"Responses": {}, "UnprocessedKeys": {}})),
        _ => answered(200, &json!({})),
    }
}

/// A registry row as DynamoDB spells it.
pub(crate) fn row(id: &str) -> Value {
    let text = |text: &str| json!({"S": text});
    json!({
        "cluster_id": text(id), "batch_id": text("test"), "environment": text("test"), "region": text("eu-west-1"),
        "gitlab_repo": text("g/p"), "flux_config_path": text("c"), "aws_role_arn": text("arn:aws:iam::1:role/x"),
        "current_istio_version": text("1.29.3"), "owner_team": text("t"), "owner_handle": text("h"),
        "datadog_tags": {"M": {"cluster": text(id), "env": text("test")}},
        "last_updated": text("2026-11-01T00:00:00Z")
    })
}

pub(crate) fn lease() -> Lease {
    Lease { run_id: run(), batch_id: batch(), fence: Fence(3) }
}

pub(crate) fn run() -> RunId {
    RunId::parse("a").unwrap()
}

pub(crate) fn batch() -> BatchId {
    BatchId::parse("test").unwrap()
}

pub(crate) fn cluster(id: &str) -> ClusterId {
    ClusterId::parse(id).unwrap()
}
