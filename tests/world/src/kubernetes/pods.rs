//! Pods, with the sidecar where injection put it.

use serde_json::{Value, json};

use super::objects::{metadata, node_name};
use super::workloads::{image, owner, pod_labels};
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::{State, stamp};
use crate::workload::{Pod, Role, Workload};

pub(super) fn pods(state: &State, cluster: &Cluster) -> Vec<Value> {
    let of_one = |workload: &Workload| -> Vec<Value> {
        workload.pods.iter().map(|pod| pod_object(state, cluster, workload, pod)).collect()
    };
    cluster.workloads.values().flat_map(of_one).collect()
}

/// Where a pod's proxy sits.
#[derive(PartialEq)]
enum Place {
    Nowhere,
    Sidecar,
    NativeSidecar,
    /// A gateway is nothing but its proxy.
    Alone,
}

fn place(workload: &Workload, pod: &Pod) -> Place {
    match (&pod.proxy, workload.role, workload.native_sidecar) {
        (None, _, _) => Place::Nowhere,
        (Some(_), Role::Gateway, _) => Place::Alone,
        (Some(_), _, true) => Place::NativeSidecar,
        (Some(_), _, false) => Place::Sidecar,
    }
}

fn proxy_image(pod: &Pod) -> String {
    format!("docker.io/istio/proxyv2:{}", pod.proxy.as_deref().unwrap_or_default())
}

fn pod_object(state: &State, cluster: &Cluster, workload: &Workload, pod: &Pod) -> Value {
    let place = place(workload, pod);
    let number = pod.number.to_string();
    let namespace = workload.namespace();
    let mut meta = metadata(cluster, "Pod", Some(namespace), &pod.name);
    meta["uid"] = json!(crate::chance::uid(
        cluster.seed,
        &[&cluster.spec.cluster_id, "Pod", namespace, &pod.name, &number]
    ));
    meta["resourceVersion"] = json!(pod.resource_version.to_string());
    meta["creationTimestamp"] = json!(stamp(pod.created));
    meta["labels"] = labels(workload, pod);
    meta["annotations"] = annotations(pod, &place);
    meta["ownerReferences"] = json!([pod_owner(cluster, workload, pod)]);
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("generation");
    }
    let own = json!({ "name": own_name(workload), "image": own_image(workload, pod), "resources": {} });
    let proxy = json!({ "name": "istio-proxy", "image": proxy_image(pod), "args": ["proxy", "sidecar"], "resources": {} });
    let init = json!({ "name": "istio-init", "image": proxy_image(pod), "args": ["istio-iptables"], "resources": {} });
    let (containers, init_containers) = match place {
        Place::Nowhere | Place::Alone => (json!([own]), json!([])),
        Place::Sidecar => (json!([proxy, own]), json!([init])),
        Place::NativeSidecar => {
            let mut native = proxy;
            native["restartPolicy"] = json!("Always");
            (json!([own]), json!([init, native]))
        }
    };
    let mut spec = json!({
        "nodeName": node_name(pod.node),
        "serviceAccountName": workload.name(),
        "restartPolicy": "Always",
        "containers": containers,
    });
    if init_containers != json!([]) {
        spec["initContainers"] = init_containers;
    }
    if workload.role == Role::HostNetwork {
        spec["hostNetwork"] = json!(true);
    }
    json!({ "metadata": meta, "spec": spec, "status": status(state, &spec, pod) })
}

fn own_name(workload: &Workload) -> &str {
    match workload.role {
        Role::Istiod => "discovery",
        Role::Gateway => "istio-proxy",
        _ => workload.name(),
    }
}

fn own_image(workload: &Workload, pod: &Pod) -> String {
    if workload.role == Role::Gateway && pod.proxy.is_some() {
        proxy_image(pod)
    } else {
        image(workload, &pod.version)
    }
}

