//! Pods, with the sidecar where injection put it.

use serde_json::{Value, json};

use super::nodes::node_name;
use super::objects::metadata;
use super::pod_status;
use super::workloads::{image, node_selector, owner, pod_labels};
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::{State, stamp};
use crate::trouble::Trouble;
use crate::workload::{Pod, Role, Workload};

/// The pods of a workload; the named one alone, if there is a name.
pub(super) fn pods(state: &State, cluster: &Cluster, workload: &Workload, name: Option<&str>) -> Vec<Value> {
    let is_meant = |pod: &&Pod| name.is_none_or(|name| pod.name == name);
    workload.pods.iter().filter(is_meant).map(|pod| pod_object(state, cluster, workload, pod)).collect()
}

/// A pod's uid: a StatefulSet's next pod has the name of the last one and another uid.
pub(super) fn uid(cluster: &Cluster, workload: &Workload, pod: &Pod) -> String {
    let number = pod.number.to_string();
    let names = [cluster.spec.cluster_id.as_str(), "Pod", workload.namespace(), &pod.name, &number];
    crate::chance::uid(cluster.seed, &names)
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
    match (&pod.proxy, workload.role, workload.spec.native_sidecar) {
        (None, _, _) => Place::Nowhere,
        (Some(_), Role::Gateway, _) => Place::Alone,
        (Some(_), _, true) => Place::NativeSidecar,
        (Some(_), _, false) => Place::Sidecar,
    }
}

fn proxy_image(pod: &Pod) -> String {
    format!("docker.io/istio/proxyv2:{}", pod.proxy.as_deref().unwrap_or_default())
}

pub(super) fn pod_object(state: &State, cluster: &Cluster, workload: &Workload, pod: &Pod) -> Value {
    let place = place(workload, pod);
    let namespace = workload.namespace();
    let mut meta = metadata(cluster, "Pod", Some(namespace), &pod.name);
    meta["uid"] = json!(uid(cluster, workload, pod));
    meta["resourceVersion"] = json!(pod.resource_version.to_string());
    meta["creationTimestamp"] = json!(stamp(pod.created));
    meta["labels"] = labels(workload, pod);
    meta["annotations"] = annotations(pod, &place);
    meta["ownerReferences"] = json!([pod_owner(cluster, workload, pod)]);
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("generation");
    }
    let mut spec = pod_spec(workload, pod);
    if pod_status::trouble(cluster, workload, pod) == Some(Trouble::Unschedulable)
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("nodeName");
    }
    let status = pod_status::status(cluster, workload, &spec, pod, state.now);
    json!({ "metadata": meta, "spec": spec, "status": status })
}

/// Its containers, and where it runs.
pub(super) fn pod_spec(workload: &Workload, pod: &Pod) -> Value {
    let own = json!({ "name": own_name(workload), "image": own_image(workload, pod), "resources": {} });
    let proxy = json!({ "name": "istio-proxy", "image": proxy_image(pod), "args": ["proxy", "sidecar"], "resources": {} });
    let init = json!({ "name": "istio-init", "image": proxy_image(pod), "args": ["istio-iptables"], "resources": {} });
    let (containers, init_containers) = match place(workload, pod) {
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
    if let Some(selector) = node_selector(workload) {
        spec["nodeSelector"] = selector;
    }
    spec
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

/// The labels of a pod.
pub(super) fn labels(workload: &Workload, pod: &Pod) -> Value {
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
