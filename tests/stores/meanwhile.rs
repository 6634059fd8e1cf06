//! What happens between a read and the write that builds on it: somebody else was faster.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::ClusterStatus as S;
use guard_tasks::{ErrorName, Locks as _};
use serde_json::{Value, json};

use crate::dynamodb::Tables;
use crate::interrupted::{
    acquire, assert_calm, assert_lease_works, assert_locks, checked, history, locks, reached,
};
use crate::network::Event;
use crate::subject::{
    OtherTool as _, batch, by, cluster, lease, over_tables, row, row_of, run, second, step, taken, with,
};
use crate::tokens::token;

over_tables! {
    a_row_that_is_taken_meanwhile_undoes_the_claim,
    a_row_that_changed_hands_meanwhile_is_a_conflict,
    a_row_that_was_freed_meanwhile_is_claimed,
    of_two_calls_of_one_run_the_newer_holds,
    a_status_that_changed_meanwhile_is_told,
    a_history_that_changed_meanwhile_is_not_written_over,
    a_lock_that_was_lost_meanwhile_stops_the_write,
    a_row_that_left_the_batch_meanwhile_is_left_out,
    a_token_that_changed_meanwhile_is_read_anew,
}

fn lock_row(resource: &str, fence: u64, who: Option<&str>) -> Value {
    let mut row = json!({"resource": resource, "fence": fence});
    if let Some(who) = who {
        row["holder"] =
            json!({"run_id": who, "execution_arn": format!("arn:{who}"), "since": "1970-01-01T00:00:07Z"});
    }
    row
}

/// This row appears just before the `nth` claim.
fn meanwhile(tables: &Tables, nth: usize, row: Value) {
    let write = tables.writing(&tables.names.locks, row);
    tables.network.plan("UpdateItem", nth, Event::After(Box::pin(write)));
}

async fn a_row_that_is_taken_meanwhile_undoes_the_claim(tables: &Tables) {
    meanwhile(tables, 3, lock_row("cluster#c2", 1, Some("b")));
    assert_eq!(taken(acquire(tables).await.unwrap()), by("cluster#c2", "arn:b"));
    let expected =
        [("batch#test", (1, None)), ("cluster#c1", (1, None)), ("cluster#c2", (1, Some("arn:b".to_owned())))];
    let expected: BTreeMap<_, _> = expected.map(|(name, lock)| (name.to_owned(), lock)).into();
    assert_eq!(locks(tables).await, expected, "the fences stay grown");
    assert_calm(tables).await;
}

async fn a_row_that_changed_hands_meanwhile_is_a_conflict(tables: &Tables) {
    // Taken and freed, with a fence that is not below ours.
    meanwhile(tables, 4, lock_row("cluster#c3", 5, None));
    assert_eq!(acquire(tables).await.unwrap_err().name, ErrorName::Conflict);
    assert!(locks(tables).await.values().all(|(_, holder)| holder.is_none()));
    let held = lease(acquire(tables).await.unwrap());
    assert_eq!(held.fence.0, 6);
    assert_lease_works(tables, &held).await;
    assert_calm(tables).await;
}

async fn a_row_that_was_freed_meanwhile_is_claimed(tables: &Tables) {
    for name in ["batch#test", "cluster#c1", "cluster#c2", "cluster#c3"] {
        tables.write(&tables.names.locks, lock_row(name, 4, None)).await;
    }
    // Somebody with a lower fence was here, which cannot be, but whatever is below ours may be claimed.
    meanwhile(tables, 2, lock_row("cluster#c1", 3, None));
    let held = lease(acquire(tables).await.unwrap());
    assert_eq!(held.fence.0, 5);
    assert_lease_works(tables, &held).await;
    assert_calm(tables).await;
}

/// A call that was given up on goes on, while its repetition runs from the start to the end.
async fn of_two_calls_of_one_run_the_newer_holds(tables: &Tables) {
    for nth in 2..=4 {
        let (store, ids) = (Arc::clone(&tables.store), [cluster("c1"), cluster("c2"), cluster("c3")]);
        let newer = async move {
            let asked = store.acquire(&run("a"), "arn:a", &batch("test"), &ids, None, second(7)).await;
            lease(asked.unwrap());
        };
        tables.network.plan("UpdateItem", nth, Event::After(Box::pin(newer)));
        assert_eq!(acquire(tables).await.unwrap_err().name, ErrorName::Conflict);
        // What the older call undid was its own: the newer one's lease stands, and asking again gives it.
        let (fence, _) = tables.lock("batch#test").await;
        assert_locks(tables, 4, fence, Some("arn:a")).await;
        let held = lease(acquire(tables).await.unwrap());
        assert_eq!(held.fence.0, fence);
        tables.confirm(&held).await.unwrap();
        tables.release(&held).await.unwrap();
    }
    assert_calm(tables).await;
}

