//! Every operation, refused in every way: one attempt, the right name, the operation and the table in the text.

use guard_aws::DynamoDb;
use guard_domain::{ClusterStatus, Direction};
use guard_http::{FailureKind, TransportError};
use guard_tasks::{
    AuditEntry, BatchReader as _, ClusterReader as _, ErrorName, Locks as _, OpenToken, RunRecords as _,
    StatusMove, StatusWriter as _, TaskError, TokenStore as _, WaitsFor,
};
use jiff::Timestamp;
use serde_json::json;

use crate::server::{Answer, answered, batch, cluster, dynamodb, lease, raw, refused, run, sound, with_keys};

fn token() -> OpenToken {
    OpenToken {
        lease: lease(),
        waits_for: WaitsFor::Merge { direction: Direction::Upgrade },
        expires_at: Timestamp::UNIX_EPOCH,
        token: "hush-token".into(),
    }
}

fn change() -> StatusMove {
    StatusMove {
        cluster_id: cluster("c1"),
        from: ClusterStatus::Pending,
        to: ClusterStatus::PreCheckRunning,
        version: None,
        merge_request_url: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

/// A call that ends with this operation on this table.
const CALLS: [(&str, &str); 11] = [
    ("cluster", "GetItem guard-cluster-registry"),
    ("batch", "Query guard-cluster-registry batch-index"),
    ("batches", "Scan guard-cluster-registry"),
    ("move_status", "TransactWriteItems guard-locks guard-cluster-registry"),
    ("acquire", "BatchGetItem guard-locks"),
    ("claim", "UpdateItem guard-locks batch#test"),
    ("confirm", "GetItem guard-locks"),
    ("entries", "Query guard-runs"),
    ("put", "TransactWriteItems guard-locks guard-runs"),
    ("keep", "PutItem guard-runs"),
    ("drop_token", "DeleteItem guard-runs"),
];

async fn call(store: &DynamoDb, name: &str) -> Result<(), TaskError> {
    match name {
        "cluster" => store.cluster(&cluster("c1")).await.map(drop),
        "batch" => store.batch(&batch()).await.map(drop),
        "batches" => store.batches().await.map(drop),
        "move_status" => store.move_status(&lease(), &change()).await,
        "acquire" | "claim" => {
            let asked = store.acquire(&run(), "arn:a", &batch(), &[], None, Timestamp::UNIX_EPOCH).await;
            asked.map(drop)
        }
        "confirm" => store.confirm(&lease()).await,
        "entries" => store.entries(&run(), "x").await.map(drop),
        "put" => store.put(&lease(), "plan", None, &json!(1)).await,
        "keep" => store.keep(&token()).await,
        "drop_token" => store.drop_token(&token()).await,
        other => panic!("{other} is no call"),
    }
}

fn lost(kind: FailureKind) -> Answer {
    Err(TransportError::new(kind, "because"))
}

#[tokio::test]
async fn every_operation_names_every_refusal() {
    type Fault = fn() -> Answer;
    let faults: [(Fault, ErrorName); 16] = [
        (|| refused(400, "ThrottlingException", "slow"), ErrorName::Throttled),
        (|| refused(400, "ProvisionedThroughputExceededException", "slow"), ErrorName::Throttled),
        (|| refused(400, "RequestLimitExceeded", "slow"), ErrorName::Throttled),
        (|| refused(400, "TransactionConflictException", "busy"), ErrorName::Transient),
        (|| refused(400, "TransactionInProgressException", "busy"), ErrorName::Transient),
        (|| refused(500, "InternalServerError", "ours"), ErrorName::Transient),
        (|| raw(503, "<html>"), ErrorName::Transient),
        (|| lost(FailureKind::Timeout), ErrorName::Transient),
        (|| lost(FailureKind::Cut), ErrorName::Transient),
        (|| lost(FailureKind::Tls), ErrorName::Denied),
        (|| refused(400, "AccessDeniedException", "no"), ErrorName::Denied),
        (|| refused(400, "ExpiredTokenException", "no"), ErrorName::Denied),
        (|| refused(400, "ResourceNotFoundException", "no table"), ErrorName::Rejected),
        (|| refused(400, "ValidationException", "what"), ErrorName::Rejected),
        (|| refused(400, "ItemCollectionSizeLimitExceededException", "big"), ErrorName::Rejected),
        (|| raw(200, "{\"Item\": "), ErrorName::Internal),
    ];
    for (name, label) in CALLS {
        let failing = label.split(' ').next().unwrap();
        for (fault, expected) in faults {
            let (store, asked) =
                dynamodb(move |operation, _| if operation == failing { fault() } else { sound(operation) });
            // What garbles an answer that is not looked at has done no harm.
            let Err(error) = call(&store, name).await else {
                assert_eq!(expected, ErrorName::Internal, "{name} succeeded");
                continue;
            };
            assert_eq!(error.name, expected, "{name}: {error}");
            assert!(error.to_string().contains(&format!("DynamoDB {label}: ")), "{name}: {error}");
            let attempts = asked.operations().iter().filter(|operation| *operation == failing).count();
            assert_eq!(attempts, 1, "{name}: retrying is the state machine's job");
        }
    }
}

#[tokio::test]
async fn no_error_tells_a_token() {
    for name in ["keep", "drop_token"] {
        for (status, code) in [(400, "ValidationException"), (500, "InternalServerError")] {
            let (store, _) = dynamodb(move |_, _| refused(status, code, "cannot store hush-token, sorry"));
            let error = call(&store, name).await.unwrap_err();
            assert!(error.to_string().contains("cannot store [token], sorry"), "{error}");
        }
    }
    let (store, _) = dynamodb(|_, _| {
        let row =
            json!({"run_id": {"S": "a"}, "entry": {"S": "token#upgrade"}, "token": {"S": "hush-token"}});
        answered(200, &json!({"Items": [row], "Count": 1, "Responses": {"guard-runs": [row]}}))
    });
    let error = store.open_tokens().await.unwrap_err();
    assert_eq!(error.to_string(), "token#upgrade of run a does not decode: mend or delete the row by hand");
    assert!(!format!("{store:?}").contains("hush"));
}

#[tokio::test]
async fn what_is_stored_and_does_not_decode_is_ours_to_mend() {
    let rows = |row: serde_json::Value| {
        dynamodb(move |_, _| answered(200, &json!({"Items": [row], "Count": 1, "Item": row}))).0
    };
    let entry = rows(json!({"run_id": {"S": "a"}, "entry": {"S": "plan"}, "value": {"S": "{"}}));
    for error in
        [entry.entry(&run(), "plan").await.unwrap_err(), entry.entries(&run(), "p").await.unwrap_err()]
    {
        assert_eq!(error.name, ErrorName::Internal);
        assert!(error.to_string().starts_with("entry plan of run a is not JSON: "), "{error}");
    }
    let line = rows(
        json!({"run_id": {"S": "a"}, "entry": {"S": "audit#1"}, "at": {"S": "noon"}, "who": {"S": "w"}}),
    );
    let error = line.audit_log(&run()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Internal);
    let lock = rows(json!({"resource": {"S": "batch#test"}, "fence": {"S": "3"}}));
    let error = lock.confirm(&lease()).await.unwrap_err();
    assert_eq!(
        (error.name, error.to_string().as_str()),
        (ErrorName::Internal, "lock batch#test has no readable fence: mend the row by hand")
    );
}

#[tokio::test]
async fn without_keys_nothing_is_sent() {
    let (store, asked) = with_keys(None, |operation, _| sound(operation));
    let line = AuditEntry { at: Timestamp::UNIX_EPOCH, who: "w".into(), what: "x".into() };
    assert_eq!(store.audit(&lease(), &line).await.unwrap_err().name, ErrorName::Denied);
    assert_eq!(asked.operations().len(), 0);
}
