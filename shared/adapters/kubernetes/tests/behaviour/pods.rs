//! All pods, read once: what they are to the mesh, and what is read only where it is needed.

use guard_domain::{ContainerEnd, MeshPodFacts, MeshRole};
use guard_tasks::{ClusterHealthReader as _, DataPlaneReader as _, Extent};
use serde_json::{Value, json};

use crate::objects::{istiod_pod, pod, replica_set, replicated};
use crate::world::{PODS, World, parameter, row};

const SETS: &str = "/apis/apps/v1/replicasets";
const PROXY: &str = "docker.io/istio/proxyv2:1.29.3";

fn alone(name: &str, labels: &Value, container: &str, image: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "istio-system", "labels": labels},
        "spec": {"containers": [{"name": container, "image": image}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

fn role(name: &str, role: MeshRole, hub: &str, version: Option<&str>, is_ready: bool) -> MeshPodFacts {
    MeshPodFacts {
        name: name.into(),
        role,
        hub: hub.into(),
        version: version.map(|text| text.parse().unwrap()),
        is_ready,
        restarts: 0,
        last_end: None,
    }
}

#[tokio::test]
async fn each_pod_of_the_mesh_has_one_role() {
    let world = World::new();
    let mut native = pod("apps/v1", "StatefulSet", "db", PROXY);
    native["metadata"]["name"] = json!("native");
    native["spec"] = json!({"containers": [{"name": "app"}], "initContainers": [
        {"name": "istio-init", "image": PROXY}, {"name": "istio-proxy", "image": PROXY}]});
    world.put(
        PODS,
        [
            istiod_pod("istio/pilot:1.29.3-distroless"),
            alone("gateway", &json!({"app": "gateway"}), "istio-proxy", "mirror:5000/istio/proxyv2:1.29.3"),
            alone("ztunnel", &json!({"app": "ztunnel"}), "istio-proxy", "istio/ztunnel:1.28.1"),
            alone("cni", &json!({"k8s-app": "istio-cni-node"}), "install-cni", "istio/install-cni@sha256:1"),
            alone("named-like-istiod", &json!({"app": "istiod"}), "web", "web:1"),
            pod("apps/v1", "StatefulSet", "db", PROXY),
            native,
        ],
    );
    let found =
        world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().mesh.unwrap();
    let v = Some("1.29.3");
    assert_eq!(
        found,
        [
            role("istio-system/istiod-x", MeshRole::Istiod, "istio", v, false),
            role("istio-system/gateway", MeshRole::Gateway, "mirror:5000/istio", v, true),
            role("istio-system/ztunnel", MeshRole::Ztunnel, "istio", Some("1.28.1"), true),
            role("istio-system/cni", MeshRole::Cni, "istio", None, true),
            role("shop/p", MeshRole::Sidecar, "docker.io/istio", v, false),
            role("shop/native", MeshRole::Sidecar, "docker.io/istio", v, false),
        ]
    );
}

#[tokio::test]
async fn restarts_and_the_last_end_are_of_istios_container() {
    let status = |name: &str, restarts: u32, last: Value| json!({"name": name, "restartCount": restarts, "lastState": last});
    let ended = |reason: &str| json!({"terminated": {"reason": reason, "exitCode": 137, "finishedAt": "2026-11-28T08:00:00Z"}});
    let world = World::new();
    let mut killed = istiod_pod("istio/pilot:1.29.3");
    killed["status"]["containerStatuses"] = json!([status("discovery", 3, ended("OOMKilled"))]);
    let mut native = pod("apps/v1", "StatefulSet", "db", PROXY);
    native["status"]["containerStatuses"] = json!([status("app", 9, ended("Error"))]);
    native["status"]["initContainerStatuses"] =
        json!([status("istio-init", 0, json!({})), status("istio-proxy", 1, json!({"terminated": {}}))]);
    world.put(PODS, [killed, native]);
    let found =
        world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().mesh.unwrap();
    let seen: Vec<_> = found.iter().map(|one| (one.restarts, one.last_end.clone())).collect();
    let at = Some("2026-11-28T08:00:00Z".parse().unwrap());
    assert_eq!(
        seen,
        [
            (3, Some(ContainerEnd { reason: "OOMKilled".into(), at })),
            (1, Some(ContainerEnd { reason: String::new(), at: None }))
        ]
    );
    assert!(found[0].was_out_of_memory() && !found[1].was_out_of_memory());
}

#[tokio::test]
async fn pods_are_listed_once_for_all_who_look_at_them() {
    let world = World::new();
    world.put(PODS, [istiod_pod("istio/pilot:1.29.3"), pod("apps/v1", "StatefulSet", "db", PROXY)]);
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    let asked = world.asked();
    let lists =
        asked.iter().filter(|call| call.request.method() == "GET" && call.request.uri().path() == PODS);
    assert_eq!(lists.count(), 1);
    assert!(!asked.iter().any(|call| call.request.uri().path() == SETS), "no pod here has a ReplicaSet");
}

fn with_pods(mut set: Value, count: u32) -> Value {
    set["status"] = json!({"replicas": count});
    set
}

#[tokio::test]
async fn only_replica_sets_with_pods_are_read_and_only_their_metadata() {
    let world = World::new();
    world.put(PODS, [pod("apps/v1", "ReplicaSet", "web-2", PROXY)]);
    world.put(
        SETS,
        (0..10).map(|n| with_pods(replica_set(&format!("web-old-{n}"), "apps/v1", "Deployment", "web"), 0)),
    );
    world.put(SETS, [with_pods(replica_set("web-2", "apps/v1", "Deployment", "web"), 3)]);
    world.put("/apis/apps/v1/deployments", [replicated("shop", "web")]);
    let found = world.clusters.data_plane(&row(), false).await.unwrap().workloads;
    assert_eq!(found[0].workload.to_string(), "shop/Deployment/web");
    let asked = world.asked();
    let calls: Vec<_> =
        asked.iter().filter(|call| call.request.uri().path().ends_with("replicasets")).collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(parameter(calls[0], "fieldSelector").as_deref(), Some("status.replicas%21%3D0"));
    let accept = calls[0].request.headers()["accept"].to_str().unwrap();
    assert!(accept.contains("as=PartialObjectMetadataList"), "{accept}");
}

/// Between the making of its pods and the next look of its controller, a ReplicaSet counts none.
#[tokio::test]
async fn a_replica_set_that_does_not_count_its_pods_yet_is_looked_for() {
    let world = World::new();
    world.put(PODS, [pod("apps/v1", "ReplicaSet", "web-2", PROXY)]);
    world.put(SETS, [with_pods(replica_set("web-2", "apps/v1", "Deployment", "web"), 0)]);
    world.put("/apis/apps/v1/deployments", [replicated("shop", "web")]);
    let health = world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    assert_eq!(health.workloads.unwrap()[0].workload.to_string(), "shop/Deployment/web");
    assert_eq!(health.strays.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn many_that_do_not_are_read_in_one_list() {
    let world = World::new();
    for n in 0..6 {
        let mut one = pod("apps/v1", "ReplicaSet", &format!("web-{n}"), PROXY);
        one["metadata"]["namespace"] = json!(format!("team-{n}"));
        world.put(PODS, [one]);
        world.put(SETS, [with_pods(replica_set(&format!("web-{n}"), "apps/v1", "Deployment", "web"), 0)]);
        world.put("/apis/apps/v1/deployments", [replicated(&format!("team-{n}"), "web")]);
    }
    assert_eq!(world.clusters.data_plane(&row(), false).await.unwrap().workloads.len(), 6);
    let asked = world.asked();
    assert_eq!(asked.iter().filter(|call| call.request.uri().path().ends_with("replicasets")).count(), 2);
}
