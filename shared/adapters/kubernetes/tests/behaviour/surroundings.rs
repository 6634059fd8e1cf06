//! What is read around the mesh: definitions, webhooks, budgets, namespaces, filters, the cluster's own pods.

use guard_domain::{EnvoyFilterFacts, NamespaceFacts, WebhookFacts};
use guard_tasks::{ClusterHealthReader as _, Extent};
use serde_json::{Value, json};

use crate::objects::{daemon_set, pod, release, replicated};
use crate::world::{PODS, World, row};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/istio-system/endpointslices";

fn world(lists: &[(&str, Vec<Value>)]) -> World {
    let world = World::new();
    for (path, objects) in lists {
        world.add(path);
        world.put(path, objects.clone());
    }
    world
}

fn definition(group: &str, metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    metadata["name"] = json!(format!("things.{group}"));
    json!({
        "metadata": metadata,
        "spec": {"group": group, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}]},
        "status": {"storedVersions": ["v1beta1", "v1"]},
    })
}

#[tokio::test]
async fn definitions_of_istio_and_the_gateway_api_are_read_by_small_pages() {
    let owned = json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {
        "meta.helm.sh/release-name": "istio-base", "meta.helm.sh/release-namespace": "istio-system"}});
    let half = json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}});
    let bundle = json!({"annotations": {"gateway.networking.k8s.io/bundle-version": "v1.4.1"}});
    let world = world(&[(
        CRDS,
        vec![
            definition("networking.istio.io", &owned),
            definition("security.istio.io", &half),
            definition("gateway.networking.k8s.io", &bundle),
            definition("helm.toolkit.fluxcd.io", &json!({})),
            definition("notistio.io", &json!({})),
        ],
    )]);
    let found = world
        .clusters
        .health(&row(), Extent::Whole, crate::world::MINUTE)
        .await
        .unwrap()
        .definitions
        .unwrap();
    let seen: Vec<_> =
        found.iter().map(|one| (one.group.as_str(), one.is_helms, one.gateway_api.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("networking.istio.io", true, None),
            ("security.istio.io", false, None),
            ("gateway.networking.k8s.io", false, Some("v1.4.1"))
        ]
    );
    assert_eq!((found[0].versions.as_slice(), found[0].stored.len()), (&["v1".to_owned()][..], 2));
    let asked = world.asked();
    let call = asked.iter().find(|call| call.request.uri().path() == CRDS).unwrap();
    assert_eq!(crate::world::parameter(call, "limit").as_deref(), Some("100"));
}

fn hook(name: &str, labels: &Value, clients: &[Value]) -> Value {
    let hooks: Vec<Value> = clients
        .iter()
        .map(|client| {
            json!({"name": "h", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": client})
        })
        .collect();
    json!({"metadata": {"name": name, "labels": labels}, "webhooks": hooks})
}

#[tokio::test]
async fn webhooks_are_istios_and_count_the_ready_endpoints_of_their_service() {
    let service = |name: &str, ca: &str| json!({"caBundle": ca, "service": {"name": name, "namespace": "istio-system"}});
    let rev = json!({"istio.io/rev": "default"});
    let slice = |service: &str, ready: Value| {
        json!({"metadata": {"name": "s", "namespace": "istio-system", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "endpoints": ready, "ports": []})
    };
    let world = world(&[
        (
            MUTATING,
            vec![
                hook("injector", &rev, &[service("istiod", "Y2E="), service("istiod", "")]),
                hook("by-url", &rev, &[json!({"url": "https://elsewhere"})]),
                hook("of-others", &json!({}), &[service("cert-manager", "")]),
            ],
        ),
        (VALIDATING, vec![hook("validator", &rev, &[service("istiod-gone", "Y2E=")])]),
        (
            SLICES,
            vec![
                slice(
                    "istiod",
                    json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                    {"addresses": ["10.0.0.2"], "conditions": {}},
                    {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}]),
                ),
                slice("other", json!([{"addresses": ["10.0.0.4"], "conditions": {"ready": true}}])),
            ],
        ),
    ]);
    let found =
        world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().webhooks.unwrap();
    let one = |configuration: &str, service: &str, has_ca, ready_endpoints| WebhookFacts {
        configuration: configuration.into(),
        service: service.into(),
        has_ca,
        ready_endpoints,
    };
    assert_eq!(
        found,
        [
            one("MutatingWebhookConfiguration injector", "istio-system/istiod", false, 2),
            one("ValidatingWebhookConfiguration validator", "istio-system/istiod-gone", true, 0),
        ]
    );
}

#[tokio::test]
async fn budgets_namespaces_and_filters() {
    let budget = json!({"metadata": {"name": "istiod", "namespace": "istio-system"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "istiod", "istio": "pilot"},
            "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}]}},
        "status": {"disruptionsAllowed": 0}});
    let namespace = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let filter = |name: &str, versions: &[Option<&str>]| {
        let patches: Vec<Value> = versions
            .iter()
            .map(|version| match version {
                Some(version) => {
                    json!({"applyTo": "LISTENER", "match": {"proxy": {"proxyVersion": version}}})
                }
                None => json!({"applyTo": "LISTENER", "match": {"context": "GATEWAY"}}),
            })
            .collect();
        json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"configPatches": patches}})
    };
    let world = world(&[
        ("/apis/policy/v1/poddisruptionbudgets", vec![budget]),
        (
            "/api/v1/namespaces",
            vec![
                namespace("a", json!({"istio-injection": "enabled"})),
                namespace("b", json!({"istio.io/rev": "x"})),
            ],
        ),
        (
            "/apis/networking.istio.io/v1alpha3/envoyfilters",
            vec![filter("bound", &[None, Some("^1\\.29.*")]), filter("free", &[None]), filter("empty", &[])],
        ),
    ]);
    let health = world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    let budgets = health.budgets.unwrap();
    assert!(budgets[0].covers("app", "istiod") && !budgets[0].covers("app", "web"));
    let labels = |more: &[&str]| {
        let all = ["app=istiod", "istio=pilot"].iter().chain(more);
        all.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    assert!(budgets[0].selects("istio-system", &labels(&[])));
    assert!(!budgets[0].selects("istio-system", &labels(&["canary=1"])));
    assert!(!budgets[0].selects("shop", &labels(&[])));
    assert_eq!(budgets[0].disruptions_allowed, Some(0));
    let namespaces = health.namespaces.unwrap();
    assert_eq!(namespaces["a"], NamespaceFacts { injection: Some("enabled".into()), revision: None });
    assert_eq!(namespaces["b"], NamespaceFacts { injection: None, revision: Some("x".into()) });
    let one = |name: &str, versions: &[&str]| EnvoyFilterFacts {
        name: name.into(),
        proxy_versions: versions.iter().map(|text| (*text).to_owned()).collect(),
    };
    let expected = [one("shop/bound", &["^1\\.29.*"]), one("shop/free", &[]), one("shop/empty", &[])];
    assert_eq!(health.envoy_filters.unwrap(), expected);
}

