//! The smaller objects: nodes, namespaces, services, budgets, webhooks, definitions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call;
use crate::chance;
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::stamp;
use crate::workload::Role;

/// Metadata that every object has.
pub(super) fn metadata(cluster: &Cluster, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let uid =
        chance::uid(cluster.seed, &[&cluster.spec.cluster_id, kind, namespace.unwrap_or_default(), name]);
    let mut metadata = json!({
        "name": name,
        "uid": uid,
        "resourceVersion": "1000",
        "generation": 1,
        "creationTimestamp": stamp(cluster.born),
        "labels": {},
        "annotations": {},
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

pub(super) fn node_name(at: usize) -> String {
    format!("ip-10-20-{at}-10.eu-west-1.compute.internal")
}

pub(super) fn nodes(cluster: &Cluster) -> Vec<Value> {
    let kubelet = format!("v{}.5-eks-113cf36", cluster.spec.kubernetes_version);
    let node = |at: usize| {
        let name = node_name(at);
        let mut meta = metadata(cluster, "Node", None, &name);
        meta["labels"] = json!({ "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" });
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({ "type": kind, "status": status, "reason": reason, "message": "",
                "lastHeartbeatTime": stamp(cluster.born), "lastTransitionTime": stamp(cluster.born) })
        };
        json!({
            "metadata": meta,
            "spec": { "providerID": format!("aws:///eu-west-1a/i-{}", chance::hex(cluster.seed, &["node", &name], 17)) },
            "status": {
                "allocatable": { "cpu": "3920m", "memory": "15Gi", "pods": "58" },
                "capacity": { "cpu": "4", "memory": "16Gi", "pods": "58" },
                "addresses": [{ "type": "InternalIP", "address": format!("10.20.{at}.10") }],
                "conditions": [
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                    condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                    condition("Ready", "True", "KubeletReady"),
                ],
                "nodeInfo": {
                    "kubeletVersion": kubelet, "kubeProxyVersion": kubelet, "operatingSystem": "linux",
                    "architecture": "amd64", "osImage": "Amazon Linux 2023", "kernelVersion": "6.1.141-155.222.amzn2023.x86_64",
                    "containerRuntimeVersion": "containerd://1.7.27", "machineID": "", "systemUUID": "", "bootID": "",
                },
            },
        })
    };
    (0..cluster.nodes()).map(node).collect()
}

pub(super) fn namespaces(cluster: &Cluster) -> Vec<Value> {
    let mut injected: BTreeMap<&str, bool> =
        ["default", "flux-system", "guard-probe", "istio-system", "kube-system"]
            .map(|name| (name, false))
            .into();
    for workload in cluster.workloads.values() {
        let label = matches!(workload.role, Role::Application);
        *injected.entry(workload.namespace()).or_default() |= label;
    }
    let namespace = |(name, injected): (&str, bool)| {
        let mut meta = metadata(cluster, "Namespace", None, name);
        meta["labels"]["kubernetes.io/metadata.name"] = json!(name);
        if injected {
            meta["labels"]["istio-injection"] = json!("enabled");
        }
        json!({ "metadata": meta, "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } })
    };
    injected.into_iter().map(namespace).collect()
}

pub(super) fn services(cluster: &Cluster) -> Vec<Value> {
    let service = |workload: &crate::workload::Workload| {
        let mut meta = metadata(cluster, "Service", Some(workload.namespace()), workload.name());
        meta["labels"] = json!({ "app": workload.name() });
        let ports = match workload.role {
            Role::Istiod => {
                json!([{ "name": "https-webhook", "port": 443, "targetPort": 15017, "protocol": "TCP" },
                { "name": "http-monitoring", "port": 15014, "targetPort": 15014, "protocol": "TCP" }])
            }
            _ => json!([{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }]),
        };
        json!({
            "metadata": meta,
            "spec": { "type": "ClusterIP", "selector": { "app": workload.name() }, "ports": ports },
            "status": { "loadBalancer": {} },
        })
    };
    cluster.workloads.values().map(service).collect()
}

pub(super) fn disruption_budgets(cluster: &Cluster) -> Vec<Value> {
    // A DaemonSet has no budget: evictions leave its pods alone.
    let evictable =
        |one: &&crate::workload::Workload| one.kind() != WorkloadKind::DaemonSet && one.replicas > 1;
    let several = cluster.workloads.values().filter(evictable);
    let budget = |workload: &crate::workload::Workload| {
        let meta = metadata(cluster, "PodDisruptionBudget", Some(workload.namespace()), workload.name());
        let desired = workload.replicas - 1;
        json!({
            "metadata": meta,
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": workload.name() } } },
            "status": {
                "observedGeneration": 1, "expectedPods": workload.replicas, "currentHealthy": workload.ready(),
                "desiredHealthy": desired, "disruptionsAllowed": workload.ready().saturating_sub(desired), "conditions": [],
            },
        })
    };
    several.map(budget).collect()
}

pub(super) fn webhooks(cluster: &Cluster, ca_pem: &str) -> Vec<Value> {
    if !cluster.workloads.values().any(|workload| workload.role == Role::Istiod) {
        return Vec::new();
    }
    let mut meta = metadata(cluster, "MutatingWebhookConfiguration", None, "istio-sidecar-injector");
    meta["labels"] = json!({ "app": "sidecar-injector", "istio.io/rev": "default", "operator.istio.io/component": "Pilot" });
    let expression = |key: &str, operator: &str, values: &[&str]| {
        if values.is_empty() {
            json!({ "key": key, "operator": operator })
        } else {
            json!({ "key": key, "operator": operator, "values": values })
        }
    };
    let (label, pod, rev) = ("istio-injection", "sidecar.istio.io/inject", "istio.io/rev");
    let absent = |key: &str| expression(key, "DoesNotExist", &[]);
    let not_false = expression(pod, "NotIn", &["false"]);
    let forms = [
        ("rev.namespace", json!([expression(rev, "In", &["default"]), absent(label)]), json!([not_false])),
        (
            "rev.object",
            json!([absent(rev), absent(label)]),
            json!([not_false, expression(rev, "In", &["default"])]),
        ),
        ("namespace", json!([expression(label, "In", &["enabled"])]), json!([not_false])),
        (
            "object",
            json!([absent(label), absent(rev)]),
            json!([expression(pod, "In", &["true"]), absent(rev)]),
        ),
    ];
    let hook = |(name, namespaces, objects): (&str, Value, Value)| {
        json!({
            "name": format!("{name}.sidecar-injector.istio.io"),
            "clientConfig": {
                "service": { "name": "istiod", "namespace": "istio-system", "path": "/inject", "port": 443 },
                "caBundle": call::base64_of(ca_pem.as_bytes()),
            },
            "namespaceSelector": { "matchExpressions": namespaces },
            "objectSelector": { "matchExpressions": objects },
            "rules": [{ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*" }],
            "failurePolicy": "Fail", "matchPolicy": "Equivalent", "reinvocationPolicy": "Never",
            "sideEffects": "None", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
        })
    };
    vec![json!({ "metadata": meta, "webhooks": forms.map(hook) })]
}

pub(super) fn validators(cluster: &Cluster, ca_pem: &str) -> Vec<Value> {
    if !cluster.workloads.values().any(|workload| workload.role == Role::Istiod) {
        return Vec::new();
    }
    let mut meta = metadata(cluster, "ValidatingWebhookConfiguration", None, "istio-validator-istio-system");
    meta["labels"] = json!({ "app": "istiod", "istio": "istiod", "istio.io/rev": "default" });
    let hook = json!({
        "name": "rev.validation.istio.io",
        "clientConfig": {
            "service": { "name": "istiod", "namespace": "istio-system", "path": "/validate", "port": 443 },
            "caBundle": call::base64_of(ca_pem.as_bytes()),
        },
        "rules": [{ "operations": ["CREATE", "UPDATE"], "apiGroups": ["networking.istio.io"], "apiVersions": ["*"], "resources": ["*"], "scope": "*" }],
        "failurePolicy": "Fail", "matchPolicy": "Equivalent", "sideEffects": "None", "timeoutSeconds": 10,
        "admissionReviewVersions": ["v1"],
    });
    vec![json!({ "metadata": meta, "webhooks": [hook] })]
}

/// One slice a service, with an endpoint for each pod.
pub(super) fn endpoint_slices(cluster: &Cluster) -> Vec<Value> {
    let slice = |workload: &crate::workload::Workload| {
        let name = format!("{}-x7k2p", workload.name());
        let mut meta = metadata(cluster, "EndpointSlice", Some(workload.namespace()), &name);
        meta["labels"] = json!({ "kubernetes.io/service-name": workload.name(),
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" });
        let endpoints = workload.pods.iter().map(|pod| {
            json!({ "addresses": [format!("10.20.{}.{}", pod.node, 20 + pod.number % 200)],
                "conditions": { "ready": pod.ready, "serving": pod.ready, "terminating": false } })
        });
        json!({ "metadata": meta, "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(), "ports": [] })
    };
    cluster.workloads.values().map(slice).collect()
}

pub(super) fn definitions(cluster: &Cluster) -> Vec<Value> {
    let istio = [
        ("virtualservices", "networking.istio.io", "VirtualService"),
        ("gateways", "networking.istio.io", "Gateway"),
        ("envoyfilters", "networking.istio.io", "EnvoyFilter"),
        ("helmreleases", "helm.toolkit.fluxcd.io", "HelmRelease"),
        ("kustomizations", "kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("gitrepositories", "source.toolkit.fluxcd.io", "GitRepository"),
    ];
    let others: Vec<(String, String)> = (0..cluster.spec.other_definitions)
        .map(|n| (format!("things{n:03}"), format!("Thing{n:03}")))
        .collect();
    let others = others.iter().map(|(plural, kind)| (plural.as_str(), "example.com", kind.as_str()));
    let definition = |(plural, group, kind): (&str, &str, &str)| {
        let name = format!("{plural}.{group}");
        let mut meta = metadata(cluster, "CustomResourceDefinition", None, &name);
        if group.ends_with(".istio.io") {
            meta["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
            meta["annotations"] = json!({ "meta.helm.sh/release-name": "istio-base", "meta.helm.sh/release-namespace": "istio-system" });
        }
        let version = if kind == "HelmRelease" { "v2" } else { "v1" };
        let names = json!({ "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") });
        json!({
            "metadata": meta,
            "spec": {
                "group": group, "scope": "Namespaced", "names": names,
                "versions": [{ "name": version, "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }],
            },
            "status": { "acceptedNames": names, "storedVersions": [version],
                "conditions": [{ "type": "Established", "status": "True", "reason": "InitialNamesAccepted",
                    "message": "the initial names have been accepted", "lastTransitionTime": stamp(cluster.born) }] },
        })
    };
    istio.into_iter().chain(others).map(definition).collect()
}
