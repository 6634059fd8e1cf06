//! PATCH: server-side apply and merge patches of the fields GUARD writes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::form::Form as AnswerForm;
use super::{Target, bad_request, find, not_found, status};
use crate::call::{self, Answer, Call};
use crate::spec::WorkloadKind;
use crate::state::{Event, State};
use crate::workload::Workload;

const APPLY: &str = "application/apply-patch+yaml";
const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";

/// The form of a patch.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Apply,
    Merge,
}

/// What a patch wants of a workload.
struct Wish {
    form: Form,
    manager: String,
    metadata: Map<String, Value>,
    template: Map<String, Value>,
}

pub(super) fn patch(state: &mut State, call: &Call, cluster_id: &str, target: &Target, name: &str) -> Answer {
    let form =
        match call.header("content-type").map(|value| value.split(';').next().unwrap_or_default().trim()) {
            Some(APPLY) => Form::Apply,
            Some("application/strategic-merge-patch+json" | "application/merge-patch+json") => Form::Merge,
            _ => {
                let message = "the body of the request was in an unknown format";
                return status(415, "UnsupportedMediaType", message, &Value::Null);
            }
        };
    let manager = call.get("fieldManager").filter(|name| !name.is_empty());
    if form == Form::Apply && manager.is_none() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return status(422, "Invalid", message, &Value::Null);
    }
    // A server-side apply's body is YAML, of which JSON is a part.
    let body: Option<Value> = match form {
        Form::Merge => call.json(),
        Form::Apply => {
            std::str::from_utf8(&call.body).ok().and_then(|text| serde_saphyr::from_str(text).ok())
        }
    };
    let Some(body) = body.filter(Value::is_object) else {
        return bad_request("error decoding patch: the body is not an object");
    };
    if form == Form::Apply {
        let right = body["kind"] == target.resource.kind
            && body["apiVersion"] == target.resource.api_version().as_str();
        if !right {
            return bad_request("the API version or kind in the data does not match the expected one");
        }
        if body["metadata"]["name"].as_str().is_some_and(|given| given != name) {
            return bad_request("the name of the object does not match the name on the URL");
        }
    }
    if find(state, cluster_id, target, name).is_none() {
        return not_found(target, name);
    }
    let annotations =
        |pointer: &str| body.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    let wish = Wish {
        form,
        manager: manager.unwrap_or("unknown").to_owned(),
        metadata: annotations("/metadata/annotations"),
        template: annotations("/spec/template/metadata/annotations"),
    };
    let dry_run = call.get("dryRun").is_some();
    let kind = match target.resource.kind {
        "Deployment" => Some(WorkloadKind::Deployment),
        "StatefulSet" => Some(WorkloadKind::StatefulSet),
        "DaemonSet" => Some(WorkloadKind::DaemonSet),
        _ => None,
    };
    match kind {
        _ if dry_run => {}
        Some(kind) => workload(
            state,
            cluster_id,
            (kind, target.namespace.clone().unwrap_or_default(), name.to_owned()),
            &wish,
        ),
        None if target.resource.group.ends_with(".fluxcd.io") => poke(state, cluster_id, target, name, &wish),
        None => {
            let message = "this world takes patches of workloads and of Flux's objects only";
            return status(405, "MethodNotAllowed", message, &json!({}));
        }
    }
    match find(state, cluster_id, target, name) {
        Some(object) => call::json(200, &AnswerForm::of_object(call).object(target.resource, object)),
        None => not_found(target, name),
    }
}

fn workload(state: &mut State, cluster_id: &str, key: crate::workload::Key, wish: &Wish) {
    let now = state.now;
    let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
    let rolls = cluster.retemplate(&key, now, |workload| change(workload, wish));
    if rolls {
        state.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload: key });
    }
}

fn change(workload: &mut Workload, wish: &Wish) {
    merge(&mut workload.annotations, &wish.metadata);
    if wish.form == Form::Apply {
        // What a manager applied before and leaves out now is taken away, unless another manager wants it.
        let before = workload.managers.remove(&wish.manager).unwrap_or_default();
        for name in before.into_iter().filter(|name| !wish.template.contains_key(name)) {
            if !workload.managers.values().any(|names| names.contains(&name)) {
                workload.template_annotations.remove(&name);
            }
        }
    }
    merge(&mut workload.template_annotations, &wish.template);
    let names: BTreeSet<String> = wish.template.keys().cloned().collect();
    workload.managers.entry(wish.manager.clone()).or_default().extend(names);
}

/// Sets texts and removes what is null.
fn merge(into: &mut BTreeMap<String, String>, from: &Map<String, Value>) {
    for (name, value) in from {
        match value {
            Value::Null => into.remove(name),
            Value::String(text) => into.insert(name.clone(), text.clone()),
            other => into.insert(name.clone(), other.to_string()),
        };
    }
}

/// A new value of `reconcile.fluxcd.io/requestedAt` makes the controller look at once.
fn poke(state: &mut State, cluster_id: &str, target: &Target, name: &str, wish: &Wish) {
    let Some(at) = wish.metadata.get(REQUESTED).and_then(Value::as_str).map(str::to_owned) else { return };
    let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
    cluster.next_revision();
    let cluster_name = cluster_id.to_owned();
    match target.resource.kind {
        "GitRepository" => {
            cluster.flux.source_requested_at = Some(at);
            state.after(2, Event::Fetch { cluster: cluster_name });
        }
        "Kustomization" if !cluster.flux.suspended => {
            cluster.flux.kustomization_requested_at = Some(at);
            state.after(2, Event::Apply { cluster: cluster_name });
        }
        "HelmRelease" => {
            let key = (target.namespace.clone().unwrap_or_default(), name.to_owned());
            if let Some(release) = cluster.flux.releases.get_mut(&key) {
                release.requested_at = Some(at);
            }
            state.after(2, Event::Reconcile { cluster: cluster_name });
        }
        _ => {}
    }
}
