//! Refusals and silence.

use guard_http::{FailureKind, TransportError};
use guard_tasks::{ErrorName, MonitorReader as _, TaskError, TrafficReader as _};
use jiff::Timestamp;
use serde_json::json;

use crate::world::{World, ok, row, status};

async fn traffic(world: &World) -> TaskError {
    let (from, to) = (Timestamp::from_second(60).unwrap(), Timestamp::from_second(120).unwrap());
    let error = world.datadog.traffic(&[row("eks-1")], from, to).await.unwrap_err();
    assert!(!error.chain().contains("hush") && !error.chain().contains("from="), "{error}");
    error
}

#[tokio::test]
async fn statuses_are_named_and_the_text_says_when_to_ask_again() {
    let table = [
        (400, ErrorName::Rejected),
        (401, ErrorName::Denied),
        (403, ErrorName::Denied),
        (404, ErrorName::Rejected),
        (429, ErrorName::Throttled),
        (500, ErrorName::Transient),
        (503, ErrorName::Transient),
        (302, ErrorName::Internal),
    ];
    for (code, name) in table {
        let headers = [("x-ratelimit-reset", "42"), ("x-ratelimit-remaining", "0")];
        let world = World::new(move |_| status(code, &headers, r#"{"errors":["first","second"]}"#));
        let error = traffic(&world).await;
        assert_eq!(error.name, name, "{error}");
        // Datadog tells of its limits with every answer; only a 429 is about them.
        let wait = if code == 429 { ", retry after 42 s" } else { "" };
        let expected = format!("Datadog GET /api/v1/query: status {code}{wait}: first; second");
        assert!(error.chain().ends_with(&expected), "{error}");
        assert_eq!(world.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_error_inside_a_success_is_an_error() {
    let world = World::new(|_| ok(&json!({"status": "error", "error": "Error parsing query", "series": []})));
    let error = traffic(&world).await;
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.chain().contains("Error parsing query"), "{error}");
}

#[tokio::test]
async fn garbage_is_not_read_as_no_data() {
    for body in [
        "",
        "<html>",
        "[]",
        r#"{"status":"ok","series":{}}"#,
        r#"{"status":"ok","series":[{"pointlist":"x"}]}"#,
    ] {
        let world = World::new(move |_| status(200, &[], body));
        assert_eq!(traffic(&world).await.name, ErrorName::Internal, "{body}");
    }
    let world = World::new(|_| ok(&json!({"status": "ok", "series": [{"pointlist": [[60000, 1.0]]}]})));
    assert_eq!(traffic(&world).await.name, ErrorName::Internal, "a series of nobody");
}

#[tokio::test]
async fn silence_keeps_its_kind() {
    let world = World::with(|_| Err(TransportError::new(FailureKind::Timeout, "no answer in 30 s")));
    let error = traffic(&world).await;
    assert_eq!(error.name, ErrorName::Transient);
    assert!(error.chain().contains("timed out: no answer in 30 s"), "{error}");
}

#[tokio::test]
async fn monitors_fail_the_same_way() {
    let world = World::new(|_| status(403, &[], r#"{"errors":["Forbidden"]}"#));
    let error = world.datadog.monitors(&row("eks-1")).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied);
    let expected = "read monitors of eks-1: Datadog GET /api/v1/monitor: status 403: Forbidden";
    assert_eq!(error.chain(), expected);
}

#[tokio::test]
async fn a_tag_that_would_change_the_query_is_never_sent() {
    let world = World::new(|_| panic!("nothing to ask"));
    let mut bad = row("eks-1");
    bad.datadog_tags.cluster = "x} by {host".into();
    assert_eq!(world.datadog.monitors(&bad).await.unwrap_err().name, ErrorName::Rejected);
}

#[test]
fn debug_shows_no_key() {
    let world = World::new(|_| panic!("nothing to ask"));
    let shown = format!("{:?}", world.datadog);
    assert!(shown.contains("datadoghq.eu") && !shown.contains("hush"), "{shown}");
}
