//! What only tables have: attributes of others, limits, the life of a row.

use guard_domain::ClusterStatus as S;
use guard_tasks::{AuditEntry, ErrorName, Lease, StatusMove, VersionChange};
use serde_json::json;

use crate::dynamodb::Tables;
use crate::subject::{
    OtherTool as _, batch, cluster, lease, over_tables, row, run, second, step, take, take_batch, with,
};
use crate::tokens::token;

over_tables! {
    attributes_of_others_survive,
    a_row_that_does_not_decode_is_named,
    a_value_too_large_is_refused_with_its_size,
    names_of_others_are_refused,
    what_a_run_writes_has_an_end,
    a_token_that_is_gone_is_not_in_the_table,
    a_table_that_is_not_there_is_named,
    leases_past_a_page_are_listed_beside_one_that_does_not_decode,
}

async fn attributes_of_others_survive(tables: &Tables) {
    let old = with(row("c1"), "status", json!("post-check-running"));
    let old = with(old, "version", json!(41));
    let old = with(old, "metadata", json!({"note": {"by": ["hand"]}, "multi_cluster": true}));
    let old = with(old, "target_istio_version", json!(null));
    tables.write_rows(&[with(old, "odd", json!({"x": [1.5, null, true, "é"]}))]).await;
    let held = lease(take(tables, "a", &["c1"], None).await);
    let reached = Some(VersionChange::Reached(guard_domain::IstioVersion::parse("1.30.5").unwrap()));
    let change =
        StatusMove { merge_request_url: Some("u".into()), ..step(S::PostCheckRunning, S::Healthy, reached) };
    tables.move_status(&held, &change).await.unwrap();
    let row = tables.read(&tables.names.registry, json!({"cluster_id": "c1"})).await.unwrap();
    assert_eq!(row["version"], 41);
    assert_eq!(row["odd"], json!({"x": [1.5, null, true, "é"]}));
    assert_eq!(row["metadata"]["note"], json!({"by": ["hand"]}));
    assert_eq!(row["metadata"]["mr_url"], "u");
    assert_eq!((&row["status"], row.get("target_istio_version")), (&json!("healthy"), None));
}

async fn a_row_that_does_not_decode_is_named(tables: &Tables) {
    tables.write_rows(&[row("c1"), with(row("c2"), "status", json!("completed"))]).await;
    let error = tables.batch(&batch("test")).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.to_string().starts_with("registry row c2.status: unknown variant `completed`"), "{error}");
    tables.cluster(&cluster("c1")).await.unwrap();
    tables.write_rows(&[with(row("c3"), "batch_id", json!("a b"))]).await;
    let error = tables.batches().await.unwrap_err();
    assert!(error.to_string().starts_with("registry row c3.batch_id: batch_id `a b`"), "{error}");
}

async fn a_value_too_large_is_refused_with_its_size(tables: &Tables) {
    let held = lease(take(tables, "a", &["c1"], None).await);
    let error = tables.put(&held, "big", None, &json!("é".repeat(210_000))).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.to_string().starts_with("entry big of run a: 420"), "{error}");
    assert!(error.to_string().ends_with("more than the 409600 that one item holds"), "{error}");
    let line = AuditEntry { at: second(1), who: "w".into(), what: "x".repeat(410_000) };
    assert_eq!(tables.audit(&held, &line).await.unwrap_err().name, ErrorName::Rejected);
    // The largest that fits: what is left of 400 KB beside the names and the other attributes.
    let room = 409_600 - "run_idaentrybigvalueexpires_atschema".len() - "1829548800".len() - 1 - 2 - 2;
    tables.put(&held, "big", None, &json!("x".repeat(room))).await.unwrap();
    assert!(tables.put(&held, "big", None, &json!("x".repeat(room + 1))).await.is_err());
}

async fn names_of_others_are_refused(tables: &Tables) {
    let held = lease(take(tables, "a", &["c1"], None).await);
    tables.keep(&token("a", "t1")).await.unwrap();
    for name in ["token#upgrade", "audit#x"] {
        let error = tables.put(&held, name, None, &json!(1)).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        assert_eq!(tables.entry(&run("a"), name).await.unwrap_err().name, ErrorName::Rejected);
        assert!(tables.entries(&run("a"), name).await.unwrap().is_empty());
    }
    assert_eq!(tables.open_tokens().await.unwrap(), [token("a", "t1")]);
}

/// 400 days after the clock of these tests.
async fn what_a_run_writes_has_an_end(tables: &Tables) {
    let held = lease(take(tables, "a", &["c1"], None).await);
    tables.put(&held, "plan", None, &json!(1)).await.unwrap();
    tables.audit(&held, &AuditEntry { at: second(1), who: "w".into(), what: "x".into() }).await.unwrap();
    tables.keep(&token("a", "t1")).await.unwrap();
    let rows = tables.all(&tables.names.runs).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["expires_at"] == 1_795_420_800 + 400 * 86_400), "{rows:?}");
}

async fn a_token_that_is_gone_is_not_in_the_table(tables: &Tables) {
    tables.keep(&token("a", "hush-token")).await.unwrap();
    tables.drop_token(&token("a", "hush-token")).await.unwrap();
    assert!(tables.all(&tables.names.runs).await.is_empty());
}

async fn a_table_that_is_not_there_is_named(tables: &Tables) {
    tables.drop_table(&tables.names.locks).await;
    let error = tables.acquire(&run("a"), "arn:a", &batch("test"), &[], None, second(1)).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.to_string().contains(&tables.names.locks), "{error}");
}

/// A page ends at 1 MB: the batches lie behind many rows of clusters. One row that somebody spoilt is told, and hides no other.
async fn leases_past_a_page_are_listed_beside_one_that_does_not_decode(tables: &Tables) {
    let (a, b) = (
        lease(take_batch(tables, "a", "first", &["c1"], None).await),
        lease(take_batch(tables, "b", "second", &["c2"], None).await),
    );
    for number in 0..24 {
        let resource = format!("cluster#x{number}");
        let filler = json!({"resource": resource, "fence": 1, "filler": "f".repeat(100_000)});
        tables.write(&tables.names.locks, filler).await;
    }
    let holder = json!({"run_id": "not a run", "execution_arn": "arn:c", "since": "2026-11-01T00:00:00Z"});
    tables.write(&tables.names.locks, json!({"resource": "batch#bad", "fence": 3, "holder": holder})).await;
    let listed = tables.leases().await.unwrap();
    let held: Vec<&Lease> = listed.iter().filter_map(|row| Some(&row.as_ref().ok()?.lease)).collect();
    assert_eq!(held, [&a, &b]);
    let wrong: Vec<String> = listed.iter().filter_map(|row| Some(row.as_ref().err()?.to_string())).collect();
    assert!(wrong.len() == 1 && wrong[0].starts_with("lock batch#bad: "), "{wrong:?}");
    assert!(wrong[0].ends_with("mend the row by hand"), "{wrong:?}");
}