/// This happens between the look at the row and its write.
fn before_the_write(tables: &Tables, table: &str, row: Value) {
    let write = tables.writing(table, row);
    tables.network.plan("TransactWriteItems", 1, Event::After(Box::pin(write)));
}

async fn a_status_that_changed_meanwhile_is_told(tables: &Tables) {
    let held = checked(tables).await;
    before_the_write(tables, &tables.names.registry, with(row("c1"), "status", json!("rollback-required")));
    let change = step(S::PostCheckRunning, S::Healthy, Some(reached()));
    let error = tables.move_status(&held, &change).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict);
    let found = "cluster c1 is rollback-required, expected post-check-running";
    assert!(error.to_string().contains(found), "{error}");
    assert!(history(tables).await.is_empty());
    assert_calm(tables).await;
}

async fn a_history_that_changed_meanwhile_is_not_written_over(tables: &Tables) {
    let held = checked(tables).await;
    let old = tables.read(&tables.names.registry, json!({"cluster_id": "c1"})).await.unwrap();
    let entry = json!({"version": "1.28.0", "date": "2026-01-01T00:00:00Z", "status": "healthy"});
    before_the_write(tables, &tables.names.registry, with(old, "upgrade_history", json!([entry])));
    let change = step(S::PostCheckRunning, S::Healthy, Some(reached()));
    let error = tables.move_status(&held, &change).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict);
    assert!(error.to_string().contains("changed while its status was moved"), "{error}");
    tables.move_status(&held, &change).await.unwrap();
    assert_eq!(history(tables).await, ["1.28.0", "1.30.5"]);
    assert_calm(tables).await;
}

async fn a_lock_that_was_lost_meanwhile_stops_the_write(tables: &Tables) {
    let held = checked(tables).await;
    before_the_write(tables, &tables.names.locks, lock_row("cluster#c1", 2, Some("b")));
    let change = step(S::PostCheckRunning, S::Healthy, Some(reached()));
    let error = tables.move_status(&held, &change).await.unwrap_err();
    assert!(error.to_string().contains("does not hold cluster#c1; arn:b does"), "{error}");
    assert!(history(tables).await.is_empty());

    before_the_write(tables, &tables.names.locks, lock_row("batch#test", 2, Some("b")));
    let error = tables.put(&held, "plan", None, &json!(1)).await.unwrap_err();
    assert!(error.to_string().contains("does not hold batch#test; arn:b does"), "{error}");
    assert_eq!(tables.entry(&run("a"), "plan").await.unwrap(), None);
    assert_calm(tables).await;
}

async fn a_row_that_left_the_batch_meanwhile_is_left_out(tables: &Tables) {
    tables.write_rows(&[row("c1"), row("c2"), row("c3")]).await;
    let moved = tables.writing(&tables.names.registry, row_of("c2", "other"));
    tables.network.plan("BatchGetItem", 1, Event::After(Box::pin(moved)));
    let gone = tables.deleting(&tables.names.registry, json!({"cluster_id": "c3"}));
    tables.network.plan("BatchGetItem", 2, Event::After(Box::pin(gone)));
    let ids = async || -> Vec<String> {
        let rows = tables.batch(&batch("test")).await.unwrap();
        rows.iter().map(|row| row.cluster_id.to_string()).collect()
    };
    assert_eq!(ids().await, ["c1", "c3"]);
    assert_eq!(ids().await, ["c1"]);
    assert_calm(tables).await;
}

async fn a_token_that_changed_meanwhile_is_read_anew(tables: &Tables) {
    tables.keep(&token("a", "t1")).await.unwrap();
    tables.keep(&token("b", "t2")).await.unwrap();
    let gone = tables.deleting(&tables.names.runs, json!({"run_id": "a", "entry": "token#upgrade"}));
    tables.network.plan("BatchGetItem", 1, Event::After(Box::pin(gone)));
    assert_eq!(tables.open_tokens().await.unwrap(), [token("b", "t2")]);
    let store = Arc::clone(&tables.store);
    let newer = async move {
        guard_tasks::TokenStore::keep(&*store, &token("b", "t3")).await.unwrap();
    };
    tables.network.plan("BatchGetItem", 1, Event::After(Box::pin(newer)));
    assert_eq!(tables.open_tokens().await.unwrap(), [token("b", "t3")]);
    assert_calm(tables).await;
}
