//! Lists: what is selected, in which form, and in pages of one moment.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::candidates;
use super::form::Form;
use super::resources::{self, Scope, key};
use super::selector::{Selector, field, unknown_field};
use super::{Target, bad_request};
use crate::call::{self, Answer, Call};
use crate::state::State;

/// Lists that are being read at the same time; an older one is made anew for its next page.
const LISTS_KEPT: usize = 8;

/// An object's namespace and name, by which lists are ordered.
pub(crate) type Place = (String, String);

/// A list whose next pages somebody may ask for, as it was at its first.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The query, without its page.
    query: String,
    revision: String,
    /// Each object's JSON.
    items: Vec<(Place, Arc<str>)>,
}

/// Lists of a cluster that are being read.
pub(crate) type Lists = VecDeque<Listed>;

/// Where the next page begins, as the opaque token carries it.
fn token(revision: &str, (namespace, name): &Place) -> String {
    URL_SAFE_NO_PAD
        .encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": [namespace, name] }).to_string())
}

fn read_token(text: &str) -> Option<(String, Place)> {
    let value: Value = serde_json::from_slice(&call::base64url_read(text)?).ok()?;
    let part = |at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
    Some((part("/rv")?, (part("/start/0")?, part("/start/1")?)))
}

pub(super) fn list(state: &mut State, call: &Call, cluster_id: &str, target: &Target) -> Answer {
    if call.get("watch").is_some_and(|value| value == "true" || value == "1") {
        let message = "this world answers lists, it does not watch";
        return super::status(405, "MethodNotAllowed", message, &Value::Null);
    }
    let limit = match call.get("limit").map(str::parse::<usize>) {
        None | Some(Ok(0)) => usize::MAX,
        Some(Ok(limit)) => limit,
        Some(Err(_)) => return bad_request("limit: Invalid value: must be a non-negative integer"),
    };
    let start = match call.get("continue").filter(|text| !text.is_empty()).map(read_token) {
        Some(None) => {
            return bad_request(
                "continue key is not valid: illegal base64 data or unrecognized encoded value",
            );
        }
        found => found.flatten(),
    };
    let (labels, fields) = (call.get("labelSelector"), call.get("fieldSelector"));
    let query = format!(
        "{} {:?} {labels:?} {fields:?} {:?}",
        target.resource.plural,
        target.namespace,
        Form::of_list(call)
    );
    let Some(labels) = Selector::read(labels.unwrap_or_default()) else {
        return bad_request("unable to parse requirement: found an invalid labelSelector");
    };
    let Some(fields) = Selector::read(fields.unwrap_or_default()) else {
        return bad_request("invalid selector: can't understand the fieldSelector");
    };
    if let Some(unknown) = unknown_field(target.resource, &fields) {
        return bad_request(&unknown);
    }
    let selective = !labels.is_empty() || !fields.is_empty();
    let kept = start.as_ref().and_then(|(revision, _)| taken(state, cluster_id, &query, revision));
    let Some(mut list) = kept.or_else(|| {
        let revision = start.as_ref().map(|(revision, _)| revision.clone());
        made(state, cluster_id, target, (&labels, &fields), Form::of_list(call), query, revision)
    }) else {
        return super::unknown_path();
    };
    let from = start.map_or(0, |(_, place)| list.items.partition_point(|(at, _)| *at < place));
    let until = from.saturating_add(limit).min(list.items.len());
    let mut metadata = json!({ "resourceVersion": list.revision });
    if let Some((place, _)) = list.items.get(until) {
        metadata["continue"] = json!(token(&list.revision, place));
        // The server does not know how many of the rest a selector would keep.
        if !selective {
            metadata["remainingItemCount"] = json!(list.items.len() - until);
        }
    }
    let page: Vec<&str> =
        list.items.get(from..until).unwrap_or_default().iter().map(|(_, item)| item.as_ref()).collect();
    let (kind, api_version) = Form::of_list(call).list_type(target.resource);
    let answer = call::body(
        200,
        "application/json",
        format!(
            r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":[{}]}}"#,
            page.join(",")
        ),
    );
    if until < list.items.len()
        && let Some(cluster) = state.clusters.get_mut(cluster_id)
    {
        // Its first pages are read.
        list.items.drain(..until);
        cluster.lists.truncate(LISTS_KEPT - 1);
        cluster.lists.push_front(list);
    }
    answer
}

/// The list that a page belongs to, taken out: its last page leaves nothing behind.
fn taken(state: &mut State, cluster_id: &str, query: &str, revision: &str) -> Option<Listed> {
    let lists = &mut state.clusters.get_mut(cluster_id)?.lists;
    let at = lists.iter().position(|list| list.query == query && list.revision == revision)?;
    lists.remove(at)
}

fn made(
    state: &mut State,
    cluster_id: &str,
    target: &Target,
    selectors: (&Selector, &Selector),
    form: Form,
    query: String,
    revision: Option<String>,
) -> Option<Listed> {
    let cluster = state.clusters.get(cluster_id)?;
    let scope = Scope { namespace: target.namespace.as_deref(), name: None };
    let revision = revision.unwrap_or_else(|| cluster.revision.to_string());
    let Some(found) = candidates::items(state, cluster, target.resource, scope, selectors, form) else {
        let (labels, fields) = selectors;
        let is_meant = |object: &Value| {
            labels.matches(|name| object["metadata"]["labels"][name].as_str().map(str::to_owned))
                && fields.matches(|path| field(object, path))
        };
        let objects = resources::within(state, cluster, target.resource, scope).into_iter().filter(is_meant);
        let items = objects.map(|object| {
            let place = key(&object);
            (place, form.item(target.resource, object).to_string().into())
        });
        return Some(Listed { query, revision, items: items.collect() });
    };
    let shown = &mut state.clusters.get_mut(cluster_id)?.shown;
    let keep = |(place, text, mark): candidates::Item| {
        if let Some(mark) = mark {
            shown.keep(target.resource, form, place.clone(), mark, Arc::clone(&text));
        }
        (place, text)
    };
    Some(Listed { query, revision, items: found.into_iter().map(keep).collect() })
}
