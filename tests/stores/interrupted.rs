//! What happens on the way to the tables: a reply is lost, a request arrives twice, somebody is faster, a process ends in
//! the middle. A call is repeated as the state machine would repeat it, and the end is right and there once.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::{ClusterStatus as S, Config, IstioVersion};
use guard_memory::FixedConfig;
use guard_tasks::ledger::{Ledger, RunRef};
use guard_tasks::{AuditEntry, ErrorName, Lease, Locks as _, TaskError, VersionChange};
use serde_json::{Value, json};

use crate::dynamodb::{Stopped, Tables};
use crate::network::Event;
use crate::subject::{
    OtherTool as _, batch, by, cluster, lease, over_tables, row, row_of, run, second, step, take, take_batch,
    taken, with,
};
use crate::tokens::token;

over_tables! {
    a_move_whose_reply_was_lost_is_made_once,
    an_entry_whose_reply_was_lost_is_written_once,
    a_line_whose_reply_was_lost_is_heard_once,
    a_token_whose_reply_was_lost_is_replaced,
    a_drop_whose_reply_was_lost_is_done,
    a_claim_whose_reply_was_lost_is_recognised,
    a_release_whose_reply_was_lost_is_done,
    a_request_that_arrives_twice_counts_once,
    what_is_refused_for_now_has_not_happened,
    a_claim_that_stopped_anywhere_is_completed,
    a_claim_that_stopped_is_replaced_when_its_run_is_dead,
    a_release_that_stopped_anywhere_is_completed,
    a_release_frees_only_what_is_still_its_own,
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

fn ledger(tables: &Tables) -> Ledger {
    Ledger {
        config: Arc::new(FixedConfig(Config::default())),
        batches: tables.store.clone(),
        clusters: tables.store.clone(),
        statuses: tables.store.clone(),
        records: tables.store.clone(),
        clock: Arc::new(Stopped),
    }
}

fn reference(held: &Lease) -> RunRef {
    RunRef {
        run_id: held.run_id.clone(),
        batch_id: held.batch_id.clone(),
        fence: held.fence,
        dry_run: false,
        target_version: None,
    }
}

fn is_transient<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    assert_eq!(result.unwrap_err().name, ErrorName::Transient);
}

/// The stores answer at once, and everything that was planned has happened.
async fn assert_calm(tables: &Tables) {
    assert!(tables.network.is_quiet(), "something that was planned did not happen");
    tables.batches().await.unwrap();
}

async fn locks(tables: &Tables) -> BTreeMap<String, (u64, Option<String>)> {
    let mut locks = BTreeMap::new();
    for row in tables.all(&tables.names.locks).await {
        let resource = row["resource"].as_str().unwrap();
        locks.insert(resource.to_owned(), tables.lock(resource).await);
    }
    locks
}

/// Every lock is held by this execution, or by nobody, with one fence.
async fn assert_locks(tables: &Tables, count: usize, fence: u64, holder: Option<&str>) {
    let locks = locks(tables).await;
    assert_eq!(locks.len(), count);
    assert!(locks.values().all(|lock| *lock == (fence, holder.map(str::to_owned))), "{locks:?}");
}

fn reached() -> VersionChange {
    VersionChange::Reached(IstioVersion::parse("1.30.5").unwrap())
}

async fn checked(tables: &Tables) -> Lease {
    tables.write_rows(&[with(row("c1"), "status", json!("post-check-running"))]).await;
    lease(take(tables, "a", &["c1"], None).await)
}

async fn history(tables: &Tables) -> Vec<String> {
    let row = tables.cluster(&cluster("c1")).await.unwrap().unwrap();
    row.upgrade_history.iter().map(|entry| entry.version.to_string()).collect()
}

async fn a_move_whose_reply_was_lost_is_made_once(tables: &Tables) {
    let run = reference(&checked(tables).await);
    let advance =
        async || ledger(tables).advance(&run, &cluster("c1"), S::Healthy, Some(reached()), None).await;
    tables.network.plan("TransactWriteItems", 1, Event::ReplyLost);
    is_transient(advance().await);
    advance().await.unwrap();
    assert_eq!(history(tables).await, ["1.29.3", "1.30.5"]);
    assert_calm(tables).await;
}

async fn an_entry_whose_reply_was_lost_is_written_once(tables: &Tables) {
    let run = reference(&checked(tables).await);
    for value in [json!({"a": 0.1}), json!({"a": 0.2}), json!({"a": 0.1})] {
        tables.network.plan("TransactWriteItems", 1, Event::ReplyLost);
        is_transient(ledger(tables).write(&run, "progress", &value).await);
        ledger(tables).write(&run, "progress", &value).await.unwrap();
        assert_eq!(tables.entry(&run.run_id, "progress").await.unwrap(), Some(value));
    }
    assert_calm(tables).await;
}

