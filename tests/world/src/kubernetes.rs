//! One cluster's API server.

mod budgets;
pub(crate) mod candidates;
mod create;
mod discovery;
mod events;
mod flux_objects;
mod form;
mod helm_conditions;
mod istiod_metrics;
pub(crate) mod list;
mod nodes;
mod objects;
mod patch;
mod pod_status;
mod pods;
mod resources;
mod selector;
mod weight;
mod workloads;

use http::Method;
use serde_json::{Value, json};

use crate::aws::token;
use crate::call::{self, Answer, Call};
use crate::cluster::Grant;
use crate::state::State;
use form::Form;
use resources::{Resource, Scope};

/// Kubernetes' `Status` object.
fn status(code: u16, reason: &str, message: &str, details: &Value) -> Answer {
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    });
    if details.is_null()
        && let Some(body) = body.as_object_mut()
    {
        body.remove("details");
    }
    call::json(code, &body)
}

fn bad_request(message: &str) -> Answer {
    status(400, "BadRequest", message, &Value::Null)
}

/// What the API server says of a group or resource it does not serve: text, not a `Status`.
fn unknown_path() -> Answer {
    call::text(404, "404 page not found\n")
}

/// Who a request turned out to come from.
enum User {
    Anonymous,
    Guard(String),
}

impl User {
    fn name(&self) -> &str {
        match self {
            Self::Anonymous => "system:anonymous",
            Self::Guard(name) => name,
        }
    }
}

/// What a path asks for.
struct Target {
    resource: &'static Resource,
    namespace: Option<String>,
    name: Option<String>,
}

impl Target {
    /// Reads the parts that follow the group and version.
    fn read(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
            ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
            [plural] => (None, *plural, None),
            [plural, name] => (None, *plural, Some(*name)),
            _ => return None,
        };
        let resource = resources::find(group, version, plural)?;
        if namespace.is_some() != resource.namespaced && (namespace.is_some() || name.is_some()) {
            return None;
        }
        Some(Self { resource, namespace: namespace.map(str::to_owned), name: name.map(str::to_owned) })
    }
}

pub(crate) fn handle(state: &mut State, call: &Call, cluster_id: &str) -> Answer {
    let answer = route(state, call, cluster_id);
    let audit = crate::chance::uid(state.spec.seed, &[cluster_id, &state.log.len().to_string()]);
    call::with(answer, "audit-id", &audit)
}

fn route(state: &mut State, call: &Call, cluster_id: &str) -> Answer {
    // Why a token is refused stays with the server.
    let Ok(user) = authenticate(state, call, cluster_id) else {
        return status(401, "Unauthorized", "Unauthorized", &Value::Null);
    };
    let parts: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    if parts.as_slice() == ["version"] && call.method == Method::GET {
        let version =
            state.clusters.get(cluster_id).map_or("1.33", |found| found.spec.kubernetes_version.as_str());
        return call::json(200, &discovery::version(version));
    }
    if matches!(user, User::Anonymous) && matches!(parts.as_slice(), ["readyz" | "livez" | "healthz"]) {
        return call::text(200, "ok");
    }
    let helm_version =
        state.clusters.get(cluster_id).map_or_else(String::new, |found| found.helm_version.clone());
    if let ["api", "v1", "namespaces", namespace, "pods", pod, "proxy", "metrics"] = parts.as_slice()
        && call.method == Method::GET
    {
        let resource = &resources::POD_PROXY;
        let target =
            Target { resource, namespace: Some((*namespace).to_owned()), name: Some((*pod).to_owned()) };
        return forbidden(state, call, cluster_id, &user, &target).unwrap_or_else(|| {
            state
                .clusters
                .get(cluster_id)
                .map_or_else(unknown_path, |cluster| istiod_metrics::answer(cluster, namespace, pod))
        });
    }
    if let ["api", "v1", "namespaces", namespace, "pods", pod, "eviction"] = parts.as_slice()
        && call.method == Method::POST
    {
        return budgets::evict(state, call, cluster_id, &user, (namespace, pod));
    }
    let target = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => Target::read("", version, rest),
        // The older versions have the same objects here.
        ["apis", group @ "helm.toolkit.fluxcd.io", version, rest @ ..]
            if *version == helm_version && !rest.is_empty() =>
        {
            Target::read(group, "v2", rest)
        }
        ["apis", group, version, rest @ ..] if !rest.is_empty() => Target::read(group, version, rest),
        _ if matches!(user, User::Anonymous) => {
            let message = format!("forbidden: User \"system:anonymous\" cannot get path \"{}\"", call.path);
            return status(403, "Forbidden", &message, &json!({}));
        }
        _ if call.method == Method::GET => {
            return discovery::answer(&parts, &helm_version).unwrap_or_else(unknown_path);
        }
        _ => return unknown_path(),
    };
    let Some(target) = target else { return unknown_path() };
    if let Some(refused) = forbidden(state, call, cluster_id, &user, &target) {
        return refused;
    }
    match (&call.method, &target.name) {
        (&Method::GET, None) => list::list(state, call, cluster_id, &target),
        (&Method::GET, Some(name)) => get(state, call, cluster_id, &target, name),
        (&Method::POST, None) => create::create(state, call, cluster_id, &target),
        (&Method::PATCH, Some(name)) => patch::patch(state, call, cluster_id, &target, name),
        _ => status(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            &json!({}),
        ),
    }
}

