//! Deliveries, as GitLab's documentation shows them.

use std::collections::BTreeMap;

use guard_gitlab::Webhook;
use guard_tasks::{DeliveryReader as _, News};
use serde_json::{Value, json};

async fn read_with(token: Option<&str>, body: &[u8]) -> News {
    let headers: BTreeMap<String, String> =
        token.map(|token| ("x-gitlab-token".to_owned(), token.to_owned())).into_iter().collect();
    Webhook::new("hush-token".into()).read(&headers, body).await.unwrap()
}

async fn read(document: &Value) -> News {
    read_with(Some("hush-token"), document.to_string().as_bytes()).await
}

fn delivery(action: &str, state: &str) -> Value {
    json!({
        "object_kind": "merge_request", "event_type": "merge_request",
        "project": {"path_with_namespace": "platform/fleet"},
        "object_attributes": {"iid": 7, "action": action, "state": state, "source_branch": "feature/x"},
    })
}

#[tokio::test]
async fn a_merge_request_that_ended_is_news() {
    for (action, state) in
        [("merge", "merged"), ("close", "closed"), ("update", "merged"), ("update", "closed")]
    {
        assert_eq!(read(&delivery(action, state)).await, News::MergeRequestEnded, "{action} {state}");
    }
}

#[tokio::test]
async fn anything_else_that_happens_is_not() {
    for action in ["open", "reopen", "update", "approved", "unapproved", "approval", "unapproval", "dance"] {
        assert_eq!(read(&delivery(action, "opened")).await, News::Other, "{action}");
    }
    let mut note = delivery("merge", "merged");
    note["object_kind"] = json!("note");
    assert_eq!(read(&note).await, News::Other);
    for other in [json!({}), json!({"object_kind": "merge_request"}), json!({"object_kind": 5})] {
        assert_eq!(read(&other).await, News::Other, "{other}");
    }
    let odd = json!({"object_kind": "merge_request", "object_attributes": ["merge"]});
    assert_eq!(read(&odd).await, News::Other);
}

#[tokio::test]
async fn what_is_no_document_is_unreadable() {
    for body in ["", "[]", "merge", "{\"object_kind\": "] {
        assert_eq!(read_with(Some("hush-token"), body.as_bytes()).await, News::Unreadable, "{body}");
    }
    assert_eq!(read_with(Some("hush-token"), &[0xff, 0xfe]).await, News::Unreadable);
}

#[tokio::test]
async fn without_the_secret_nothing_is_read() {
    let body = delivery("merge", "merged").to_string();
    for token in
        [None, Some(""), Some("hush-toke"), Some("hush-tokem"), Some("hush-token "), Some("hush-tokens")]
    {
        assert_eq!(read_with(token, body.as_bytes()).await, News::NotAuthentic, "{token:?}");
    }
    // A secret that is empty opens to nobody, not to everybody.
    let headers = BTreeMap::from([("x-gitlab-token".to_owned(), String::new())]);
    let open = Webhook::new("".into()).read(&headers, body.as_bytes()).await.unwrap();
    assert_eq!(open, News::NotAuthentic);
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", Webhook::new("hush-token".into())).contains("hush"));
}
