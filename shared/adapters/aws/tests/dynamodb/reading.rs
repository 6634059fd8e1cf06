//! Pages, keys that are left out, and consistency.

use guard_tasks::{
    BatchReader as _, ClusterReader as _, ErrorName, Locks as _, RunRecords as _, TokenStore as _,
};
use serde_json::{Value, json};

use crate::server::{answered, batch, cluster, dynamodb, lease, row, run, sound};

#[tokio::test]
async fn everything_but_an_index_is_read_consistently() {
    let (store, asked) = dynamodb(|operation, _| sound(operation));
    store.cluster(&cluster("c1")).await.unwrap();
    store.confirm(&lease()).await.unwrap_err();
    store.batches().await.unwrap();
    store.entries(&run(), "pre-check#").await.unwrap();
    store.audit_log(&run()).await.unwrap();
    assert_eq!(asked.operations(), ["GetItem", "GetItem", "Scan", "Query", "Query"]);
    assert!(asked.bodies().iter().all(|body| body["ConsistentRead"] == true), "{:?}", asked.bodies());
}

#[tokio::test]
async fn a_batch_is_read_again_from_its_table() {
    let (store, asked) = dynamodb(|operation, _| match operation {
        "Query" => answered(200, &json!({"Items": [{"cluster_id": {"S": "c1"}}], "Count": 1})),
        _ => answered(200, &json!({"Responses": {"guard-cluster-registry": [row("c1")]}})),
    });
    assert_eq!(store.batch(&batch()).await.unwrap().len(), 1);
    let [query, read] = &asked.bodies()[..] else { panic!("{:?}", asked.operations()) };
    assert_eq!(query["IndexName"], "batch-index");
    assert_eq!(query.get("ConsistentRead"), None, "an index refuses it");
    assert_eq!(read["RequestItems"]["guard-cluster-registry"]["ConsistentRead"], true);
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let (store, asked) = dynamodb(|operation, before| match (operation, before) {
        // A page may be empty and not the last.
        ("Query", 0) => {
            answered(200, &json!({"Items": [], "Count": 0, "LastEvaluatedKey": {"run_id": {"S": "r1"}}}))
        }
        ("Query", 1) => {
            answered(200, &json!({"Items": [], "Count": 0, "LastEvaluatedKey": {"run_id": {"S": "r2"}}}))
        }
        _ => sound(operation),
    });
    assert!(store.open_tokens().await.unwrap().is_empty());
    let starts: Vec<Value> = asked.bodies().iter().map(|body| body["ExclusiveStartKey"].clone()).collect();
    assert_eq!(starts, [json!(null), json!({"run_id": {"S": "r1"}}), json!({"run_id": {"S": "r2"}})]);
}

/// An index of five rows, and a table that gives them a few at a time.
fn few_at_a_time(given: fn(usize) -> usize) -> (guard_aws::DynamoDb, crate::server::Asked) {
    let rows = std::sync::Mutex::new((1..=5).map(|number| format!("c{number}")).collect::<Vec<_>>());
    dynamodb(move |operation, before| {
        let keys =
            |ids: &[String]| -> Value { ids.iter().map(|id| json!({"cluster_id": {"S": id}})).collect() };
        let mut left = rows.lock().unwrap();
        if operation == "Query" {
            return answered(200, &json!({"Items": keys(&left), "Count": 5}));
        }
        let now: Vec<Value> = left.drain(..given(before)).map(|id| row(&id)).collect();
        let table = "guard-cluster-registry";
        let unprocessed = if left.is_empty() { json!({}) } else { json!({table: {"Keys": keys(&left)}}) };
        answered(200, &json!({"Responses": {table: now}, "UnprocessedKeys": unprocessed}))
    })
}

#[tokio::test]
async fn keys_that_are_left_out_are_asked_for_again() {
    let (store, asked) = few_at_a_time(|before| [2, 0, 0, 1, 0, 2][before]);
    assert_eq!(store.batch(&batch()).await.unwrap().len(), 5);
    let keys =
        |body: &Value| body["RequestItems"]["guard-cluster-registry"]["Keys"].as_array().unwrap().len();
    let counts: Vec<usize> = asked.bodies().iter().skip(1).map(keys).collect();
    assert_eq!(counts, [5, 3, 3, 3, 2, 2]);
    let consistent = |body: &Value| body["RequestItems"]["guard-cluster-registry"]["ConsistentRead"] == true;
    assert!(asked.bodies().iter().skip(1).all(consistent), "the repetition too");
}

#[tokio::test]
async fn a_table_that_gives_nothing_is_too_slow_and_half_a_batch_is_none() {
    let (store, asked) = few_at_a_time(|before| if before == 0 { 2 } else { 0 });
    let error = store.batch(&batch()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Throttled);
    assert_eq!(
        error.to_string(),
        "DynamoDB BatchGetItem guard-cluster-registry: 3 keys were left unprocessed 3 times"
    );
    assert_eq!(asked.operations().len(), 1 + 4);
}