#[tokio::test]
async fn the_clusters_own_pods_are_those_that_should_be_ready() {
    let of = |namespace: &str, name: &str, phase: &str, ready: &str| {
        json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": []},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}})
    };
    let world = World::new();
    world.put(
        PODS,
        [
            of("kube-system", "dns", "Running", "True"),
            of("kube-system", "proxy", "Pending", "False"),
            of("kube-system", "job", "Succeeded", "False"),
            of("istio-system", "cni", "Running", "True"),
            of("shop", "web", "Running", "False"),
        ],
    );
    let found = world
        .clusters
        .health(&row(), Extent::Whole, crate::world::MINUTE)
        .await
        .unwrap()
        .system_pods
        .unwrap();
    let seen: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.is_ready)).collect();
    assert_eq!(seen, [("kube-system/dns", true), ("kube-system/proxy", false), ("istio-system/cni", true)]);
}

#[tokio::test]
async fn pods_that_nobody_restarts_are_named_by_their_owner() {
    const IMAGE: &str = "istio/proxyv2:1.29.3";
    let world = World::new();
    let mut bare = pod("v1", "Pod", "x", IMAGE);
    bare["metadata"]["ownerReferences"] = json!([]);
    world.put(
        PODS,
        [
            pod("batch/v1", "Job", "nightly", IMAGE),
            pod("argoproj.io/v1alpha1", "Rollout", "web", IMAGE),
            bare,
        ],
    );
    let health = world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    assert_eq!(health.strays.unwrap(), ["shop/Job nightly", "shop/Pod p", "shop/Rollout web"]);
    assert_eq!(health.workloads.unwrap(), []);
}

#[tokio::test]
async fn templates_tell_how_the_next_pod_is_made() {
    const IMAGE: &str = "istio/proxyv2:1.29.3";
    let world = World::new();
    let mut db = replicated("shop", "db");
    db["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    db["spec"]["template"]["metadata"] = json!({
        "labels": {"sidecar.istio.io/inject": "true"}, "annotations": {"sidecar.istio.io/inject": "false"}});
    let mut agent = daemon_set("agent");
    agent["spec"]["template"] = json!({
        "metadata": {"labels": {"istio.io/rev": "canary"}, "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}});
    let mut hand = daemon_set("hand");
    hand["spec"]["template"] =
        json!({"spec": {"containers": [], "initContainers": [{"name": "istio-proxy", "image": IMAGE}]}});
    world.put(PODS, ["db"].map(|name| pod("apps/v1", "StatefulSet", name, IMAGE)));
    world.put(PODS, ["agent", "hand"].map(|name| pod("apps/v1", "DaemonSet", name, IMAGE)));
    world.put("/apis/apps/v1/statefulsets", [db]);
    world.put("/apis/apps/v1/daemonsets", [agent, hand]);
    let found =
        world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().workloads.unwrap();
    let seen: Vec<_> = found
        .iter()
        .map(|one| {
            let it = &one.template;
            (
                one.workload.name.as_str(),
                it.is_on_delete,
                it.asks.as_deref(),
                it.has_revision,
                it.has_own_proxy,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("db", true, Some("true"), false, false),
            ("agent", false, Some("false"), true, false),
            ("hand", false, None, false, true),
        ]
    );
}

#[tokio::test]
async fn releases_tell_their_version_of_the_api_and_who_corrects_drift() {
    let world = World::new();
    let mut correcting = release("istiod", "istiod");
    correcting["spec"]["driftDetection"] = json!({"mode": "enabled"});
    let mut warning = release("base", "base");
    warning["spec"]["driftDetection"] = json!({"mode": "warn"});
    world.put(crate::world::RELEASES, [correcting, warning]);
    let flux =
        world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().flux.unwrap();
    let seen: Vec<bool> = flux.releases.iter().map(|one| one.corrects_drift).collect();
    assert_eq!((flux.helm_api.as_str(), seen), ("v2", vec![true, false]));
}
