//! Bad input to `batch-upgrade`: a named failure that says field and remedy; no lock, no status changed, no request.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_simulation::{Fleet, House};
use serde_json::{Value, json};

/// Starts the machine with an input and says error and cause, after checking that nothing was touched.
async fn refused(machine: &str, input: Value) -> (String, String) {
    let fleet = Fleet::new(3, 1, None, None).unwrap();
    let house = House::new(&fleet).unwrap();
    let arn = house.run_one(machine, "run-1", input.clone()).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    assert_eq!(execution.status.as_str(), "FAILED", "{input}");
    assert_eq!(house.store.held_locks(), [], "{input}: a lock is held");
    assert_eq!(house.store.runs(), Vec::<String>::new(), "{input}: a record was written");
    assert_eq!(house.store.clusters(), fleet.rows, "{input}: a row was changed");
    assert_eq!(house.world.merge_requests().len(), 0, "{input}: a request was opened");
    assert_eq!(house.world.branches().len(), 1, "{input}: a branch was made");
    (execution.error.unwrap(), execution.cause.unwrap())
}

async fn assert_refused(input: Value, words: &[&str]) {
    let (error, cause) = refused("batch-upgrade", input.clone()).await;
    assert_eq!(error, "Rejected", "{input}: {cause}");
    for word in words {
        assert!(cause.contains(word), "{input}: `{word}` is not in: {cause}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_unknown_batch_names_the_known_ones() {
    assert_refused(
        json!({"batch_id": "prod", "target_version": "1.30.5"}),
        &["input.batch_id", "`prod` is not a batch", "known are test"],
    )
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_input_names_the_first_missing_field() {
    assert_refused(json!({}), &["input: missing field `batch_id`"]).await;
    assert_refused(json!([]), &["input: expected a JSON object, got an array"]).await;
    assert_refused(json!(null), &["input: expected a JSON object, got null"]).await;
    assert_refused(json!({"batch_id": "test"}), &["missing field `target_version`"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn an_unknown_key_names_the_nearest_known_one() {
    let input = json!({"batch_id": "test", "target_version": "1.30.5", "soak_minuts": 5});
    assert_refused(input, &["unknown field `soak_minuts`", "did you mean `soak_minutes`?"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_version_that_is_none_says_how_to_write_one() {
    for bad in ["1.2.x", "v1.30.5", "1.30", "latest", ""] {
        assert_refused(
            json!({"batch_id": "test", "target_version": bad}),
            &["input.target_version", "write it like `1.30.5`"],
        )
        .await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn down_and_too_far_name_the_cluster_and_the_way() {
    let go = |target: &str| json!({"batch_id": "test", "target_version": target});
    assert_refused(
        go("1.29.7"),
        &["input.target_version", "test-euw1-1", "1.29.7 is older than 1.29.8", "rollback"],
    )
    .await;
    assert_refused(
        go("1.31.1"),
        &["input.target_version", "test-euw1-1", "more than one minor", "go to 1.30.x first"],
    )
    .await;
    assert_refused(go("1.30.0-rc.1"), &["pre-release", "policy.allow_pre_release"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn wrong_types_and_values_name_the_field() {
    let with = |key: &str, value: Value| {
        let mut input = json!({"batch_id": "test", "target_version": "1.30.5"});
        input[key] = value;
        input
    };
    assert_refused(with("batch_id", json!(7)), &["input.batch_id", "invalid type: integer `7`"]).await;
    assert_refused(with("batch_id", json!("no spaces here")), &["input.batch_id", "1 to 60 letters"]).await;
    assert_refused(with("target_version", json!(1.3)), &["input.target_version", "invalid type"]).await;
    assert_refused(with("dry_run", json!("yes")), &["input.dry_run", "expected a boolean"]).await;
    assert_refused(with("soak_minutes", json!(-5)), &["input.soak_minutes"]).await;
    assert_refused(with("soak_minutes", json!(0)), &["input.soak_minutes", "not between 1 and 43200"]).await;
    assert_refused(with("overrides", json!([])), &["input.overrides"]).await;
    assert_refused(with("request_id", json!("a b")), &["input.request_id", "1 to 80 letters"]).await;
    assert_refused(with("request_id", json!(7)), &["input.request_id", "invalid type: integer `7`"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_other_machines_refuse_as_clearly() {
    let (error, cause) = refused("batch-rollback", json!({"batch_id": "test"})).await;
    assert_eq!(error, "Rejected");
    assert!(cause.contains("missing field `reason`"), "{cause}");
    for machine in ["batch-rollback", "rollout"] {
        let mut input = json!({"target_version": "1.30.5", "request_id": ""});
        if machine == "batch-rollback" {
            input = json!({"batch_id": "test", "reason": "slow", "request_id": ""});
        }
        let (error, cause) = refused(machine, input).await;
        assert_eq!(error, "Rejected");
        assert!(cause.contains("input.request_id") && cause.contains("1 to 80 letters"), "{cause}");
    }
    let (error, cause) = refused("rollout", json!({"target_version": "1.30.x"})).await;
    assert_eq!(error, "Rejected");
    assert!(cause.contains("input.target_version"), "{cause}");
    // Nothing ever ran at another version: there is no way back.
    let (error, cause) = refused("batch-rollback", json!({"batch_id": "test", "reason": "just so"})).await;
    assert_eq!(error, "GateFailed");
    assert!(cause.contains("NO_PREVIOUS_VERSION"), "{cause}");
}
