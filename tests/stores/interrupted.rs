//! What happens on the way to the tables: a reply is lost, a request arrives twice, a process ends in the middle. A call
//! is repeated as the state machine would repeat it, and the end is right and there once.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::{ClusterStatus as S, Config, IstioVersion};
use guard_memory::FixedConfig;
use guard_tasks::ledger::{Ledger, RunRef};
use guard_tasks::{AuditEntry, ErrorName, Lease, LockOutcome, Locks as _, TaskError, VersionChange};
use serde_json::json;

use crate::dynamodb::{Stopped, Tables};
use crate::network::Event;
use crate::subject::{
    OtherTool as _, batch, by, cluster, lease, over_tables, row, run, second, step, take, take_batch, taken,
    with,
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
    a_renewal_that_stopped_anywhere_is_completed,
    a_claim_that_stopped_anywhere_is_completed,
    a_claim_that_stopped_is_replaced_when_its_run_is_dead,
    a_take_over_that_stopped_anywhere_is_completed,
    a_release_that_stopped_anywhere_is_completed,
    a_release_frees_only_what_is_still_its_own,
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
        schema: guard_tasks::PayloadSchema::CURRENT,
        run_id: held.run_id.clone(),
        batch_id: held.batch_id.clone(),
        fence: held.fence,
        dry_run: false,
        target_version: None,
        upgrade_spec: None,
    }
}

fn is_transient<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    assert_eq!(result.unwrap_err().name, ErrorName::Transient);
}

/// The stores answer at once, and everything that was planned has happened.
pub(crate) async fn assert_calm(tables: &Tables) {
    assert!(tables.network.is_quiet(), "something that was planned did not happen");
    tables.batches().await.unwrap();
}

pub(crate) async fn locks(tables: &Tables) -> BTreeMap<String, (u64, Option<String>)> {
    let mut locks = BTreeMap::new();
    for row in tables.all(&tables.names.locks).await {
        let resource = row["resource"].as_str().unwrap();
        locks.insert(resource.to_owned(), tables.lock(resource).await);
    }
    locks
}

/// Every lock is held by this execution, or by nobody, with one fence.
pub(crate) async fn assert_locks(tables: &Tables, count: usize, fence: u64, holder: Option<&str>) {
    let locks = locks(tables).await;
    assert_eq!(locks.len(), count);
    assert!(locks.values().all(|lock| *lock == (fence, holder.map(str::to_owned))), "{locks:?}");
}

pub(crate) fn reached() -> VersionChange {
    VersionChange::Reached(IstioVersion::parse("1.30.5").unwrap())
}

pub(crate) async fn checked(tables: &Tables) -> Lease {
    tables.write_rows(&[with(row("c1"), "status", json!("post-check-running"))]).await;
    lease(take(tables, "a", &["c1"], None).await)
}

pub(crate) async fn history(tables: &Tables) -> Vec<String> {
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

pub(crate) async fn acquire(tables: &Tables) -> Result<guard_tasks::LockOutcome, TaskError> {
    let ids = [cluster("c1"), cluster("c2"), cluster("c3")];
    tables.store.acquire(&run("a"), "arn:a", &batch("test"), &ids, None, second(7)).await
}

/// The lease is good for everything that asks for one, and everything is free afterwards.
pub(crate) async fn assert_lease_works(tables: &Tables, held: &Lease) {
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

/// The batch's row comes first: whoever reads it then renews what is left, and the first lease is refused all the time.
async fn a_renewal_that_stopped_anywhere_is_completed(tables: &Tables) {
    let first = lease(acquire(tables).await.unwrap());
    for nth in 2..=4 {
        let held = tables.leases().await.unwrap().pop().unwrap().unwrap();
        tables.network.plan("UpdateItem", nth, Event::Gone);
        is_transient(tables.renew(&held.lease).await);
        tables.network.back();
        assert_eq!(tables.confirm(&first).await.unwrap_err().name, ErrorName::Conflict);
        let held = tables.leases().await.unwrap().pop().unwrap().unwrap();
        let renewed = tables.renew(&held.lease).await.unwrap();
        assert_locks(tables, 4, renewed.fence.0, Some("arn:a")).await;
    }
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

/// Of a dead run that holds more than what is asked for.
async fn a_take_over_that_stopped_anywhere_is_completed(tables: &Tables) {
    for nth in 1..=4 {
        let dead = lease(acquire(tables).await.unwrap());
        let take_over = async |replacing: Option<&str>| {
            let (run, batch, ids) = (run("b"), batch("test"), [cluster("c1")]);
            tables.acquire(&run, "arn:b", &batch, &ids, replacing, second(7)).await
        };
        tables.network.plan("UpdateItem", nth, Event::Gone);
        is_transient(take_over(Some("arn:a")).await);
        tables.network.back();
        // As planning asks: plainly, then in place of whom it found dead.
        if let LockOutcome::Taken { holder_arn, .. } = take_over(None).await.unwrap() {
            assert_eq!(holder_arn, "arn:a");
            lease(take_over(Some("arn:a")).await.unwrap());
        }
        let held = lease(take_over(None).await.unwrap());
        assert!(held.fence > dead.fence);
        assert_locks(tables, 4, held.fence.0, Some("arn:b")).await;
        tables.release(&held).await.unwrap();
        assert_locks(tables, 4, held.fence.0, None).await;
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