async fn a_line_whose_reply_was_lost_is_heard_once(tables: &Tables) {
    let held = checked(tables).await;
    let line = |at| AuditEntry { at: second(at), who: "settle".into(), what: "done".into() };
    tables.network.plan("TransactWriteItems", 1, Event::ReplyLost);
    is_transient(tables.audit(&held, &line(1)).await);
    tables.audit(&held, &line(2)).await.unwrap();
    assert_eq!(tables.audit_log(&run("a")).await.unwrap(), [line(1)]);
    assert_calm(tables).await;
}

async fn a_token_whose_reply_was_lost_is_replaced(tables: &Tables) {
    tables.network.plan("PutItem", 1, Event::ReplyLost);
    is_transient(tables.keep(&token("a", "t1")).await);
    tables.keep(&token("a", "t2")).await.unwrap();
    assert_eq!(tables.open_tokens().await.unwrap(), [token("a", "t2")]);
    assert_calm(tables).await;
}

async fn a_drop_whose_reply_was_lost_is_done(tables: &Tables) {
    tables.keep(&token("a", "t1")).await.unwrap();
    tables.network.plan("DeleteItem", 1, Event::ReplyLost);
    is_transient(tables.drop_token(&token("a", "t1")).await);
    tables.drop_token(&token("a", "t1")).await.unwrap();
    assert_eq!(tables.open_tokens().await.unwrap(), []);
    assert_calm(tables).await;
}

async fn acquire(tables: &Tables) -> Result<guard_tasks::LockOutcome, TaskError> {
    let ids = [cluster("c1"), cluster("c2"), cluster("c3")];
    tables.store.acquire(&run("a"), "arn:a", &batch("test"), &ids, None, second(7)).await
}

/// The lease is good for everything that asks for one, and everything is free afterwards.
async fn assert_lease_works(tables: &Tables, held: &Lease) {
    assert_locks(tables, 4, held.fence.0, Some("arn:a")).await;
    tables.confirm(held).await.unwrap();
    tables.write_rows(&[row("c1")]).await;
    tables.move_status(held, &step(S::Pending, S::PreCheckRunning, None)).await.unwrap();
    tables.put(held, "plan", None, &json!(1)).await.unwrap();
    tables.release(held).await.unwrap();
    assert_locks(tables, 4, held.fence.0, None).await;
}

async fn a_claim_whose_reply_was_lost_is_recognised(tables: &Tables) {
    // Before the last claim rows are missing, and all get a new fence. After it none is, and the same fence comes back.
    for (nth, fence) in [(1, 2), (2, 4), (3, 6), (4, 7)] {
        tables.network.plan("UpdateItem", nth, Event::ReplyLost);
        is_transient(acquire(tables).await);
        let held = lease(acquire(tables).await.unwrap());
        assert_eq!(held.fence.0, fence);
        assert_locks(tables, 4, fence, Some("arn:a")).await;
        tables.release(&held).await.unwrap();
    }
    let held = lease(acquire(tables).await.unwrap());
    assert_lease_works(tables, &held).await;
    assert_calm(tables).await;
}

async fn a_release_whose_reply_was_lost_is_done(tables: &Tables) {
    for nth in 1..=4 {
        let held = lease(acquire(tables).await.unwrap());
        tables.network.plan("UpdateItem", nth, Event::ReplyLost);
        is_transient(tables.release(&held).await);
        tables.release(&held).await.unwrap();
        assert_locks(tables, 4, held.fence.0, None).await;
    }
    assert_calm(tables).await;
}

async fn a_request_that_arrives_twice_counts_once(tables: &Tables) {
    for nth in 1..=4 {
        tables.network.plan("UpdateItem", nth, Event::Twice);
    }
    let held = lease(acquire(tables).await.unwrap());
    assert_eq!(held.fence.0, 1);
    tables.write_rows(&[with(row("c1"), "status", json!("post-check-running"))]).await;
    let twice = || tables.network.plan("TransactWriteItems", 1, Event::Twice);
    twice();
    tables.move_status(&held, &step(S::PostCheckRunning, S::Healthy, Some(reached()))).await.unwrap();
    assert_eq!(history(tables).await, ["1.29.3", "1.30.5"]);
    twice();
    tables.put(&held, "plan", None, &json!(1)).await.unwrap();
    twice();
    tables.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap();
    twice();
    let line = AuditEntry { at: second(1), who: "w".into(), what: "x".into() };
    tables.audit(&held, &line).await.unwrap();
    assert_eq!(tables.audit_log(&run("a")).await.unwrap(), [line]);
    tables.network.plan("PutItem", 1, Event::Twice);
    tables.keep(&token("a", "t1")).await.unwrap();
    tables.network.plan("DeleteItem", 1, Event::Twice);
    tables.drop_token(&token("a", "t1")).await.unwrap();
    for nth in 1..=4 {
        tables.network.plan("UpdateItem", nth, Event::Twice);
    }
    tables.release(&held).await.unwrap();
    assert_locks(tables, 4, 1, None).await;
    assert_calm(tables).await;
}

