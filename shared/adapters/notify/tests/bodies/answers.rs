//! Answers that refuse, and none: named by their remedy, and without a secret.

use guard_http::{FailureKind, TransportError};
use guard_tasks::{ErrorName, Notifier as _};

use crate::told::{Out, WEBHOOK, all, status};

#[tokio::test]
async fn statuses_are_named_and_no_secret_is_told() {
    for (code, name) in [
        (400, ErrorName::Rejected),
        (403, ErrorName::Denied),
        (413, ErrorName::Internal),
        (429, ErrorName::Throttled),
        (500, ErrorName::Transient),
        (302, ErrorName::Internal),
    ] {
        // A server that quotes what it was asked, path and key included.
        let body = r#"{"errors": ["POST /services/T0/B0/hush-path with hush-key"]}"#;
        let out = Out::new(move || status(code, body));
        for error in out.refusals().await {
            assert_eq!(error.name, name, "{error}");
            assert!(error.chain().contains(&format!("status {code}")), "{error}");
            assert!(!error.chain().contains("hush-key"), "{error}");
        }
        let [slack, _] = out.refusals().await;
        assert!(!slack.chain().contains("hush"), "{slack}");
    }
}

#[tokio::test]
async fn the_services_own_words_are_kept() {
    let [slack, _] = Out::new(|| status(403, "invalid_token")).refusals().await;
    assert_eq!(slack.chain(), "notify by webhook: Slack post message: status 403: invalid_token");
    let body = r#"{"status": "invalid event", "errors": ["'severity' is wrong"]}"#;
    let [_, pager] = Out::new(move || status(400, body)).refusals().await;
    assert_eq!(pager.chain(), "notify by pager: PagerDuty trigger incident: status 400: 'severity' is wrong");
}

/// A secret that opens nothing any more is `Denied`: then whoever holds it reads the stored one again.
#[tokio::test]
async fn a_secret_that_was_taken_away_is_denied() {
    for (code, word) in [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived")] {
        let [slack, _] = Out::new(move || status(code, word)).refusals().await;
        assert_eq!(slack.name, ErrorName::Denied, "{slack}");
    }
    let unknown = r#"{"status": "invalid event", "errors": ["'routing_key' is invalid or missing"]}"#;
    let [_, pager] = Out::new(move || status(400, unknown)).refusals().await;
    assert_eq!(pager.name, ErrorName::Denied, "{pager}");
    let wrong = r#"{"status": "invalid event", "errors": ["'severity' is wrong"]}"#;
    let [_, pager] = Out::new(move || status(400, wrong)).refusals().await;
    assert_eq!(pager.name, ErrorName::Rejected, "{pager}");
}

#[tokio::test]
async fn no_answer_is_an_error_without_an_address() {
    let out = Out::with(WEBHOOK, || Err(TransportError::new(FailureKind::Timeout, "deadline has elapsed")));
    for error in out.refusals().await {
        assert_eq!(error.name, ErrorName::Transient);
        assert!(!error.chain().contains("hush") && !error.chain().contains("hooks"), "{error}");
    }
}

#[tokio::test]
async fn a_webhook_is_called_encrypted_or_on_this_machine() {
    let (_, told) = &all()[0];
    for wrong in ["http://hooks.slack.com/services/hush", "hush", "", "\"https://hush\"", "ftp://h/hush"] {
        let out = Out::at(wrong, || status(200, "ok"));
        let error = out.slack.notify(told).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected, "{wrong}");
        assert!(!error.chain().contains("hush"), "{error}");
        assert_eq!(out.sent().len(), 0);
    }
    for right in ["https://chat.example.com/hooks/x\n", "http://127.0.0.1:8080/services/x"] {
        Out::at(right, || status(200, "ok")).slack.notify(told).await.unwrap();
    }
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let out = Out::new(|| status(200, "ok"));
    out.body(&out.slack, &all()[0].1).await;
    let shown = format!("{:?} {:?} {:?}", out.slack, out.pager, out.sent());
    assert!(!shown.contains("hush"), "{shown}");
}
