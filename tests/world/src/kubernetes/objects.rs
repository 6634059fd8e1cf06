//! The smaller objects: namespaces, services, webhooks, definitions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call;
use crate::chance;
use crate::cluster::Cluster;
use crate::state::stamp;
use crate::workload::{Role, Workload};

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

pub(super) fn service(cluster: &Cluster, workload: &Workload) -> Value {
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

/// The slice of a service, with an endpoint for each pod.
pub(super) fn endpoint_slice(cluster: &Cluster, workload: &Workload) -> Value {
    let name = format!("{}-x7k2p", workload.name());
    let mut meta = metadata(cluster, "EndpointSlice", Some(workload.namespace()), &name);
    meta["labels"] = json!({ "kubernetes.io/service-name": workload.name(),
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" });
    let endpoints = workload.pods.iter().map(|pod| {
        json!({ "addresses": [format!("10.20.{}.{}", pod.node, 20 + pod.number % 200)],
                "conditions": { "ready": pod.ready, "serving": pod.ready, "terminating": false } })
    });
    json!({ "metadata": meta, "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(), "ports": [] })
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
