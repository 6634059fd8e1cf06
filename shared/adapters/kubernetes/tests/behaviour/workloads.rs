//! Nodes, istiod and the data plane.

use guard_domain::{IstioVersion, WorkloadFacts, WorkloadKind};
use guard_tasks::{ClusterHealthReader as _, DataPlaneReader as _, Extent, RolloutReader as _};
use serde_json::json;

use crate::objects::{daemon_set, istiod_pod, node, pod, replica_set, replicated};
use crate::world::{PODS, World, parameter, row};

const OLD: &str = "docker.io/istio/proxyv2:1.29.3";
const NEW: &str = "mirror:5000/istio/proxyv2:1.30.5-distroless";

fn version(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

fn names(found: &[WorkloadFacts]) -> Vec<String> {
    found.iter().map(|facts| facts.workload.to_string()).collect()
}

#[tokio::test]
async fn workloads_are_found_from_their_pods_through_their_owners() {
    let world = World::new();
    let mut native = pod("apps/v1", "ReplicaSet", "web-6c9", NEW);
    native["spec"] =
        json!({"containers": [{"name": "app"}], "initContainers": [{"name": "istio-proxy", "image": NEW}]});
    world.put(
        PODS,
        [pod("apps/v1", "ReplicaSet", "web-5d4", OLD), pod("apps/v1", "ReplicaSet", "web-5d4", OLD)],
    );
    world.put(
        PODS,
        [
            native,
            pod("apps/v1", "StatefulSet", "db", OLD),
            pod("apps/v1", "DaemonSet", "agent", "x@sha256:1"),
        ],
    );
    let sets = "/apis/apps/v1/replicasets";
    world.put(sets, ["web-5d4", "web-6c9"].map(|name| replica_set(name, "apps/v1", "Deployment", "web")));
    let mut web = replicated("shop", "web");
    web["spec"]["template"]["metadata"]["annotations"] = json!({"guard.istio.io/restart": "run-1"});
    world.put(
        "/apis/apps/v1/deployments",
        [web, replicated("other", "web"), replicated("shop", "no-sidecar")],
    );
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    world.put("/apis/apps/v1/daemonsets", [daemon_set("agent")]);

    let found = world.clusters.data_plane(&row(), false).await.unwrap().workloads;
    assert_eq!(names(&found), ["shop/Deployment/web", "shop/StatefulSet/db", "shop/DaemonSet/agent"]);
    assert_eq!(found[0].proxies, [(Some(version("1.29.3")), 2), (Some(version("1.30.5")), 1)]);
    assert_eq!(found[0].restart_mark.as_deref(), Some("run-1"));
    assert!(found[0].counts.is_complete());
    assert_eq!(found[1].restart_mark, None);
    assert_eq!(found[2].proxies, [(None, 1)], "a digest names no version");
    let counts = &found[2].counts;
    assert_eq!((counts.desired, counts.updated, counts.ready, counts.total), (5, 2, 4, 5));
    assert!(!counts.is_observed);
}

#[tokio::test]
async fn pods_that_are_done_or_going_or_not_restartable_do_not_count() {
    let world = World::new();
    let mut done = pod("apps/v1", "StatefulSet", "db", OLD);
    done["status"]["phase"] = json!("Succeeded");
    let mut failed = done.clone();
    failed["status"]["phase"] = json!("Failed");
    let mut going = pod("apps/v1", "StatefulSet", "db", OLD);
    going["metadata"]["deletionTimestamp"] = json!("2026-11-23T08:00:00Z");
    let mut bare = pod("apps/v1", "StatefulSet", "db", OLD);
    bare["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    let mut no_proxy = pod("apps/v1", "StatefulSet", "db", OLD);
    no_proxy["spec"]["containers"] = json!([{"name": "app"}]);
    world.put(PODS, [done, failed, going, bare, no_proxy]);
    world.put(
        PODS,
        [pod("batch/v1", "Job", "job", OLD), pod("apps.kruise.io/v1beta1", "StatefulSet", "db", OLD)],
    );
    world.put(
        PODS,
        [pod("apps/v1", "ReplicaSet", "web-5d4", OLD), pod("apps/v1", "ReplicaSet", "gone-1", OLD)],
    );
    world
        .put("/apis/apps/v1/replicasets", [replica_set("web-5d4", "argoproj.io/v1alpha1", "Rollout", "web")]);
    world.put("/apis/apps/v1/deployments", [replicated("shop", "web")]);
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    assert_eq!(world.clusters.data_plane(&row(), false).await.unwrap().workloads, []);
}

#[tokio::test]
async fn a_workload_that_was_deleted_meanwhile_is_left_out() {
    let world = World::new();
    world.put(PODS, [pod("apps/v1", "StatefulSet", "db", OLD)]);
    assert_eq!(world.clusters.data_plane(&row(), false).await.unwrap().workloads, []);
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let world = World::new();
    world.put(PODS, (0..1203).map(|_| pod("apps/v1", "StatefulSet", "db", OLD)));
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    let found = world.clusters.data_plane(&row(), false).await.unwrap().workloads;
    assert_eq!(found[0].proxies, [(Some(version("1.29.3")), 1203)]);
    let asked = world.asked();
    let tokens: Vec<_> = asked
        .iter()
        .filter(|call| call.request.uri().path() == PODS)
        .map(|call| (parameter(call, "limit").unwrap(), parameter(call, "continue")))
        .collect();
    let page = |token: Option<&str>| ("500".to_owned(), token.map(str::to_owned));
    assert_eq!(tokens, [page(None), page(Some("500")), page(Some("1000"))]);
}

#[tokio::test]
async fn istiod_is_its_deployments_and_the_versions_of_its_pods() {
    let world = World::new();
    let mut canary = replicated("istio-system", "istiod-1-30-5");
    canary["metadata"]["labels"] = json!({"app": "istiod"});
    canary["status"]["updatedReplicas"] = json!(1);
    world.put("/apis/apps/v1/deployments", [canary, replicated("istio-system", "not-istiod")]);
    let mut going = istiod_pod("istio/pilot:1.29.3");
    going["metadata"]["deletionTimestamp"] = json!("2026-11-23T08:00:00Z");
    world.put(
        PODS,
        [
            istiod_pod("istio/pilot:1.30.5"),
            istiod_pod("istio/pilot:1.30.5"),
            istiod_pod("istio/pilot:dev"),
            going,
        ],
    );
    let istiod = world.clusters.rollout(&row()).await.unwrap().istiod;
    assert_eq!(istiod.deployments.keys().collect::<Vec<_>>(), ["istio-system/istiod-1-30-5"]);
    assert!(!istiod.deployments["istio-system/istiod-1-30-5"].is_complete());
    assert_eq!(istiod.pods, [(None, 1), (Some(version("1.30.5")), 2)]);
}

#[tokio::test]
async fn health_holds_everything() {
    let world = World::new();
    world.put("/api/v1/nodes", [node("a", "True"), node("b", "Unknown")]);
    world.put(PODS, [istiod_pod("istio/pilot:1.29.3"), pod("apps/v1", "StatefulSet", "db", OLD)]);
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    let health = world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    let eks = health.eks.unwrap();
    assert_eq!((eks.status.as_str(), health.kubernetes_version.unwrap().as_str()), ("ACTIVE", "1.33"));
    assert_eq!(eks.health_issues, ["Ec2SubnetNotFound"]);
    let nodes = health.nodes.unwrap();
    let nodes: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.is_ready)).collect();
    assert_eq!(nodes, [("a", true), ("b", false)]);
    assert_eq!(health.istiod.unwrap().pods, [(Some(version("1.29.3")), 1)]);
    assert_eq!(health.workloads.unwrap()[0].workload.kind, WorkloadKind::StatefulSet);
    for call in world.asked().iter() {
        assert_eq!(call.request.uri().host(), Some("abc.eks.example"));
        assert_eq!(call.roots.as_deref(), Some("the authority"));
        assert_eq!(call.request.headers()["authorization"], "Bearer hush-token");
        assert!(call.request.headers()["authorization"].is_sensitive());
    }
}
