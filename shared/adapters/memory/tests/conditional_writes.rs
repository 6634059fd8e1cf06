//! The contract of the stores: what DynamoDB's conditional writes give, the memory gives too.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its case should stop there"
)]

use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus as S, IstioVersion, RunId};
use guard_memory::MemoryStore;
use guard_tasks::{
    AuditEntry, ClusterReader, ErrorName, Fence, Lease, LockOutcome, Locks, RunRecords, StatusMove,
    StatusWriter, VersionChange,
};
use jiff::Timestamp;
use serde_json::json;

fn row(id: &str) -> ClusterRecord {
    serde_json::from_value(json!({
        "cluster_id": id, "batch_id": "test", "environment": "test", "region": "eu-west-1", "gitlab_repo": "g/p",
        "flux_config_path": "c", "aws_role_arn": "arn:aws:iam::1:role/x", "current_istio_version": "1.29.3",
        "datadog_tags": {"cluster": id, "env": "test"}, "owner_team": "t", "owner_handle": "h",
        "last_updated": "2026-11-01T00:00:00Z"
    }))
    .unwrap()
}

fn run(id: &str) -> RunId {
    RunId::parse(id).unwrap()
}

fn cluster(id: &str) -> ClusterId {
    ClusterId::parse(id).unwrap()
}

async fn take(store: &MemoryStore, who: &str, clusters: &[&str], replacing: Option<&str>) -> LockOutcome {
    let ids: Vec<ClusterId> = clusters.iter().map(|id| cluster(id)).collect();
    let batch = BatchId::parse("test").unwrap();
    store
        .acquire(&run(who), &format!("arn:{who}"), &batch, &ids, replacing, Timestamp::UNIX_EPOCH)
        .await
        .unwrap()
}

fn lease(outcome: LockOutcome) -> Lease {
    match outcome {
        LockOutcome::Held(lease) => lease,
        LockOutcome::Taken { resource, .. } => panic!("{resource} is taken"),
    }
}

fn step(from: S, to: S, version: Option<VersionChange>) -> StatusMove {
    StatusMove {
        cluster_id: cluster("c1"),
        from,
        to,
        version,
        merge_request_url: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn one_holder_and_a_fence_that_only_grows() {
    let store = MemoryStore::with_clusters([row("c1"), row("c2")]);
    let first = lease(take(&store, "a", &["c1", "c2"], None).await);
    assert_eq!(lease(take(&store, "a", &["c1", "c2"], None).await), first, "the same run keeps its lease");
    let LockOutcome::Taken { resource, holder_arn, .. } = take(&store, "b", &["c1"], None).await else {
        panic!("two holders")
    };
    assert_eq!((resource.as_str(), holder_arn.as_str()), ("batch#test", "arn:a"));

    store.release(&first).await.unwrap();
    store.release(&first).await.unwrap();
    let second = lease(take(&store, "b", &["c1"], None).await);
    assert!(second.fence > first.fence);
    assert_eq!(store.confirm(&first).await.unwrap_err().name, ErrorName::Conflict);
    store.confirm(&second).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_dead_holder_is_replaced_by_name_only() {
    let store = MemoryStore::with_clusters([row("c1")]);
    let dead = lease(take(&store, "a", &["c1"], None).await);
    assert!(matches!(take(&store, "b", &["c1"], Some("arn:z")).await, LockOutcome::Taken { .. }));
    let new = lease(take(&store, "b", &["c1"], Some("arn:a")).await);
    assert!(new.fence > dead.fence);
    store.release(&dead).await.unwrap();
    store.confirm(&new).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_status_moves_only_from_what_is_expected_and_with_the_newest_fence() {
    let store = MemoryStore::with_clusters([row("c1")]);
    let old = lease(take(&store, "a", &["c1"], None).await);
    store.move_status(&old, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap();
    let again = store.move_status(&old, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap_err();
    assert_eq!(again.name, ErrorName::Conflict);
    let illegal = store.move_status(&old, &step(S::PreCheckRunning, S::Healthy, None)).await.unwrap_err();
    assert_eq!(illegal.name, ErrorName::Internal);

    let new = lease(take(&store, "b", &["c1"], Some("arn:a")).await);
    let stale =
        store.move_status(&old, &step(S::PreCheckRunning, S::PreCheckPassed, None)).await.unwrap_err();
    assert_eq!(stale.name, ErrorName::Conflict);
    store.move_status(&new, &step(S::PreCheckRunning, S::PreCheckPassed, None)).await.unwrap();
    let forged = Lease { fence: Fence(new.fence.0 + 1), ..new };
    assert!(store.move_status(&forged, &step(S::PreCheckPassed, S::MrCreated, None)).await.is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn an_unknown_cluster_is_refused() {
    let store = MemoryStore::with_clusters([]);
    let held = lease(take(&store, "a", &["c1"], None).await);
    let error = store.move_status(&held, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
}

#[tokio::test(flavor = "current_thread")]
async fn versions_and_history_go_with_the_status() {
    let store = MemoryStore::with_clusters([row("c1")]);
    let held = lease(take(&store, "a", &["c1"], None).await);
    let v = |s| IstioVersion::parse(s).unwrap();
    store.edit_cluster(&cluster("c1"), |row| row.status = S::PostCheckRunning);
    store
        .move_status(&held, &step(S::PostCheckRunning, S::Healthy, Some(VersionChange::Reached(v("1.30.5")))))
        .await
        .unwrap();
    let up = store.cluster(&cluster("c1")).await.unwrap().unwrap();
    assert_eq!(up.current_istio_version, v("1.30.5"));
    assert_eq!(up.previous_version(), Some(&v("1.29.3")), "the way back is known");
    store.edit_cluster(&cluster("c1"), |row| row.status = S::RollbackRequired);
    let back =
        step(S::RollbackRequired, S::FailedUpgradeRolledBack, Some(VersionChange::WentBack(v("1.29.3"))));
    store.move_status(&held, &back).await.unwrap();
    assert_eq!(store.cluster(&cluster("c1")).await.unwrap().unwrap().current_istio_version, v("1.29.3"));
}

#[tokio::test(flavor = "current_thread")]
async fn records_are_compare_and_set_and_audit_lines_do_not_repeat() {
    let store = MemoryStore::with_clusters([row("c1")]);
    let held = lease(take(&store, "a", &["c1"], None).await);
    store.put(&held, "plan", None, &json!(1)).await.unwrap();
    assert_eq!(store.put(&held, "plan", None, &json!(2)).await.unwrap_err().name, ErrorName::Conflict);
    store.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap();
    assert_eq!(store.entry(&run("a"), "plan").await.unwrap(), Some(json!(2)));

    let line = |at: i64| AuditEntry {
        at: Timestamp::from_second(at).unwrap(),
        who: "settle".into(),
        what: "done".into(),
    };
    store.audit(&held, &line(1)).await.unwrap();
    store.audit(&held, &line(2)).await.unwrap();
    assert_eq!(store.audit_log(&run("a")).await.unwrap(), [line(1)]);

    let newer = lease(take(&store, "b", &["c1"], Some("arn:a")).await);
    assert_ne!(newer.fence, held.fence);
    assert_eq!(
        store.put(&held, "plan", Some(&json!(2)), &json!(3)).await.unwrap_err().name,
        ErrorName::Conflict
    );
    assert!(store.audit(&held, &line(3)).await.is_err());
}
