//! PATCH: server-side apply and merge patches of the fields GUARD writes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::form::Form as AnswerForm;
use super::{Target, bad_request, find, not_found, status};
use crate::call::{self, Answer, Call};
use crate::managers::{Field, Operation, Place};
use crate::spec::WorkloadKind;
use crate::state::{Event, State};
use crate::workload::{Key, Workload};

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
        manager: manager.or_else(|| agent(call)).unwrap_or("unknown").to_owned(),
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
    let key = kind.map(|kind| (kind, target.namespace.clone().unwrap_or_default(), name.to_owned()));
    let is_forced = call.get("force") == Some("true");
    if form == Form::Apply
        && !is_forced
        && let Some(refused) = key.as_ref().and_then(|key| conflict(state, cluster_id, key, &wish))
    {
        return refused;
    }
    match key {
        _ if dry_run => {}
        Some(key) => workload(state, cluster_id, key, &wish),
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

/// Who writes without saying a name is called as its program is.
fn agent(call: &Call) -> Option<&str> {
    call.header("user-agent")?.split('/').next().filter(|name| !name.is_empty())
}

fn workload(state: &mut State, cluster_id: &str, key: Key, wish: &Wish) {
    let now = state.now;
    let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
    let is_due = cluster.retemplate(&key, now, |workload| change(workload, wish, now));
    if is_due {
        state.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload: key });
    }
}

/// Every annotation that is wished for; `None` takes it away.
fn wishes(wish: &Wish) -> impl Iterator<Item = (Field, Option<String>)> {
    let all = [(Place::Metadata, &wish.metadata), (Place::Template, &wish.template)];
    all.into_iter().flat_map(|(place, annotations)| {
        annotations.iter().map(move |(name, value)| {
            let value = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            ((place, name.clone()), value)
        })
    })
}

/// A field that another manager owns with another value is only taken with `force`.
fn conflict(state: &State, cluster_id: &str, key: &Key, wish: &Wish) -> Option<Answer> {
    let workload = state.clusters.get(cluster_id)?.workloads.get(key)?;
    let mut causes = Vec::new();
    for (field, value) in wishes(wish) {
        if workload.annotation(&field) == value.as_deref() {
            continue;
        }
        let path = match field.0 {
            Place::Metadata => format!(".metadata.annotations.{}", field.1),
            Place::Template => format!(".spec.template.metadata.annotations.{}", field.1),
        };
        for owner in workload.managers.others(&field, &wish.manager, Operation::Apply) {
            causes.push(json!({ "reason": "FieldManagerConflict", "message": format!("conflict with \"{owner}\" using apps/v1"), "field": path }));
        }
    }
    let told = |cause: &Value| {
        format!(
            "{}: {}",
            cause["message"].as_str().unwrap_or_default(),
            cause["field"].as_str().unwrap_or_default()
        )
    };
    let message = match causes.as_slice() {
        [] => return None,
        [one] => format!("Apply failed with 1 conflict: {}", told(one)),
        many => format!(
            "Apply failed with {} conflicts: {}",
            many.len(),
            many.iter().map(told).collect::<Vec<_>>().join("\n- ")
        ),
    };
    Some(status(409, "Conflict", &message, &json!({ "causes": causes })))
}

fn change(workload: &mut Workload, wish: &Wish, now: jiff::Timestamp) {
    let mut changes = BTreeSet::new();
    let mut fields = BTreeSet::new();
    let mut gone = BTreeSet::new();
    for (field, value) in wishes(wish) {
        match &value {
            Some(_) => _ = fields.insert(field.clone()),
            None => _ = gone.insert(field.clone()),
        }
        if workload.set_annotation(&field, value.as_deref()) {
            changes.insert(field);
        }
    }
    match wish.form {
        Form::Apply => {
            // What a manager applied before and leaves out now is taken away, unless another manager wants it.
            let before = workload.managers.applied(&wish.manager);
            for field in before.difference(&fields) {
                if workload.managers.others(field, &wish.manager, Operation::Apply).is_empty() {
                    workload.set_annotation(field, None);
                }
            }
            workload.managers.apply(&wish.manager, fields, &changes, now);
        }
        Form::Merge => {
            workload.managers.forget(&gone);
            changes.retain(|field| !gone.contains(field));
            workload.managers.update(&wish.manager, &changes, now);
        }
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
