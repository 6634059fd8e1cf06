//! Where notifications arrive: an incoming webhook as Slack has it, and PagerDuty's events. Both refuse what the real
//! ones refuse, and keep what they took.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::World;
use crate::call::{self, Answer, Call};
use crate::state::State;

/// A message that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedMessage {
    /// When.
    pub at: Timestamp,
    /// Its text for small screens.
    pub text: String,
    /// The whole message.
    pub body: Value,
}

/// An event that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedEvent {
    /// When.
    pub at: Timestamp,
    /// `trigger` or `resolve`.
    pub action: String,
    /// What it is grouped by.
    pub dedup_key: String,
    /// `critical`, `error`, `warning`, `info`; empty for a resolve.
    pub severity: String,
    /// Its summary; empty for a resolve.
    pub summary: String,
    /// The whole event, without its routing key.
    pub body: Value,
}

/// What arrived so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inbox {
    messages: Vec<ReceivedMessage>,
    events: Vec<ReceivedEvent>,
}

impl World {
    /// Every message that the chat room took, oldest first.
    pub fn messages(&self) -> Vec<ReceivedMessage> {
        self.state().inbox.messages.clone()
    }

    /// Every event that PagerDuty took, oldest first.
    pub fn events(&self) -> Vec<ReceivedEvent> {
        self.state().inbox.events.clone()
    }

    /// The incidents that are open, by their keys, in the order they were opened.
    pub fn open_incidents(&self) -> Vec<String> {
        let mut open: Vec<String> = Vec::new();
        for event in &self.state().inbox.events {
            if event.action == "resolve" {
                open.retain(|key| *key != event.dedup_key);
            } else if !open.contains(&event.dedup_key) {
                open.push(event.dedup_key.clone());
            }
        }
        open
    }
}

/// The host and path of a webhook.
fn place(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    rest.find('/').map(|at| rest.split_at(at))
}

/// The webhook's host and path, for whoever listens in its place.
pub(crate) fn webhook_place(state: &State) -> (String, String) {
    let (host, path) = place(&state.spec.slack_webhook_url).unwrap_or_default();
    (host.to_owned(), path.to_owned())
}

/// Whether this host is the webhook's.
pub(crate) fn is_webhook(state: &State, host: &str) -> bool {
    place(&state.spec.slack_webhook_url).is_some_and(|(own, _)| own.eq_ignore_ascii_case(host))
}

/// An incoming webhook: errors are words, as Slack documents them.
pub(crate) fn slack(state: &mut State, call: &Call) -> Answer {
    let is_known = place(&state.spec.slack_webhook_url).is_some_and(|(_, path)| path == call.path);
    if call.method != Method::POST || !is_known {
        return call::text(404, "no_service");
    }
    let Some(body) = call.json() else { return call::text(400, "invalid_payload") };
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
    let empty = Vec::new();
    let blocks = body.get("blocks").and_then(Value::as_array).unwrap_or(&empty);
    if text.is_empty() && blocks.is_empty() {
        return call::text(400, "no_text");
    }
    if blocks.len() > 50 || !blocks.iter().all(is_sound) {
        return call::text(400, "invalid_blocks");
    }
    let message = ReceivedMessage { at: state.now, text: text.to_owned(), body: body.clone() };
    state.inbox.messages.push(message);
    call::text(200, "ok")
}

/// Slack's limits of the blocks that are known here; any other is refused.
fn is_sound(block: &Value) -> bool {
    let fits = |text: Option<&Value>, longest: usize| {
        let text = text.and_then(|text| text.get("text")).and_then(Value::as_str);
        text.is_some_and(|text| (1..=longest).contains(&text.chars().count()))
    };
    match block.get("type").and_then(Value::as_str) {
        Some("header") => {
            fits(block.get("text"), 150)
                && block.pointer("/text/type").and_then(Value::as_str) == Some("plain_text")
        }
        Some("section") => match block.get("fields").and_then(Value::as_array) {
            Some(fields) => {
                (1..=10).contains(&fields.len()) && fields.iter().all(|one| fits(Some(one), 2_000))
            }
            None => fits(block.get("text"), 3_000),
        },
        _ => false,
    }
}

/// `POST /v2/enqueue`.
pub(crate) fn pagerduty(state: &mut State, call: &Call) -> Answer {
    if call.method != Method::POST || call.path != "/v2/enqueue" {
        return call::json(404, &json!({"status": "not found"}));
    }
    let invalid = |errors: &[&str]| {
        let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
        call::json(400, &body)
    };
    let Some(mut body) = call.json() else { return invalid(&["JSON is invalid"]) };
    let text = |name: &str| body.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text("/routing_key") != state.spec.pagerduty_routing_key {
        return invalid(&["'routing_key' is invalid or missing"]);
    }
    let (action, dedup_key) = (text("/event_action"), text("/dedup_key"));
    let (severity, summary) = (text("/payload/severity"), text("/payload/summary"));
    if dedup_key.is_empty() || dedup_key.len() > 255 {
        return invalid(&["'dedup_key' is missing or too long"]);
    }
    let is_trigger = action == "trigger";
    if !is_trigger && action != "resolve" {
        return invalid(&["'event_action' is invalid"]);
    }
    let is_known = ["critical", "error", "warning", "info"].contains(&severity.as_str());
    let is_told =
        !summary.is_empty() && summary.chars().count() <= 1024 && !text("/payload/source").is_empty();
    if is_trigger && !(is_known && is_told) {
        return invalid(&["'payload' needs a summary, a source and a severity"]);
    }
    if let Some(fields) = body.as_object_mut() {
        fields.remove("routing_key");
    }
    let answer = json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key});
    let at = state.now;
    state.inbox.events.push(ReceivedEvent { at, action, dedup_key, severity, summary, body });
    call::json(202, &answer)
}
