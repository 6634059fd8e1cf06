//! Whoever is on duty, by PagerDuty's Events API, version 2.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::notification::{Incident, Notification, Urgency};
use guard_http::{System, Transport};
use guard_tasks::{Context as _, Notifier, TaskError};
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use crate::post::{Refused, post};

/// Where events go, unless told otherwise.
const EVENTS: &str = "https://events.pagerduty.com";

/// Characters of a summary.
const SUMMARY: usize = 1_024;

/// One service's integration.
pub struct PagerDuty {
    transport: Arc<dyn Transport>,
    address: SecretString,
    routing_key: SecretString,
}

impl PagerDuty {
    /// `base_url` is `https://events.pagerduty.com`, which is what `None` means, or `https://events.eu.pagerduty.com` for
    /// accounts in the service region of the EU; `routing_key` is the integration's key.
    pub fn new(transport: Arc<dyn Transport>, base_url: Option<&str>, routing_key: SecretString) -> Self {
        let address = format!("{}/v2/enqueue", base_url.unwrap_or(EVENTS).trim_end_matches('/')).into();
        Self { transport, address, routing_key }
    }

    async fn send(&self, operation: &'static str, mut event: Value) -> Result<(), TaskError> {
        event["routing_key"] = Value::from(self.routing_key.expose_secret().trim());
        // What PagerDuty says may quote the event, and with it the key.
        let refused = |status: StatusCode, answer: &[u8]| {
            let detail = reason(answer, self.routing_key.expose_secret().trim());
            // A key that is not known is an event that is not valid.
            let is_unknown_secret = status == StatusCode::BAD_REQUEST && detail.contains("routing_key");
            Refused { detail, is_unknown_secret }
        };
        post(self.transport.as_ref(), System::PagerDuty, operation, &self.address, &event, refused).await
    }
}

#[async_trait]
impl Notifier for PagerDuty {
    async fn notify(&self, notification: &Notification) -> Result<(), TaskError> {
        self.send("trigger incident", trigger(notification)).await.context("notify by pager")
    }

    async fn resolve(&self, incident: &Incident) -> Result<(), TaskError> {
        let event = json!({"event_action": "resolve", "dedup_key": incident.key()});
        self.send("resolve incident", event).await.context("resolve by pager")
    }
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").finish_non_exhaustive()
    }
}

/// The reasons of a refusal, unless they hold the key.
fn reason(answer: &[u8], key: &str) -> String {
    let document: Value = serde_json::from_slice(answer).unwrap_or_default();
    let errors = document.get("errors").and_then(Value::as_array);
    let words: Vec<&str> = errors.into_iter().flatten().filter_map(Value::as_str).collect();
    let text = words.join("; ");
    if !key.is_empty() && text.contains(key) { String::new() } else { text }
}

/// The event of a notification, without the key.
fn trigger(told: &Notification) -> Value {
    let mut details: Map<String, Value> =
        told.facts.iter().map(|fact| (fact.name.to_owned(), Value::from(fact.value.as_str()))).collect();
    details.insert("what happened".to_owned(), Value::from(told.sentence.as_str()));
    if !told.findings.is_empty() {
        details.insert("findings".to_owned(), Value::from(told.findings.clone()));
    }
    let next: Vec<String> = told
        .next
        .iter()
        .map(|next| match &next.command {
            Some(command) => format!("{} {command}", next.words),
            None => next.words.to_owned(),
        })
        .collect();
    details.insert("next".to_owned(), Value::from(next));
    let links: Vec<Value> =
        told.links.iter().map(|link| json!({"href": link.url, "text": link.title})).collect();
    json!({
        "event_action": "trigger",
        "dedup_key": told.incident().key(),
        "client": "GUARD",
        "payload": {
            "summary": format!("GUARD: {}", told.title).chars().take(SUMMARY).collect::<String>(),
            "source": "guard",
            "severity": severity(told.urgency),
            "component": "istio",
            "group": told.batch_id.as_str(),
            "class": told.kind.as_str(),
            "custom_details": details,
        },
        "links": links,
    })
}

fn severity(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Info => "info",
        Urgency::Warning => "warning",
        Urgency::Error => "error",
        Urgency::Critical => "critical",
    }
}