fn labels(workload: &Workload, pod: &Pod) -> Value {
    let mut labels = pod_labels(workload);
    if matches!(workload.role, Role::Istiod | Role::Gateway) {
        labels["app.kubernetes.io/version"] = json!(pod.version);
    }
    if pod.proxy.is_some() {
        labels["security.istio.io/tlsMode"] = json!("istio");
        labels["service.istio.io/canonical-name"] = json!(workload.name());
    }
    match workload.kind() {
        WorkloadKind::Deployment => labels["pod-template-hash"] = json!(pod.hash),
        WorkloadKind::StatefulSet => {
            labels["controller-revision-hash"] = json!(format!("{}-{}", workload.name(), pod.hash));
            labels["statefulset.kubernetes.io/pod-name"] = json!(pod.name);
        }
        WorkloadKind::DaemonSet => labels["controller-revision-hash"] = json!(pod.hash),
    }
    labels
}

fn annotations(pod: &Pod, place: &Place) -> Value {
    let mut annotations = json!(pod.annotations);
    let (init, containers): (&[&str], &[&str]) = match place {
        Place::Nowhere => return annotations,
        Place::Sidecar => (&["istio-init"], &["istio-proxy"]),
        Place::NativeSidecar => (&["istio-init", "istio-proxy"], &[]),
        Place::Alone => (&[], &["istio-proxy"]),
    };
    let status = json!({
        "initContainers": init,
        "containers": containers,
        "volumes": ["workload-socket", "credential-socket", "workload-certs", "istio-envoy", "istio-data", "istio-podinfo", "istio-token", "istiod-ca-cert"],
        "imagePullSecrets": null,
        "revision": "default",
    });
    annotations["istio.io/rev"] = json!("default");
    annotations["sidecar.istio.io/status"] = json!(status.to_string());
    annotations
}

fn pod_owner(cluster: &Cluster, workload: &Workload, pod: &Pod) -> Value {
    let (namespace, name) = (workload.namespace(), workload.name());
    match workload.kind() {
        WorkloadKind::Deployment => {
            owner(cluster, "apps/v1", "ReplicaSet", namespace, &format!("{name}-{}", pod.hash))
        }
        other => owner(cluster, "apps/v1", other.as_str(), namespace, name),
    }
}

fn status(state: &State, spec: &Value, pod: &Pod) -> Value {
    let started = stamp(pod.created);
    let of = |container: &Value, ready: bool| {
        let image = container["image"].as_str().unwrap_or_default();
        let finished = container["name"] == "istio-init";
        let state = if finished {
            json!({ "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": started } })
        } else {
            json!({ "running": { "startedAt": started } })
        };
        json!({
            "name": container["name"], "image": image, "ready": ready || finished, "started": !finished, "restartCount": 0,
            "imageID": format!("{}@sha256:{}", image.split(':').next().unwrap_or_default(), crate::chance::hex(5, &[image], 64)),
            "containerID": format!("containerd://{}", crate::chance::hex(6, &[&pod.name, image], 64)),
            "state": state,
        })
    };
    let all = |list: &str| -> Vec<Value> {
        spec[list]
            .as_array()
            .map(|items| items.iter().map(|one| of(one, pod.ready)).collect())
            .unwrap_or_default()
    };
    let since = if pod.ready { stamp(pod.ready_at.min(state.now)) } else { started.clone() };
    let condition = |kind: &str, good: bool| {
        let mut condition = json!({ "type": kind, "status": if good { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": since });
        if !good {
            condition["reason"] = json!("ContainersNotReady");
            condition["message"] = json!("containers with unready status");
        }
        condition
    };
    let mut status = json!({
        "phase": "Running",
        "qosClass": "Burstable",
        "startTime": started,
        "hostIP": format!("10.20.{}.10", pod.node),
        "podIP": format!("10.20.{}.{}", pod.node, 20 + pod.number % 200),
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", pod.ready),
            condition("Ready", pod.ready),
        ],
        "containerStatuses": all("containers"),
    });
    if spec["initContainers"].is_array() {
        status["initContainerStatuses"] = json!(all("initContainers"));
    }
    status
}
