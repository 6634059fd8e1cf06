//! The audit log.

use guard_tasks::{AuditEntry, ErrorName};

use crate::subject::{Stores, contract, lease, run, second, take};

contract! {
    the_log_is_read_from_the_oldest_line,
    a_line_is_heard_once,
    a_line_is_written_under_the_newest_fence_only,
}

fn line(at: i64, who: &str, what: &str) -> AuditEntry {
    AuditEntry { at: second(at), who: who.into(), what: what.into() }
}

async fn the_log_is_read_from_the_oldest_line(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    assert!(stores.audit_log(&run("a")).await.unwrap().is_empty());
    let lines: Vec<AuditEntry> =
        (0..30).map(|at| line(at * 1000, "settle", &format!("step {}", at % 7 * 31 + at))).collect();
    for line in &lines {
        stores.audit(&held, line).await.unwrap();
    }
    assert_eq!(stores.audit_log(&run("a")).await.unwrap(), lines);
    assert!(stores.audit_log(&run("b")).await.unwrap().is_empty());
}

async fn a_line_is_heard_once(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    stores.audit(&held, &line(1, "settle", "done")).await.unwrap();
    stores.audit(&held, &line(2, "settle", "done")).await.unwrap();
    stores.audit(&held, &line(3, "decide", "done")).await.unwrap();
    stores.audit(&held, &line(4, "settle", "done, twice")).await.unwrap();
    stores.audit(&held, &line(0, "settle", "done")).await.unwrap();
    let log = [line(1, "settle", "done"), line(3, "decide", "done"), line(4, "settle", "done, twice")];
    assert_eq!(stores.audit_log(&run("a")).await.unwrap(), log);
}

async fn a_line_is_written_under_the_newest_fence_only(stores: &Stores<'_>) {
    let old = lease(take(stores, "a", &["c1"], None).await);
    stores.audit(&old, &line(1, "settle", "done")).await.unwrap();
    take(stores, "b", &["c1"], Some("arn:a")).await;
    for again in ["done", "more"] {
        let error = stores.audit(&old, &line(2, "settle", again)).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Conflict, "{again}");
        assert!(error.to_string().contains("does not hold batch#test; arn:b does"), "{error}");
    }
    assert_eq!(stores.audit_log(&run("a")).await.unwrap(), [line(1, "settle", "done")]);
}
