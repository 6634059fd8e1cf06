//! Writes under a lock: what is sent, and what the reasons of a cancelled transaction mean.

use guard_tasks::{AuditEntry, ErrorName, RunRecords as _, TaskError};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::{Answer, answered, dynamodb, lease, sound};

fn line() -> AuditEntry {
    AuditEntry { at: Timestamp::UNIX_EPOCH, who: "w".into(), what: "x".into() }
}

fn cancelled(reasons: &Value) -> Answer {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    answered(400, &json!({"__type": kind, "Message": "cancelled", "CancellationReasons": reasons}))
}

async fn put(reasons: Value) -> Result<(), TaskError> {
    let (store, _) = dynamodb(move |_, _| cancelled(&reasons));
    store.put(&lease(), "plan", None, &json!(1)).await
}

async fn audit(reasons: Value) -> Result<(), TaskError> {
    let (store, _) = dynamodb(move |_, _| cancelled(&reasons));
    store.audit(&lease(), &line()).await
}

fn codes(first: &str, second: &str) -> Value {
    json!([{"Code": first, "Message": "first"}, {"Code": second, "Message": "second"}])
}

#[tokio::test]
async fn the_lock_is_checked_in_the_same_transaction() {
    let (store, asked) = dynamodb(|operation, _| sound(operation));
    store.put(&lease(), "plan", Some(&json!({"b": 1, "a": [0.5]})), &json!("x")).await.unwrap();
    let body = &asked.bodies()[0];
    let [check, write] = &body["TransactItems"].as_array().unwrap()[..] else { panic!("{body}") };
    let check = &check["ConditionCheck"];
    assert_eq!(
        (&check["TableName"], &check["Key"]["resource"]["S"]),
        (&json!("guard-locks"), &json!("batch#test"))
    );
    assert_eq!(check["ConditionExpression"], "#fence = :v0 AND #holder.#run_id = :v1");
    assert_eq!(check["ExpressionAttributeValues"], json!({":v0": {"N": "3"}, ":v1": {"S": "a"}}));
    let put = &write["Put"];
    assert_eq!(put["ConditionExpression"], "#value = :v0");
    assert_eq!(put["ExpressionAttributeValues"][":v0"]["S"], r#"{"a":[0.5],"b":1}"#);
    assert_eq!(put["Item"]["value"]["S"], "\"x\"");
}

/// A token made from the content would make DynamoDB answer the second call with success, and do nothing.
#[tokio::test]
async fn each_call_has_a_token_of_its_own() {
    let (store, asked) = dynamodb(|operation, _| sound(operation));
    for _ in 0..2 {
        store.put(&lease(), "plan", None, &json!(1)).await.unwrap();
    }
    let tokens: Vec<Value> = asked.bodies().iter().map(|body| body["ClientRequestToken"].clone()).collect();
    assert!(tokens[0].as_str().is_some_and(|token| token.len() >= 32), "{tokens:?}");
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn a_reason_has_a_remedy() {
    let failed = "ConditionalCheckFailed";
    for (first, second, name) in [
        ("None", failed, ErrorName::Conflict),
        (failed, "None", ErrorName::Conflict),
        // Definite answers come first, and the lock before the row.
        (failed, failed, ErrorName::Conflict),
        (failed, "ThrottlingError", ErrorName::Conflict),
        ("TransactionConflict", failed, ErrorName::Transient),
        ("TransactionConflict", "None", ErrorName::Transient),
        ("None", "TransactionConflict", ErrorName::Transient),
        ("ThrottlingError", "None", ErrorName::Throttled),
        ("None", "ProvisionedThroughputExceeded", ErrorName::Throttled),
        ("None", "RequestLimitExceeded", ErrorName::Throttled),
        ("None", "ValidationError", ErrorName::Rejected),
        ("None", "ItemCollectionSizeLimitExceeded", ErrorName::Rejected),
        ("None", "AccessDenied", ErrorName::Denied),
        ("None", "SomethingNew", ErrorName::Internal),
        ("None", "None", ErrorName::Internal),
    ] {
        let error = put(codes(first, second)).await.unwrap_err();
        assert_eq!(error.name, name, "{first} {second}: {error}");
        assert!(error.to_string().starts_with("entry plan of run a"), "{error}");
        let is_lock = error.to_string().contains("does not hold batch#test");
        assert_eq!(is_lock, first == failed, "{first} {second}: {error}");
    }
    assert_eq!(put(json!([])).await.unwrap_err().name, ErrorName::Internal);
    assert_eq!(put(json!([{"Message": "neither code"}, {}])).await.unwrap_err().name, ErrorName::Internal);
}

#[tokio::test]
async fn a_known_line_is_heard_only_by_who_holds_the_lock() {
    let failed = "ConditionalCheckFailed";
    audit(codes("None", failed)).await.unwrap();
    assert_eq!(audit(codes(failed, failed)).await.unwrap_err().name, ErrorName::Conflict);
    // The lock was not looked at: nobody knows.
    for (code, name) in
        [("TransactionConflict", ErrorName::Transient), ("ThrottlingError", ErrorName::Throttled)]
    {
        assert_eq!(audit(codes(code, failed)).await.unwrap_err().name, name);
    }
}

#[tokio::test]
async fn the_holder_is_named_as_far_as_it_is_known() {
    let holder = |item: Value| json!([{"Code": "ConditionalCheckFailed", "Item": item}, {"Code": "None"}]);
    let row = json!({"resource": {"S": "batch#test"}, "fence": {"N": "4"}, "holder": {"M": {
        "run_id": {"S": "b"}, "execution_arn": {"S": "arn:b"}, "since": {"S": "2026-11-23T08:00:00Z"}
    }}});
    for (item, words) in [
        (row, "run a with fence 3 does not hold batch#test; arn:b does"),
        (json!({"resource": {"S": "batch#test"}, "fence": {"N": "3"}}), "nobody does"),
        (json!(null), "nobody does"),
    ] {
        let error = put(holder(item)).await.unwrap_err();
        assert!(error.to_string().ends_with(words), "{error}");
    }
}