async fn what_is_refused_for_now_has_not_happened(tables: &Tables) {
    let held = checked(tables).await;
    let cancelled = |first: &str, second: &str| {
        Event::Refused(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "cancelled",
            "CancellationReasons": [{"Code": first, "Message": "f"}, {"Code": second, "Message": "s"}]
        }))
    };
    let change = step(S::PostCheckRunning, S::Healthy, Some(reached()));
    for (event, name) in [
        (Event::refused("ThrottlingException"), ErrorName::Throttled),
        (Event::refused("ProvisionedThroughputExceededException"), ErrorName::Throttled),
        (Event::refused("TransactionInProgressException"), ErrorName::Transient),
        (cancelled("TransactionConflict", "None"), ErrorName::Transient),
        (cancelled("None", "TransactionConflict"), ErrorName::Transient),
        (cancelled("None", "ThrottlingError"), ErrorName::Throttled),
    ] {
        tables.network.plan("TransactWriteItems", 1, event);
        assert_eq!(tables.move_status(&held, &change).await.unwrap_err().name, name);
        assert!(history(tables).await.is_empty());
    }
    tables.move_status(&held, &change).await.unwrap();
    assert_eq!(history(tables).await, ["1.29.3", "1.30.5"]);
    assert_calm(tables).await;
}

/// Every place where the process may end: before the first claim, between two, before the last. The same run asks
/// again, once more ends in the middle, and asks again.
async fn a_claim_that_stopped_anywhere_is_completed(tables: &Tables) {
    let mut last = 0;
    for nth in 1..=4 {
        for again in 1..=4 {
            for stop in [nth, again] {
                tables.network.plan("UpdateItem", stop, Event::Gone);
                is_transient(acquire(tables).await);
                tables.network.back();
            }
            let held = lease(acquire(tables).await.unwrap());
            assert!(held.fence.0 > last, "a fence was given twice");
            last = held.fence.0;
            assert_locks(tables, 4, held.fence.0, Some("arn:a")).await;
            tables.confirm(&held).await.unwrap();
            tables.release(&held).await.unwrap();
        }
    }
    let held = lease(acquire(tables).await.unwrap());
    assert_lease_works(tables, &held).await;
    assert_calm(tables).await;
}

async fn a_claim_that_stopped_is_replaced_when_its_run_is_dead(tables: &Tables) {
    tables.network.plan("UpdateItem", 3, Event::Gone);
    is_transient(acquire(tables).await);
    tables.network.back();
    assert_eq!(taken(take(tables, "b", &["c1"], None).await), by("batch#test", "arn:a"));
    // Another batch with a cluster that was reached, and one with a cluster that was not.
    assert_eq!(taken(take_batch(tables, "b", "other", &["c1"], None).await), by("cluster#c1", "arn:a"));
    let free = lease(take_batch(tables, "b", "other", &["c2", "c3"], None).await);
    tables.release(&free).await.unwrap();

    let next = lease(take(tables, "b", &["c1", "c2", "c3"], Some("arn:a")).await);
    assert!(next.fence > free.fence);
    for resource in ["batch#test", "cluster#c1", "cluster#c2", "cluster#c3"] {
        assert_eq!(tables.lock(resource).await, (next.fence.0, Some("arn:b".to_owned())));
    }
    assert_calm(tables).await;
}

async fn a_release_that_stopped_anywhere_is_completed(tables: &Tables) {
    for nth in 1..=4 {
        let held = lease(acquire(tables).await.unwrap());
        tables.network.plan("UpdateItem", nth, Event::Gone);
        is_transient(tables.release(&held).await);
        tables.network.back();
        tables.release(&held).await.unwrap();
        assert_locks(tables, 4, held.fence.0, None).await;
    }
    assert_calm(tables).await;
}

/// Between the look at the list and the first row, another run replaces this one.
async fn a_release_frees_only_what_is_still_its_own(tables: &Tables) {
    let held = lease(acquire(tables).await.unwrap());
    let (store, ids) = (Arc::clone(&tables.store), [cluster("c1"), cluster("c2"), cluster("c3")]);
    let other = async move {
        let asked = store.acquire(&run("b"), "arn:b", &batch("test"), &ids, Some("arn:a"), second(7)).await;
        lease(asked.unwrap());
    };
    tables.network.plan("UpdateItem", 1, Event::After(Box::pin(other)));
    tables.release(&held).await.unwrap();
    assert_locks(tables, 4, held.fence.0 + 1, Some("arn:b")).await;
    assert_calm(tables).await;
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
