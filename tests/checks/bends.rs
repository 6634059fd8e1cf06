//! What an API server shows in one place, and the one code that is found for it.

use serde_json::{Value, json};

pub(crate) type Bend = Box<dyn Fn(&mut Vec<Value>) + Send + Sync>;

/// One object of a list, by its name, changed.
pub(crate) fn named(name: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Bend {
    Box::new(move |objects| {
        let found = objects.iter_mut().find(|object| object["metadata"]["name"] == name);
        change(found.unwrap());
    })
}

/// One more object.
pub(crate) fn one_more(object: Value) -> Bend {
    Box::new(move |objects| objects.push(object.clone()))
}

pub(crate) fn without(label: &'static str, value: &'static str) -> Bend {
    Box::new(move |objects| objects.retain(|object| object["metadata"]["labels"][label] != value))
}

/// The first pod whose name begins so.
pub(crate) fn pod(of: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Bend {
    Box::new(move |objects| {
        let is_it = |object: &&mut Value| object["metadata"]["name"].as_str().unwrap().starts_with(of);
        change(objects.iter_mut().find(is_it).unwrap());
    })
}

fn loose_pod(namespace: &str, containers: &Value, ready: &str) -> Value {
    json!({
        "metadata": {"name": "loose", "namespace": namespace, "uid": "u", "labels": {}},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

/// The agent of istio-cni, Ready.
fn cni_pod(image: &str) -> Value {
    let mut pod = loose_pod("kube-system", &json!([{"name": "install-cni", "image": image}]), "True");
    pod["metadata"]["labels"]["k8s-app"] = json!("istio-cni-node");
    pod
}

/// One pod, and a second one while it is replaced.
fn single(deployment: &mut Value) {
    replicas(deployment, 1);
    deployment["spec"]["strategy"] = json!({"type": "RollingUpdate"});
}

fn gateway_api(version: &str) -> Value {
    json!({
        "metadata": {"name": "gateways.gateway.networking.k8s.io", "annotations": {
            "gateway.networking.k8s.io/bundle-version": version}},
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced", "names": {}, "versions": [{"name": "v1"}]},
        "status": {"storedVersions": ["v1"]},
    })
}

/// A cluster large enough for one node to be nothing.
fn many_nodes(nodes: &mut Vec<Value>) {
    let node = nodes[0].clone();
    nodes.extend((0..30).map(|n| {
        let mut other = node.clone();
        other["metadata"]["name"] = json!(format!("more-{n:02}"));
        other
    }));
}

fn replicas(deployment: &mut Value, count: u32) {
    deployment["spec"]["replicas"] = json!(count);
    for key in ["replicas", "updatedReplicas", "readyReplicas"] {
        deployment["status"][key] = json!(count);
    }
}

pub(crate) fn not_ready(object: &mut Value) {
    for condition in object["status"]["conditions"].as_array_mut().unwrap() {
        if condition["type"] == "Ready" {
            condition["status"] = json!("False");
        }
    }
}
/// A code, the resource to bend, and how.
pub(crate) type Case = (&'static str, &'static str, Bend);

pub(crate) fn bends() -> Vec<Case> {
    cluster().into_iter().chain(around()).chain(restart()).collect()
}

/// Nodes, the cluster's own pods, istiod and the proxies.
fn cluster() -> Vec<Case> {
    let app = json!([{"name": "dns", "image": "coredns:1"}]);
    vec![
        ("NODE_NOT_READY", "nodes", Box::new(|nodes| not_ready(&mut nodes[0]))),
        (
            "NODE_NOT_READY_TOLERATED",
            "nodes",
            Box::new(|nodes| {
                many_nodes(nodes);
                not_ready(&mut nodes[0]);
            }),
        ),
        ("NODE_CORDONED", "nodes", Box::new(|nodes| nodes[0]["spec"]["unschedulable"] = json!(true))),
        (
            "NODE_CORDONED_TOLERATED",
            "nodes",
            Box::new(|nodes| {
                many_nodes(nodes);
                nodes[0]["spec"]["unschedulable"] = json!(true);
            }),
        ),
        ("NO_NODES", "nodes", Box::new(Vec::clear)),
        ("SYSTEM_POD_NOT_READY", "pods", one_more(loose_pod("kube-system", &app, "False"))),
        ("ISTIOD_NOT_READY", "deployments", named("istiod", |it| it["status"]["readyReplicas"] = json!(1))),
        ("ISTIOD_MISSING", "deployments", without("app", "istiod")),
        (
            "ISTIOD_VERSION",
            "pods",
            pod("istiod-", |it| it["spec"]["containers"][0]["image"] = json!("pilot@sha256:0")),
        ),
        ("ISTIOD_SINGLE", "deployments", named("istiod", |it| replicas(it, 1))),
        ("ISTIOD_WITHOUT_BUDGET", "poddisruptionbudgets", Box::new(Vec::clear)),
        (
            "PROXY_VERSION",
            "pods",
            pod("cart-", |it| it["spec"]["containers"][0]["image"] = json!("proxyv2:1.29.6")),
        ),
        (
            "PROXY_TOO_OLD",
            "pods",
            pod("cart-", |it| it["spec"]["containers"][0]["image"] = json!("proxyv2:1.28.1")),
        ),
        (
            "PROXY_AHEAD",
            "pods",
            pod("cart-", |it| it["spec"]["containers"][0]["image"] = json!("proxyv2:1.31.1")),
        ),
        (
            "PROXY_VERSION_UNKNOWN",
            "pods",
            pod("cart-", |it| it["spec"]["containers"][0]["image"] = json!("proxyv2@sha256:0")),
        ),
    ]
}

/// What istiod and its charts stand on.
fn around() -> Vec<Case> {
    let old_hook = json!({
        "metadata": {"name": "istio-sidecar-injector-canary", "labels": {"istio.io/rev": "canary"}},
        "webhooks": [{"name": "rev", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {
            "caBundle": "Y2E=", "service": {"name": "istiod-canary", "namespace": "istio-system"}}}],
    });
    let filter = json!({
        "metadata": {"name": "lua", "namespace": "shop"},
        "spec": {"configPatches": [
            {"applyTo": "HTTP_FILTER", "match": {"proxy": {"proxyVersion": "^1\\.29.*"}}, "patch": {"operation": "MERGE"}}
        ]},
    });
    vec![
        (
            "ISTIO_CRD_NOT_OWNED",
            "customresourcedefinitions",
            named("gateways.networking.istio.io", |it| it["metadata"]["labels"] = json!({})),
        ),
        (
            "ISTIO_CRDS_MISSING",
            "customresourcedefinitions",
            Box::new(|objects| objects.retain(|one| one["spec"]["group"] != "networking.istio.io")),
        ),
        (
            "ISTIO_CRD_STORED_VERSION",
            "customresourcedefinitions",
            named("gateways.networking.istio.io", |it| {
                it["status"]["storedVersions"] = json!(["v1alpha3", "v1"]);
            }),
        ),
        ("GATEWAY_API_NO_WAY_BACK", "customresourcedefinitions", one_more(gateway_api("v1.5.0"))),
        ("GATEWAY_API_TOO_OLD", "customresourcedefinitions", one_more(gateway_api("v1.4.1"))),
        ("WEBHOOK_UNREACHABLE", "mutatingwebhookconfigurations", one_more(old_hook)),
        (
            "WEBHOOK_WITHOUT_CA",
            "validatingwebhookconfigurations",
            Box::new(|objects| objects[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!("")),
        ),
        ("ENVOY_FILTER_VERSION", "envoyfilters", one_more(filter)),
    ]
}

/// What a restart would meet.
fn restart() -> Vec<Case> {
    let ledger = |strategy: Value| {
        named("ledger", move |it| {
            replicas(it, 1);
            it["spec"]["updateStrategy"] = strategy.clone();
        })
    };
    let proxy = json!([{"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.29.8"}]);
    vec![
        (
            "WORKLOAD_NOT_READY",
            "statefulsets",
            named("ledger", |it| it["status"]["readyReplicas"] = json!(1)),
        ),
        (
            "RESTART_ON_DELETE",
            "statefulsets",
            named("ledger", |it| it["spec"]["updateStrategy"] = json!({"type": "OnDelete"})),
        ),
        (
            "RESTART_NOT_DONE",
            "statefulsets",
            named("ledger", |it| it["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 1})),
        ),
        ("INJECTION_LOST", "namespaces", named("shop", |it| it["metadata"]["labels"] = json!({}))),
        (
            "PROXY_BY_HAND",
            "deployments",
            named("web", |it| {
                let containers = it["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
                containers.push(json!({"name": "istio-proxy", "image": "proxyv2:1.29.8"}));
            }),
        ),
        ("RESTART_GAP", "statefulsets", ledger(json!({"type": "RollingUpdate"}))),
        ("RESTART_SINGLE", "deployments", named("web", single)),
        (
            "RESTART_BLOCKED",
            "poddisruptionbudgets",
            named("cart", |it| it["status"]["disruptionsAllowed"] = json!(0)),
        ),
        // The gateway's own strategy adds a pod before it takes one away.
        ("RESTART_BUDGET", "poddisruptionbudgets", one_more(budget("istio-ingress", "istio-ingressgateway"))),
        ("COMPONENT_IMAGE", "pods", one_more(cni_pod("docker.io/istio/install-cni:1.29.6"))),
        ("COMPONENT_IMAGE_TOO_FAR", "pods", one_more(cni_pod("docker.io/istio/install-cni:1.27.2"))),
        ("COMPONENT_IMAGE_UNKNOWN", "pods", one_more(cni_pod("docker.io/istio/install-cni@sha256:0"))),
        ("IMAGE_HUB_RETIRES", "pods", one_more(cni_pod("registry.istio.io/release/install-cni:1.29.8"))),
        ("PROXY_NOT_RESTARTED", "pods", one_more(loose_pod("shop", &proxy, "True"))),
    ]
}

/// A budget that lets nobody go.
fn budget(namespace: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": app, "namespace": namespace},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": 0},
    })
}
