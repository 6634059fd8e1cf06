//! Datadog's API, version 1: metric queries, monitors, key validation.

mod monitors;
mod query;
mod series;
mod signals;

use http::Method;
use serde_json::{Value, json};

use crate::call::{self, Answer, Call};
use crate::state::State;

pub(crate) use monitors::Monitor;
pub(crate) use signals::{ActiveRegression, Shock, Signals, Silence};

/// Queries an hour that the headers promise.
const LIMIT: u64 = 1_600;

fn errors(status: u16, message: &str) -> Answer {
    call::json(status, &json!({ "errors": [message] }))
}

pub(crate) fn handle(state: &mut State, call: &Call) -> Answer {
    let answer = authenticated(state, call);
    let hour = state.now.as_second().div_euclid(3600);
    let used = state.signals.requests_in_period("datadog", hour);
    let reset = (hour + 1) * 3600 - state.now.as_second();
    let answer = call::with(answer, "x-ratelimit-limit", &LIMIT.to_string());
    let answer = call::with(answer, "x-ratelimit-period", "3600");
    let answer = call::with(answer, "x-ratelimit-remaining", &LIMIT.saturating_sub(used).to_string());
    let answer = call::with(answer, "x-ratelimit-reset", &reset.to_string());
    call::with(answer, "x-ratelimit-name", "query_timeseries")
}

fn authenticated(state: &mut State, call: &Call) -> Answer {
    let path = call.segments.iter().map(String::as_str).collect::<Vec<_>>();
    if call.header("dd-api-key") != Some(state.spec.datadog_api_key.as_str()) {
        return errors(403, "Forbidden");
    }
    if path.as_slice() == ["api", "v1", "validate"] && call.method == Method::GET {
        return call::json(200, &json!({ "valid": true }));
    }
    if path.as_slice() == ["api", "v1", "events"] && call.method == Method::POST {
        return event(state, call);
    }
    if call.header("dd-application-key") != Some(state.spec.datadog_app_key.as_str()) {
        return errors(403, "Forbidden");
    }
    match path.as_slice() {
        ["api", "v1", "query"] if call.method == Method::GET => query::answer(state, call),
        ["api", "v1", "monitor"] if call.method == Method::GET => monitors::list(state, call),
        ["api", "v1", "monitor", id] if call.method == Method::GET => monitors::show(state, id),
        _ => errors(404, "Not found"),
    }
}

/// An event posted for the deployment markers; the API key alone is enough.
fn event(state: &mut State, call: &Call) -> Answer {
    let body = call.json().unwrap_or_default();
    let Some(title) = body.get("title").and_then(Value::as_str) else { return errors(400, "Missing title") };
    state.signals.events.push((state.now, title.to_owned()));
    let id = state.signals.events.len();
    call::json(202, &json!({ "status": "ok", "event": { "id": id, "title": title } }))
}
