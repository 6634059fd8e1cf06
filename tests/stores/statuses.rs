//! Moving a status, with the versions and links that belong to it.

use guard_domain::{ClusterStatus as S, IstioVersion};
use guard_tasks::{ErrorName, Fence, Lease, StatusMove, VersionChange};
use serde_json::{Value, json};

use crate::subject::{Stores, cluster, contract, lease, row, second, step, take, with};

contract! {
    a_status_moves_only_from_what_is_expected,
    a_status_moves_only_with_the_newest_fence,
    a_move_that_is_not_in_the_table_is_a_mistake_of_ours,
    an_unknown_cluster_is_refused,
    a_row_without_a_status_moves_from_pending_only,
    an_aim_is_set_and_forgotten,
    versions_and_history_go_with_the_status,
    a_history_goes_on,
    a_way_back_without_a_target_names_what_ran,
    links_follow_the_merge_request,
    links_are_made_where_there_were_none,
}

fn version(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

/// `c1` with this status, and its lock.
async fn standing(stores: &Stores<'_>, status: S) -> Lease {
    stores.write_rows(&[with(row("c1"), "status", json!(status))]).await;
    lease(take(stores, "a", &["c1"], None).await)
}

async fn now(stores: &Stores<'_>) -> Value {
    serde_json::to_value(stores.cluster(&cluster("c1")).await.unwrap().unwrap()).unwrap()
}

async fn a_status_moves_only_from_what_is_expected(stores: &Stores<'_>) {
    let held = standing(stores, S::Pending).await;
    let first = StatusMove { at: second(5), ..step(S::Pending, S::PreCheckRunning, None) };
    stores.move_status(&held, &first).await.unwrap();
    assert_eq!(now(stores).await["last_updated"], "1970-01-01T00:00:05Z");
    let again = stores.move_status(&held, &first).await.unwrap_err();
    assert_eq!(again.name, ErrorName::Conflict);
    assert!(again.to_string().contains("cluster c1 is pre-check-running, expected pending"), "{again}");
}

async fn a_status_moves_only_with_the_newest_fence(stores: &Stores<'_>) {
    let old = standing(stores, S::PreCheckRunning).await;
    let new = lease(take(stores, "b", &["c1"], Some("arn:a")).await);
    let passed = step(S::PreCheckRunning, S::PreCheckPassed, None);
    let stale = stores.move_status(&old, &passed).await.unwrap_err();
    assert_eq!(stale.name, ErrorName::Conflict);
    assert!(stale.to_string().contains("run a with fence 1 does not hold cluster#c1; arn:b does"), "{stale}");
    assert_eq!(now(stores).await["status"], "pre-check-running");

    let forged = Lease { fence: Fence(new.fence.0 + 1), ..new.clone() };
    assert_eq!(stores.move_status(&forged, &passed).await.unwrap_err().name, ErrorName::Conflict);
    let stolen = Lease { run_id: old.run_id, ..new.clone() };
    assert_eq!(stores.move_status(&stolen, &passed).await.unwrap_err().name, ErrorName::Conflict);
    stores.move_status(&new, &passed).await.unwrap();

    stores.release(&new).await.unwrap();
    let freed = stores.move_status(&new, &step(S::PreCheckPassed, S::MrCreated, None)).await.unwrap_err();
    assert!(freed.to_string().contains("does not hold cluster#c1; nobody does"), "{freed}");
}

async fn a_move_that_is_not_in_the_table_is_a_mistake_of_ours(stores: &Stores<'_>) {
    let held = standing(stores, S::PreCheckRunning).await;
    let illegal = stores.move_status(&held, &step(S::PreCheckRunning, S::Healthy, None)).await.unwrap_err();
    assert_eq!(illegal.name, ErrorName::Internal);
}

async fn an_unknown_cluster_is_refused(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    let error = stores.move_status(&held, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert_eq!(stores.cluster(&cluster("c1")).await.unwrap(), None, "no row was made");
}

async fn a_row_without_a_status_moves_from_pending_only(stores: &Stores<'_>) {
    stores.write_rows(&[row("c1")]).await;
    let held = lease(take(stores, "a", &["c1"], None).await);
    let wrong = stores.move_status(&held, &step(S::Healthy, S::PreCheckRunning, None)).await.unwrap_err();
    assert!(wrong.to_string().contains("cluster c1 is pending, expected healthy"), "{wrong}");
    stores.move_status(&held, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap();
    assert_eq!(now(stores).await["status"], "pre-check-running");
}

async fn an_aim_is_set_and_forgotten(stores: &Stores<'_>) {
    let held = standing(stores, S::PreCheckPassed).await;
    let aim = Some(VersionChange::Aim(version("1.30.5")));
    stores.move_status(&held, &step(S::PreCheckPassed, S::MrCreated, aim)).await.unwrap();
    assert_eq!(now(stores).await["target_istio_version"], "1.30.5");
    let forget = Some(VersionChange::Forget);
    stores.move_status(&held, &step(S::MrCreated, S::Pending, forget.clone())).await.unwrap();
    assert_eq!(now(stores).await.get("target_istio_version"), None);
    // Nothing to forget is fine.
    stores.move_status(&held, &step(S::Pending, S::PreCheckRunning, forget)).await.unwrap();
}

async fn versions_and_history_go_with_the_status(stores: &Stores<'_>) {
    let held = standing(stores, S::PostCheckRunning).await;
    let reached = Some(VersionChange::Reached(version("1.30.5")));
    stores.move_status(&held, &step(S::PostCheckRunning, S::Healthy, reached)).await.unwrap();
    let up = stores.cluster(&cluster("c1")).await.unwrap().unwrap();
    assert_eq!(up.current_istio_version, version("1.30.5"));
    assert_eq!(up.target_istio_version, None);
    assert_eq!(up.previous_version(), Some(&version("1.29.3")), "the way back is known");
    let history: Vec<_> =
        up.upgrade_history.iter().map(|entry| (entry.version.to_string(), entry.status)).collect();
    assert_eq!(history, [("1.29.3".to_owned(), S::Healthy), ("1.30.5".to_owned(), S::Healthy)]);
    assert_eq!(up.brought_by(), Some(&held.run_id), "whose record says what else changed");
    assert_eq!(up.upgrade_history[0].run_id, None, "nobody knows what brought the version it left");
}

async fn a_history_goes_on(stores: &Stores<'_>) {
    let entry = json!({"version": "1.28.2", "date": "2026-01-01T00:00:00Z", "status": "healthy"});
    let row = with(row("c1"), "status", json!("post-check-running"));
    stores.write_rows(&[with(row, "upgrade_history", json!([entry]))]).await;
    let held = lease(take(stores, "a", &["c1"], None).await);
    let reached = Some(VersionChange::Reached(version("1.30.5")));
    stores.move_status(&held, &step(S::PostCheckRunning, S::Healthy, reached)).await.unwrap();
    let reached =
        json!({"version": "1.30.5", "date": "1970-01-01T00:00:00Z", "status": "healthy", "run_id": "a"});
    assert_eq!(now(stores).await["upgrade_history"], json!([entry, reached]));
}

async fn a_way_back_without_a_target_names_what_ran(stores: &Stores<'_>) {
    for (target, failed) in [(json!("1.31.0"), "1.31.0"), (Value::Null, "1.29.3")] {
        let row = with(row("c1"), "status", json!("rollback-required"));
        stores.write_rows(&[with(row, "target_istio_version", target)]).await;
        let held = lease(take(stores, "a", &["c1"], None).await);
        let back = Some(VersionChange::WentBack(version("1.28.2")));
        stores
            .move_status(&held, &step(S::RollbackRequired, S::FailedUpgradeRolledBack, back))
            .await
            .unwrap();
        let row = now(stores).await;
        assert_eq!(row["current_istio_version"], "1.28.2");
        assert_eq!(row.get("target_istio_version"), None);
        let entry = &row["upgrade_history"][0];
        assert_eq!(
            (&entry["version"], &entry["status"]),
            (&json!(failed), &json!("failed-upgrade-rolled-back"))
        );
        assert_eq!(entry["run_id"], "a");
    }
}

async fn links_follow_the_merge_request(stores: &Stores<'_>) {
    let row = with(row("c1"), "status", json!("pre-check-passed"));
    let links = json!({"mesh_id": "m1", "multi_cluster": true, "mr_merged_at": "2026-01-01T00:00:00Z"});
    stores.write_rows(&[with(row, "metadata", links)]).await;
    let held = lease(take(stores, "a", &["c1"], None).await);
    let opened = StatusMove {
        merge_request_url: Some("https://gitlab/1".into()),
        at: second(5),
        ..step(S::PreCheckPassed, S::MrCreated, None)
    };
    stores.move_status(&held, &opened).await.unwrap();
    let expected = json!({
        "mesh_id": "m1", "multi_cluster": true, "mr_url": "https://gitlab/1", "mr_created_at": "1970-01-01T00:00:05Z"
    });
    assert_eq!(now(stores).await["metadata"], expected);

    let merged = StatusMove { at: second(9), ..step(S::MrCreated, S::Upgrading, None) };
    stores.move_status(&held, &merged).await.unwrap();
    assert_eq!(now(stores).await["metadata"]["mr_merged_at"], "1970-01-01T00:00:09Z");
    assert_eq!(now(stores).await["metadata"]["mr_url"], "https://gitlab/1");
}

async fn links_are_made_where_there_were_none(stores: &Stores<'_>) {
    let held = standing(stores, S::MrCreated).await;
    let both = StatusMove { merge_request_url: Some("u".into()), ..step(S::MrCreated, S::Upgrading, None) };
    stores.move_status(&held, &both).await.unwrap();
    let at = "1970-01-01T00:00:00Z";
    let expected = json!({"multi_cluster": false, "mr_url": "u", "mr_created_at": at, "mr_merged_at": at});
    assert_eq!(now(stores).await["metadata"], expected);
}
