//! Lists: selectors and paging.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::resources::{self, key};
use super::{Target, bad_request};
use crate::call::{self, Answer, Call};
use crate::state::State;

/// Where the next page begins, as the opaque token carries it.
fn token(revision: &str, (namespace, name): &(String, String)) -> String {
    URL_SAFE_NO_PAD
        .encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": [namespace, name] }).to_string())
}

fn read_token(text: &str) -> Option<(String, (String, String))> {
    let value: Value = serde_json::from_slice(&call::base64url_read(text)?).ok()?;
    let part = |at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
    Some((part("/rv")?, (part("/start/0")?, part("/start/1")?)))
}

pub(super) fn list(state: &State, call: &Call, cluster_id: &str, target: &Target) -> Answer {
    if call.get("watch").is_some_and(|value| value == "true" || value == "1") {
        let message = "this world answers lists, it does not watch";
        return super::status(405, "MethodNotAllowed", message, &Value::Null);
    }
    let Some(cluster) = state.clusters.get(cluster_id) else { return super::unknown_path() };
    let limit = match call.get("limit").map(str::parse::<usize>) {
        None | Some(Ok(0)) => usize::MAX,
        Some(Ok(limit)) => limit,
        Some(Err(_)) => return bad_request("limit: Invalid value: must be a non-negative integer"),
    };
    let start = match call.get("continue").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => match read_token(text) {
            Some(start) => Some(start),
            None => {
                return bad_request(
                    "continue key is not valid: illegal base64 data or unrecognized encoded value",
                );
            }
        },
    };
    let (labels, fields) = (call.get("labelSelector"), call.get("fieldSelector"));
    let Some(labels) = Selector::read(labels.unwrap_or_default()) else {
        return bad_request("unable to parse requirement: found an invalid labelSelector");
    };
    let Some(fields) = Selector::read(fields.unwrap_or_default()) else {
        return bad_request("invalid selector: can't understand the fieldSelector");
    };
    let selective = !labels.0.is_empty() || !fields.0.is_empty();
    let revision =
        start.as_ref().map_or_else(|| cluster.revision.to_string(), |(revision, _)| revision.clone());
    let mut items = resources::all(state, cluster, target.resource);
    items.retain(|object| {
        target.namespace.as_deref().is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
            && labels.matches(|name| object["metadata"]["labels"][name].as_str().map(str::to_owned))
            && fields.matches(|path| field(object, path))
            && start.as_ref().is_none_or(|(_, from)| key(object) >= *from)
    });
    let mut metadata = json!({ "resourceVersion": revision });
    if items.len() > limit {
        let rest = items.split_off(limit);
        if let Some(first) = rest.first() {
            metadata["continue"] = json!(token(&revision, &key(first)));
        }
        // The server does not know how many of the rest a selector would keep.
        if !selective {
            metadata["remainingItemCount"] = json!(rest.len());
        }
    }
    let kind = format!("{}List", target.resource.kind);
    // Built-in items come without their kind; custom resources keep theirs, as from a real server.
    if target.resource.group.ends_with(".fluxcd.io") {
        items = items.into_iter().map(|item| resources::typed(target.resource, item)).collect();
    }
    let body = json!({ "kind": kind, "apiVersion": target.resource.api_version(), "metadata": metadata, "items": items });
    call::json(200, &body)
}

/// The text at a dotted path.
fn field(object: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(object, |value, part| value.get(part))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// One demand of a selector: a name, the values allowed, and whether it is turned round.
enum Demand {
    OneOf(String, Vec<String>, bool),
    Exists(String, bool),
}

struct Selector(Vec<Demand>);

impl Selector {
    fn read(text: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut depth = 0_i32;
        for letter in text.chars() {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            if letter == ',' && depth == 0 {
                parts.push(String::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(letter);
            }
        }
        let demands = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(Self::demand);
        if depth == 0 { demands.collect::<Option<Vec<_>>>().map(Self) } else { None }
    }

    fn demand(part: &str) -> Option<Demand> {
        let trimmed = |text: &str| text.trim().to_owned();
        for (mark, negated) in [("!=", true), ("==", false), ("=", false)] {
            if let Some((name, value)) = part.split_once(mark) {
                return Some(Demand::OneOf(trimmed(name), vec![trimmed(value)], negated));
            }
        }
        for (mark, negated) in [(" notin ", true), (" in ", false)] {
            if let Some((name, values)) = part.split_once(mark) {
                let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
                return Some(Demand::OneOf(trimmed(name), values.split(',').map(trimmed).collect(), negated));
            }
        }
        let (name, negated) = part.strip_prefix('!').map_or((part, false), |name| (name, true));
        (!name.contains([' ', '(', ')'])).then(|| Demand::Exists(name.to_owned(), negated))
    }

    fn matches(&self, value_of: impl Fn(&str) -> Option<String>) -> bool {
        self.0.iter().all(|demand| match demand {
            Demand::OneOf(name, values, negated) => {
                value_of(name).is_some_and(|value| values.contains(&value)) != *negated
            }
            Demand::Exists(name, negated) => value_of(name).is_some() != *negated,
        })
    }
}
