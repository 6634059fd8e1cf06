//! The bodies, whole. `make generate` writes them again; a change of words is seen in review.

use std::fs;
use std::path::Path;

use guard_tasks::Notifier;
use serde_json::{Map, Value, json};

use crate::told::{KEY, Out, WEBHOOK, all, status};

async fn hold(file: &str, out: &Out, to: &dyn Notifier) {
    let mut bodies = Map::new();
    for (name, told) in all() {
        let mut body = out.body(to, &told).await;
        if let Some(key) = body.get_mut("routing_key") {
            assert_eq!(*key, KEY);
            *key = json!("...");
        }
        bodies.insert(name.to_owned(), body);
    }
    let text = serde_json::to_string_pretty(&Value::Object(bodies)).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, wanted)) in text.lines().zip(kept.lines()).enumerate() {
        assert_eq!(is, wanted, "{file}, line {}; `make generate` writes it again", number + 1);
    }
    assert_eq!(text.lines().count(), kept.lines().count(), "{file}; `make generate` writes it again");
}

#[tokio::test]
async fn messages_to_a_chat_room() {
    let out = Out::new(|| status(200, "ok"));
    hold("slack.json", &out, &out.slack).await;
    for call in out.sent() {
        assert_eq!(call.request.uri(), WEBHOOK);
        assert_eq!(call.request.headers()["content-type"], "application/json");
        assert!(!call.idempotent, "a message that is sent twice is read twice");
    }
}

#[tokio::test]
async fn events_to_a_pager() {
    let out = Out::new(|| status(202, "{}"));
    hold("pagerduty.json", &out, &out.pager).await;
    assert!(out.sent().iter().all(|call| call.request.uri() == "https://events.pagerduty.com/v2/enqueue"));
}

#[tokio::test]
async fn an_incident_that_is_over_is_resolved_by_its_key() {
    let out = Out::new(|| status(202, "{}"));
    let (_, told) = &all()[4];
    let triggered = out.body(&out.pager, told).await;
    out.pager.resolve(&told.incident()).await.unwrap();
    let body: Value = serde_json::from_slice(out.sent()[1].request.body()).unwrap();
    assert_eq!(
        body,
        json!({"event_action": "resolve", "dedup_key": triggered["dedup_key"], "routing_key": KEY})
    );
    // A chat room knows no incidents.
    out.slack.resolve(&told.incident()).await.unwrap();
    assert_eq!(out.sent().len(), 2);
}
