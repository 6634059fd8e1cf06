//! The registry as people edit it.

use guard_aws::HeldLock;
use guard_domain::ClusterRecord;
use guard_tasks::{ClusterReader as _, ErrorName, Fence};
use serde_json::{Value, json};

use crate::server::{Answer, answered, cluster, dynamodb, refused, row, sound};

async fn record() -> ClusterRecord {
    dynamodb(|operation, _| sound(operation)).0.cluster(&cluster("c1")).await.unwrap().unwrap()
}

fn dead() -> HeldLock {
    HeldLock {
        resource: "cluster#c1".to_owned(),
        fence: Fence(7),
        run_id: "r1".to_owned(),
        execution_arn: "arn:r1".to_owned(),
        since: "2026-11-23T08:00:00Z".parse().unwrap(),
    }
}

fn cancelled(codes: [&str; 3]) -> Answer {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    answered(400, &json!({"__type": kind, "message": "because", "CancellationReasons": reasons}))
}

/// The actions of the only transaction.
fn actions(bodies: &[Value]) -> &Vec<Value> {
    let transactions: Vec<&Value> =
        bodies.iter().filter(|body| body.get("TransactItems").is_some()).collect();
    assert_eq!(transactions.len(), 1);
    transactions[0]["TransactItems"].as_array().unwrap()
}

#[tokio::test]
async fn a_change_is_bound_to_what_was_read_and_to_free_locks() {
    let before = record().await;
    let (store, asked) = dynamodb(|operation, _| match operation {
        "GetItem" => {
            let mut row = row("c1");
            row["metadata"] = json!({"M": {"ticket": {"S": "ABC-1"}}});
            answered(200, &json!({"Item": row}))
        }
        _ => sound(operation),
    });
    let mut after = before.clone();
    after.owner_team = "other".to_owned();
    after.metadata.mesh_id = Some("m1".to_owned());
    store.change_cluster(&before, &after, &[dead()]).await.unwrap();
    let bodies = asked.bodies();
    let [cluster_lock, batch_lock, change] = &actions(&bodies)[..] else { panic!("{bodies:?}") };
    // The lock of a run that is over counts as free while it stays that run's.
    assert_eq!(
        cluster_lock["ConditionCheck"]["ConditionExpression"],
        "#fence = :v0 AND #holder.#run_id = :v1"
    );
    assert_eq!(batch_lock["ConditionCheck"]["Key"]["resource"]["S"], "batch#test");
    assert_eq!(batch_lock["ConditionCheck"]["ConditionExpression"], "attribute_not_exists(#holder)");
    let change = &change["Update"];
    // Attributes inside of `metadata` are set one by one: others keep theirs there.
    assert_eq!(change["UpdateExpression"], "SET #metadata.#mesh_id = :v0, #owner_team = :v2");
    assert_eq!(
        change["ConditionExpression"],
        "attribute_not_exists(#status) AND attribute_not_exists(#metadata.#mesh_id) AND #owner_team = :v1 AND \
         attribute_exists(#cluster_id)"
    );
}

#[tokio::test]
async fn a_move_to_another_batch_needs_both_batches() {
    let before = record().await;
    let (store, asked) = dynamodb(|operation, _| sound(operation));
    let mut after = before.clone();
    after.batch_id = guard_domain::BatchId::parse("dev").unwrap();
    store.change_cluster(&before, &after, &[]).await.unwrap();
    let bodies = asked.bodies();
    let locks: Vec<&Value> = actions(&bodies)
        .iter()
        .filter_map(|action| action.pointer("/ConditionCheck/Key/resource/S"))
        .collect();
    assert_eq!(locks, ["cluster#c1", "batch#dev", "batch#test"]);
}

#[tokio::test]
async fn what_changed_meanwhile_is_told_apart_from_what_is_locked() {
    let before = record().await;
    for (codes, words) in [
        (["ConditionalCheckFailed", "None", "None"], "was locked by a run meanwhile"),
        (["None", "ConditionalCheckFailed", "ConditionalCheckFailed"], "was locked by a run meanwhile"),
        (["None", "None", "ConditionalCheckFailed"], "by somebody else meanwhile"),
    ] {
        let (store, _) = dynamodb(move |operation, _| match operation {
            "TransactWriteItems" => cancelled(codes),
            _ => sound(operation),
        });
        for error in [
            store.add_cluster(&before, &[]).await.unwrap_err(),
            store.remove_cluster(&before, &[]).await.unwrap_err(),
        ] {
            assert_eq!(error.name, ErrorName::Conflict);
            assert!(error.chain().contains(words), "{codes:?}: {error}");
        }
    }
    let (store, _) = dynamodb(|operation, _| match operation {
        "TransactWriteItems" => cancelled(["None", "TransactionConflict", "None"]),
        _ => sound(operation),
    });
    assert_eq!(store.add_cluster(&before, &[]).await.unwrap_err().name, ErrorName::Transient);
    let (store, _) = dynamodb(|operation, _| match operation {
        "TransactWriteItems" => refused(400, "AccessDeniedException", "no"),
        _ => sound(operation),
    });
    assert_eq!(store.add_cluster(&before, &[]).await.unwrap_err().name, ErrorName::Denied);
}

#[tokio::test]
async fn a_row_that_is_another_by_now_is_not_touched() {
    let mut before = record().await;
    before.owner_team = "as it was an hour ago".to_owned();
    let (store, asked) = dynamodb(|operation, _| sound(operation));
    for error in [
        store.change_cluster(&before, &before, &[]).await.unwrap_err(),
        store.remove_cluster(&before, &[]).await.unwrap_err(),
    ] {
        assert_eq!(error.name, ErrorName::Conflict, "{error}");
    }
    assert_eq!(asked.operations(), ["GetItem", "GetItem"]);
    let (store, _) = dynamodb(|_, _| answered(200, &json!({})));
    let error = store.remove_cluster(&before, &[]).await.unwrap_err();
    assert!(error.chain().contains("is not there any more"), "{error}");
}
