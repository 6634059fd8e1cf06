//! What people read: the whole registry, the locks, the tables themselves.

use guard_tasks::Fence;
use serde_json::{Value, json};

use crate::server::{answered, dynamodb, refused, row};

#[tokio::test]
async fn a_row_that_does_not_decode_is_told_beside_the_others() {
    let broken = json!({"cluster_id": {"S": "c2"}, "batch_id": {"S": "test"}});
    let (store, asked) =
        dynamodb(move |_, _| answered(200, &json!({"Items": [row("c3"), broken, row("c1")], "Count": 3})));
    let fleet = store.fleet().await.unwrap();
    let ids: Vec<&str> = fleet.iter().map(|row| row.cluster_id.as_str()).collect();
    assert_eq!(ids, ["c1", "c2", "c3"]);
    assert!(fleet[0].record.is_ok() && fleet[2].record.is_ok());
    let error = fleet[1].record.clone().unwrap_err().chain();
    assert!(error.starts_with("registry row c2: missing field"), "{error}");
    assert_eq!(asked.bodies()[0]["ConsistentRead"], true);
}

#[tokio::test]
async fn only_locks_with_a_holder_are_held() {
    let holder = json!({"M": {
        "run_id": {"S": "r1"}, "execution_arn": {"S": "arn:r1"}, "since": {"S": "2026-11-23T08:00:00Z"}
    }});
    let held = json!({"resource": {"S": "batch#test"}, "fence": {"N": "3"}, "holder": holder});
    let free = json!({"resource": {"S": "batch#dev"}, "fence": {"N": "2"}});
    let (store, _) = dynamodb(move |_, _| answered(200, &json!({"Items": [held, free], "Count": 2})));
    let locks = store.held_locks().await.unwrap();
    assert_eq!(locks.len(), 1);
    assert_eq!((locks[0].resource.as_str(), locks[0].fence), ("batch#test", Fence(3)));
    assert_eq!((locks[0].run_id.as_str(), locks[0].execution_arn.as_str()), ("r1", "arn:r1"));
}

fn table(keys: &[(&str, &str)], kind: &str, index: Option<(&str, &str)>, status: &str) -> Value {
    let schema: Value =
        keys.iter().map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind})).collect();
    let names = keys.iter().map(|(name, _)| *name).chain(index.map(|(_, key)| key));
    let attributes: Value = names.map(|name| json!({"AttributeName": name, "AttributeType": kind})).collect();
    let indexes: Value = index
        .iter()
        .map(|(name, key)| {
            json!({"IndexName": name, "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}], "IndexStatus": "ACTIVE"})
        })
        .collect();
    json!({"Table": {
        "TableStatus": status, "KeySchema": schema, "AttributeDefinitions": attributes, "GlobalSecondaryIndexes": indexes
    }})
}

#[tokio::test]
async fn tables_are_checked_for_what_everything_relies_on() {
    let registry = ("batch-index", "batch_id");
    let runs = ("open-tokens", "token_state");
    let (store, asked) = dynamodb(move |_, before| {
        let found = match before {
            0 => table(&[("cluster_id", "HASH")], "S", Some(registry), "ACTIVE"),
            1 => table(&[("run_id", "HASH"), ("entry", "RANGE")], "S", Some(runs), "ACTIVE"),
            _ => table(&[("resource", "HASH")], "S", None, "ACTIVE"),
        };
        answered(200, &found)
    });
    for check in store.check_tables().await {
        assert_eq!(check.problems.unwrap(), Vec::<String>::new(), "{}", check.table);
    }
    assert_eq!(asked.operations(), ["DescribeTable"; 3]);

    let (store, _) = dynamodb(move |_, before| match before {
        0 => answered(200, &table(&[("id", "HASH")], "S", None, "CREATING")),
        1 => refused(400, "ResourceNotFoundException", "no"),
        _ => refused(400, "AccessDeniedException", "no"),
    });
    let checks = store.check_tables().await;
    assert_eq!(
        checks[0].problems.clone().unwrap(),
        [
            "its status is CREATING, not ACTIVE",
            "its key must be cluster_id, of strings",
            "it has no index batch-index on batch_id"
        ]
    );
    assert_eq!(checks[1].problems.clone().unwrap(), ["it does not exist in this account and region"]);
    assert!(checks[2].problems.clone().unwrap_err().chain().contains("DynamoDB DescribeTable guard-locks"));

    let (store, _) =
        dynamodb(move |_, _| answered(200, &table(&[("resource", "HASH")], "N", None, "ACTIVE")));
    assert_eq!(
        store.check_tables().await[2].problems.clone().unwrap(),
        ["its key must be resource, of strings"]
    );
}
