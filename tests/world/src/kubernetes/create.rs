//! POST: pods, as dry runs. The injector is asked as for a real one, and nothing is kept.

use serde_json::{Value, json};

use super::events::webhook_refusal;
use super::form::Form;
use super::{Target, bad_request, find, objects, status};
use crate::call::{self, Answer, Call};
use crate::chance;
use crate::cluster::{Cluster, Injector};
use crate::state::{State, stamp};

pub(super) fn create(state: &State, call: &Call, cluster_id: &str, target: &Target) -> Answer {
    if call.get("dryRun") != Some("All") || target.resource.plural != "pods" {
        let message = "this world makes nothing: it answers dry runs (dryRun=All) of pods";
        return status(405, "MethodNotAllowed", message, &json!({}));
    }
    let (Some(cluster), Some(namespace)) = (state.clusters.get(cluster_id), target.namespace.as_deref())
    else {
        return super::unknown_path();
    };
    let Some(mut pod) = call.json() else {
        return bad_request("the object provided is unrecognized (must be of type Pod)");
    };
    if pod["kind"] != "Pod" || pod["apiVersion"] != "v1" {
        return bad_request("the object provided is unrecognized (must be of type Pod)");
    }
    if pod["metadata"]["namespace"].as_str().is_some_and(|given| given != namespace) {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return bad_request(message);
    }
    let all = objects::namespaces(cluster);
    let Some(home) = all.iter().find(|one| one["metadata"]["name"] == namespace) else {
        let details = json!({ "name": namespace, "kind": "namespaces" });
        return status(404, "NotFound", &format!("namespaces \"{namespace}\" not found"), &details);
    };
    let Some(name) = name(&pod, cluster) else {
        let message = "Pod \"\" is invalid: metadata.name: Required value: name or generateName is required";
        return status(422, "Invalid", message, &json!({ "kind": "Pod" }));
    };
    if find(state, cluster_id, target, &name).is_some() {
        let details = json!({ "name": name, "kind": "pods" });
        return status(409, "AlreadyExists", &format!("pods \"{name}\" already exists"), &details);
    }
    if pod["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
        let message = format!("Pod \"{name}\" is invalid: spec.containers: Required value");
        return status(422, "Invalid", &message, &json!({ "name": name, "kind": "Pod" }));
    }
    if is_injected(&pod, home) && !inject(&mut pod, cluster) {
        let is_by_namespace = home["metadata"]["labels"]["istio-injection"] == "enabled";
        let message = webhook_refusal(is_by_namespace);
        return status(500, "InternalError", &message, &json!({}));
    }
    let names = [cluster_id, "dry-run", namespace, name.as_str()];
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(namespace);
    pod["metadata"]["uid"] = json!(chance::uid(cluster.seed, &names));
    pod["metadata"]["creationTimestamp"] = json!(stamp(state.now));
    pod["status"] = json!({ "phase": "Pending", "qosClass": "BestEffort" });
    call::json(201, &Form::of_object(call).object(target.resource, pod))
}

/// The name that is given, or one that is made.
fn name(pod: &Value, cluster: &Cluster) -> Option<String> {
    let text = |key: &str| pod["metadata"][key].as_str().filter(|text| !text.is_empty());
    let made = |start: &str| format!("{start}{}", chance::suffix(cluster.seed, &["dry-run", start], 5));
    text("name").map(str::to_owned).or_else(|| text("generateName").map(made))
}

/// The rules of the chart's webhook, of the default revision.
fn is_injected(pod: &Value, namespace: &Value) -> bool {
    let asks = pod["metadata"]["labels"]["sidecar.istio.io/inject"].as_str();
    let on_host = pod["spec"]["hostNetwork"] == json!(true);
    match namespace["metadata"]["labels"]["istio-injection"].as_str() {
        Some("enabled") => !on_host && asks != Some("false"),
        Some(_) => false,
        None => !on_host && asks == Some("true"),
    }
}

/// Puts the sidecar in; `false` while no istiod is ready.
fn inject(pod: &mut Value, cluster: &Cluster) -> bool {
    if cluster.injector_down {
        return false;
    }
    let image = match &cluster.injector_does {
        Some(Injector::Nothing) => return true,
        Some(Injector::Unreachable) => return false,
        Some(Injector::Image(image)) => image.clone(),
        None => {
            let Some(version) = cluster.injector(0) else { return false };
            format!("docker.io/istio/proxyv2:{version}")
        }
    };
    let has_own =
        |list: &Value| list.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "istio-proxy"));
    let spec = &mut pod["spec"];
    if !has_own(&spec["containers"])
        && let Some(containers) = spec["containers"].as_array_mut()
    {
        containers.insert(
            0,
            json!({ "name": "istio-proxy", "image": image, "args": ["proxy", "sidecar"], "resources": {} }),
        );
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if container["image"] == "auto" {
            container["image"] = json!(image);
        }
    }
    pod["metadata"]["annotations"]["istio.io/rev"] = json!("default");
    pod["metadata"]["annotations"]["sidecar.istio.io/status"] = json!(
        json!({ "initContainers": null, "containers": ["istio-proxy"], "revision": "default" }).to_string()
    );
    true
}
