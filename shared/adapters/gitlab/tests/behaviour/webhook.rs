//! Deliveries, as GitLab's documentation shows them.

use std::collections::BTreeMap;

use guard_gitlab::Webhook;
use guard_tasks::{DeliveryReader as _, News};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

async fn read_with(token: Option<&str>, body: &[u8]) -> News {
    let headers: BTreeMap<String, String> =
        token.map(|token| ("x-gitlab-token".to_owned(), token.to_owned())).into_iter().collect();
    Webhook::new("hush-token".into()).read(&headers, body, NOW).await.unwrap()
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
    let open = Webhook::new("".into()).read(&headers, body.as_bytes(), NOW).await.unwrap();
    assert_eq!(open, News::NotAuthentic);
}

/// The signature was made by an independent implementation: `openssl dgst -sha256 -mac HMAC`, key and text as here.
const SIGNING_TOKEN: &str = "whsec_Z3VhcmQtdGVzdC1zaWduaW5nLWtleS0zMi1ieXRlcyE=";
const SIGNED_BODY: &str =
    r#"{"object_kind":"merge_request","object_attributes":{"action":"merge","state":"merged"}}"#;
const SIGNATURE: &str = "v1,HLkyYJRI5KWtREPs9cSLFYJG/JLefbu73na3MFSOaYI=";

fn signed(signature: &str) -> BTreeMap<String, String> {
    [("webhook-id", "msg-1"), ("webhook-timestamp", "1790000000"), ("webhook-signature", signature)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

async fn read_signed(headers: &BTreeMap<String, String>, body: &str, now: Timestamp) -> News {
    Webhook::new(SIGNING_TOKEN.into()).read(headers, body.as_bytes(), now).await.unwrap()
}

#[tokio::test]
async fn a_signed_delivery_is_read() {
    let ended = News::MergeRequestEnded;
    assert_eq!(read_signed(&signed(SIGNATURE), SIGNED_BODY, NOW).await, ended);
    // Two keys while one takes over from the other, and versions that come later.
    let several = format!("v2,abc v1,AAAA {SIGNATURE}");
    assert_eq!(read_signed(&signed(&several), SIGNED_BODY, NOW).await, ended);
    for minutes in [-5, 5] {
        let now = NOW + SignedDuration::from_mins(minutes);
        assert_eq!(read_signed(&signed(SIGNATURE), SIGNED_BODY, now).await, ended, "{minutes}");
    }
}

#[tokio::test]
async fn what_is_signed_otherwise_late_or_not_at_all_is_not() {
    let refused = News::NotAuthentic;
    let changed = SIGNED_BODY.replace("merge_request", "merge_requesT");
    assert_eq!(read_signed(&signed(SIGNATURE), &changed, NOW).await, refused);
    for (name, value) in [
        ("webhook-id", "msg-2"),
        ("webhook-timestamp", "1790000001"),
        ("webhook-timestamp", "soon"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", &SIGNATURE[3..]),
        ("webhook-signature", &SIGNATURE.replace("v1", "v2")),
        ("webhook-signature", &SIGNATURE[..SIGNATURE.len() - 4]),
    ] {
        let mut headers = signed(SIGNATURE);
        headers.insert(name.to_owned(), value.to_owned());
        assert_eq!(read_signed(&headers, SIGNED_BODY, NOW).await, refused, "{name}: {value}");
        headers.remove(name);
        assert_eq!(read_signed(&headers, SIGNED_BODY, NOW).await, refused, "without {name}");
    }
    for seconds in [-301, 301] {
        let now = NOW + SignedDuration::from_secs(seconds);
        assert_eq!(read_signed(&signed(SIGNATURE), SIGNED_BODY, now).await, refused, "{seconds}");
    }
    // The signing token is never sent: whoever sends it as a plain one has read it somewhere.
    let plain = BTreeMap::from([("x-gitlab-token".to_owned(), SIGNING_TOKEN.to_owned())]);
    assert_eq!(read_signed(&plain, SIGNED_BODY, NOW).await, refused);
    for broken in ["whsec_", "whsec_not base64"] {
        let read = Webhook::new(broken.into());
        let news = read.read(&signed(SIGNATURE), SIGNED_BODY.as_bytes(), NOW).await.unwrap();
        assert_eq!(news, refused, "{broken}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", Webhook::new("hush-token".into())).contains("hush"));
}
