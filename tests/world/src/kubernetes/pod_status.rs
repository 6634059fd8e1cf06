//! What a pod says of itself: its phase, its conditions, its containers.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::state::stamp;
use crate::trouble::{Trouble, crashes};
use crate::workload::{Pod, Workload};

/// What keeps a pod from becoming ready.
pub(super) fn trouble(cluster: &Cluster, workload: &Workload, pod: &Pod) -> Option<Trouble> {
    workload.trouble_of(pod, cluster.only_istiod.as_deref())
}

pub(super) fn phase(cluster: &Cluster, workload: &Workload, pod: &Pod) -> &'static str {
    match trouble(cluster, workload, pod) {
        Some(Trouble::ImagePull | Trouble::Unschedulable) => "Pending",
        _ => "Running",
    }
}

/// The container that its trouble is in: Istio's, where there is one, since Istio's version is what changed.
pub(super) fn culprit(spec: &Value) -> (&Value, bool) {
    let of = |list: &str| spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let proxy = |list: &str| of(list).iter().find(|one| one["name"] == "istio-proxy");
    match (proxy("initContainers"), proxy("containers"), of("containers").first()) {
        (Some(native), ..) => (native, true),
        (None, Some(proxy), _) => (proxy, false),
        (None, None, first) => (first.unwrap_or(&Value::Null), false),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn status(
    cluster: &Cluster,
    workload: &Workload,
    spec: &Value,
    pod: &Pod,
    now: Timestamp,
) -> Value {
    let trouble = trouble(cluster, workload, pod);
    if trouble == Some(Trouble::Unschedulable) {
        return pending(cluster, pod);
    }
    let of = |list: &str| -> Vec<Value> {
        let all = spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| container(spec, one, pod, trouble, now)).collect()
    };
    let (containers, init_containers) = (of("containers"), of("initContainers"));
    let is_started = init_containers.iter().all(|one| one["state"].get("waiting").is_none());
    let unready: Vec<&str> =
        containers.iter().filter(|one| one["ready"] == false).map(|one| text(&one["name"])).collect();
    let started = stamp(pod.created);
    let condition = |kind: &str, refusal: Option<(&str, String)>, since: &str| {
        let mut condition =
            json!({ "type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": since });
        if let Some((reason, message)) = refusal {
            condition["status"] = json!("False");
            condition["reason"] = json!(reason);
            condition["message"] = json!(message);
        }
        condition
    };
    let unready_now = || {
        let names = if unready.is_empty() { "istio-proxy".to_owned() } else { unready.join(" ") };
        (!pod.ready).then(|| ("ContainersNotReady", format!("containers with unready status: [{names}]")))
    };
    let since = if pod.ready { stamp(pod.ready_since) } else { started.clone() };
    let initialized = (!is_started).then(|| {
        let names: Vec<&str> = init_containers
            .iter()
            .filter(|one| one["state"].get("waiting").is_some())
            .map(|one| text(&one["name"]))
            .collect();
        ("ContainersNotInitialized", format!("containers with incomplete status: [{}]", names.join(" ")))
    });
    let mut status = json!({
        "phase": phase(cluster, workload, pod),
        "qosClass": "Burstable",
        "startTime": started,
        "hostIP": format!("10.20.{}.10", pod.node),
        "podIP": format!("10.20.{}.{}", pod.node, 20 + pod.number % 200),
        "conditions": [
            condition("PodScheduled", None, &started),
            condition("Initialized", initialized, &started),
            condition("ContainersReady", unready_now(), &since),
            condition("Ready", unready_now(), &since),
        ],
        "containerStatuses": containers,
    });
    if spec["initContainers"].is_array() {
        status["initContainerStatuses"] = json!(init_containers);
    }
    status
}

/// A pod that no node takes has neither an address nor containers.
fn pending(cluster: &Cluster, pod: &Pod) -> Value {
    json!({
        "phase": "Pending",
        "qosClass": "Burstable",
        "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastProbeTime": null,
            "message": unschedulable(cluster), "lastTransitionTime": stamp(pod.created) }],
    })
}

/// What the scheduler says when no node has room.
pub(super) fn unschedulable(cluster: &Cluster) -> String {
    let nodes = cluster.nodes.len();
    format!(
        "0/{nodes} nodes are available: {nodes} Insufficient memory. preemption: 0/{nodes} nodes are available: {nodes} No \
         preemption victims found for incoming pod."
    )
}

fn container(spec: &Value, container: &Value, pod: &Pod, trouble: Option<Trouble>, now: Timestamp) -> Value {
    let image = text(&container["image"]);
    let (culprit, is_native) = culprit(spec);
    let is_init = container["name"] == "istio-init";
    let is_culprit = container["name"] == culprit["name"];
    let started = stamp(pod.created);
    let mut told = json!({
        "name": container["name"], "image": image, "ready": pod.ready || is_init, "started": !is_init, "restartCount": 0,
        "imageID": format!("{}@sha256:{}", image.split(':').next().unwrap_or_default(), crate::chance::hex(5, &[image], 64)),
        "containerID": format!("containerd://{}", crate::chance::hex(6, &[&pod.name, image], 64)),
    });
    told["state"] = if is_init {
        json!({ "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": started } })
    } else {
        json!({ "running": { "startedAt": started } })
    };
    match trouble {
        Some(Trouble::CrashLoop) if is_culprit => {
            let (restarts, ended) = crashes(pod.created, now);
            let pause = 10_i64.saturating_mul(1 << restarts.min(5)).min(300);
            let (begun, ended) = (stamp(crate::state::later(ended, -1)), stamp(ended));
            told["restartCount"] = json!(restarts);
            told["started"] = json!(false);
            told["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff",
                "message": format!("back-off {pause}s restarting failed container={} pod={}", text(&container["name"]), pod.name) } });
            told["lastState"] = json!({ "terminated": { "exitCode": 1, "reason": "Error", "startedAt": begun, "finishedAt": ended } });
        }
        // Without its native sidecar nothing behind it starts.
        Some(Trouble::CrashLoop) if is_native && !is_init => waits(&mut told, "PodInitializing", None),
        Some(Trouble::ImagePull)
            if image == text(&culprit["image"]) && is_first_of(spec, container, image) =>
        {
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", not_found(image));
            waits(&mut told, "ImagePullBackOff", Some(&message));
        }
        Some(Trouble::ImagePull) if spec["initContainers"].is_array() => {
            waits(&mut told, "PodInitializing", None);
        }
        _ => {}
    }
    told
}

/// Whether a container is the first that needs an image: the init container of a sidecar has the sidecar's.
fn is_first_of(spec: &Value, container: &Value, image: &str) -> bool {
    let lists = ["initContainers", "containers"];
    let mut all = lists.iter().filter_map(|list| spec[*list].as_array()).flatten();
    all.find(|one| one["image"] == image).is_some_and(|first| first["name"] == container["name"])
}

fn waits(told: &mut Value, reason: &str, message: Option<&str>) {
    told["ready"] = json!(false);
    told["started"] = json!(false);
    told["imageID"] = json!("");
    told["state"] = json!({ "waiting": { "reason": reason } });
    if let Some(message) = message {
        told["state"]["waiting"]["message"] = json!(message);
    }
    if let Some(told) = told.as_object_mut() {
        told.remove("containerID");
    }
}

/// What containerd says of an image that is not there.
pub(super) fn not_found(image: &str) -> String {
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": \
         {image}: not found"
    )
}