fn authenticate(state: &State, call: &Call, cluster_id: &str) -> Result<User, &'static str> {
    let Some(header) = call.header("authorization") else { return Ok(User::Anonymous) };
    let token = header.strip_prefix("Bearer ").ok_or("not a bearer token")?;
    let cluster = state.clusters.get(cluster_id).ok_or("no such cluster")?;
    token::check(state, cluster, token.trim()).map(User::Guard)
}

fn verb(call: &Call, target: &Target) -> &'static str {
    match (call.method.as_str(), &target.name) {
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("PATCH", _) => "patch",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("DELETE", _) => "delete",
        _ => "use",
    }
}

fn forbidden(state: &State, call: &Call, cluster_id: &str, user: &User, target: &Target) -> Option<Answer> {
    let plural = target.resource.plural;
    let denied = state.clusters.get(cluster_id).is_some_and(|found| {
        let group = target.resource.group;
        let (verb, namespace) = (verb(call, target), target.namespace.as_deref());
        let has_no_grant =
            |grants: &Vec<Grant>| !grants.iter().any(|grant| grant.allows(verb, group, plural, namespace));
        found.forbidden.iter().any(|one| one == plural) || found.allowed.as_ref().is_some_and(has_no_grant)
    });
    if !denied && matches!(user, User::Guard(_)) {
        return None;
    }
    let group = target.resource.group;
    let scope = target.namespace.as_ref().map_or_else(
        || "at the cluster scope".to_owned(),
        |namespace| format!("in the namespace \"{namespace}\""),
    );
    let quoted = target.name.as_ref().map_or_else(String::new, |name| format!(" \"{name}\""));
    // Of a subresource the object is named first, and the subresource where it says what is refused.
    let own = plural.split('/').next().unwrap_or_default();
    let full = if group.is_empty() { own.to_owned() } else { format!("{own}.{group}") };
    let message = format!(
        "{full}{quoted} is forbidden: User \"{}\" cannot {} resource \"{plural}\" in API group \"{group}\" {scope}",
        user.name(),
        verb(call, target),
    );
    let mut details = json!({ "kind": own });
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    if let Some(name) = &target.name {
        details["name"] = json!(name);
    }
    Some(status(403, "Forbidden", &message, &details))
}

fn not_found(target: &Target, name: &str) -> Answer {
    let Resource { group, plural, .. } = target.resource;
    let full = if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") };
    let mut details = json!({ "name": name, "kind": plural });
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    status(404, "NotFound", &format!("{full} \"{name}\" not found"), &details)
}

fn get(state: &State, call: &Call, cluster_id: &str, target: &Target, name: &str) -> Answer {
    match find(state, cluster_id, target, name) {
        Some(object) => call::json(200, &Form::of_object(call).object(target.resource, object)),
        None => not_found(target, name),
    }
}

/// One object, by its place.
fn find(state: &State, cluster_id: &str, target: &Target, name: &str) -> Option<Value> {
    let cluster = state.clusters.get(cluster_id)?;
    let scope = Scope { namespace: target.namespace.as_deref(), name: Some(name) };
    resources::within(state, cluster, target.resource, scope).into_iter().next()
}
