//! How workloads replace their pods.

use serde_json::{Value, json};

use super::{CLUSTER, get, mark, wait, with_workloads};
use crate::{Amount, NodeFamily, NodeGroup, Strategy, WorkloadKind, WorkloadSpec, World, WorldSpec};

fn object(world: &World, plural: &str, name: &str) -> Value {
    get(world, &format!("/apis/apps/v1/namespaces/team/{plural}/{name}")).1
}

fn pods(world: &World, app: &str) -> Vec<Value> {
    let (_, list) = get(world, &format!("/api/v1/namespaces/team/pods?labelSelector=app%3D{app}"));
    list["items"].as_array().unwrap().clone()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn marked(pod: &Value) -> Option<&str> {
    pod["metadata"]["annotations"]["guard.istio.io/restart"].as_str()
}

/// The most pods and the fewest ready ones during the next three minutes.
fn extremes(world: &World, app: &str) -> (usize, usize) {
    let (mut most, mut least) = (0, usize::MAX);
    for _ in 0..180 {
        wait(world, 1);
        let now = pods(world, app);
        most = most.max(now.len());
        least = least.min(now.iter().filter(|pod| is_ready(pod)).count());
    }
    assert!(pods(world, app).iter().all(|pod| is_ready(pod) && marked(pod) == Some("one")), "{app}");
    (most, least)
}

#[test]
fn a_deployment_keeps_to_its_limits() {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let team = |name: &str, kind: WorkloadKind| WorkloadSpec::new("team", name, kind, 6);
    for (spec, plural, expected) in [
        (team("usual", Deployment), "deployments", (6, 5)),
        (team("wide", Deployment).rolling(3, 0), "deployments", (6, 3)),
        (team("surging", Deployment).rolling(0, 2), "deployments", (8, 6)),
        (team("shares", Deployment).rolling(Amount::Percent(25), Amount::Percent(25)), "deployments", (8, 5)),
        (team("both-none", Deployment).rolling(0, 0), "deployments", (6, 5)),
        (team("fresh", Deployment).replaced_by(Strategy::Recreate), "deployments", (6, 0)),
        (team("store", StatefulSet).rolling(2, 0), "statefulsets", (6, 4)),
        (team("agent", DaemonSet).rolling(Amount::Percent(34), 0), "daemonsets", (6, 3)),
        (team("twice", DaemonSet).rolling(0, 1), "daemonsets", (7, 6)),
    ] {
        let (name, kind) = (spec.name.clone(), spec.kind);
        let world = with_workloads(vec![spec]);
        assert_eq!(mark(&world, kind, "team", &name, "one").0, 200);
        let seen = extremes(&world, &name);
        assert_eq!(seen, expected, "{name}");
        let view =
            world.cluster(CLUSTER).unwrap().workloads.into_iter().find(|one| one.name == name).unwrap();
        assert!(view.settled && view.restarts == 1 && view.ready == 6, "{view:?}");
        assert_eq!(object(&world, plural, &name)["status"]["observedGeneration"], 2);
    }
}

#[test]
fn strategies_are_told_as_they_are_written() {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let team = |name: &str, kind: WorkloadKind| WorkloadSpec::new("team", name, kind, 3);
    let world = with_workloads(vec![
        team("a", Deployment).rolling(Amount::Percent(50), 1),
        team("b", Deployment).replaced_by(Strategy::Recreate),
        team("c", StatefulSet).with_partition(2),
        team("d", StatefulSet).replaced_by(Strategy::OnDelete),
        team("e", DaemonSet).replaced_by(Strategy::OnDelete),
        team("f", StatefulSet).rolling(2, 0),
    ]);
    let rolling = |limits: Value| json!({ "type": "RollingUpdate", "rollingUpdate": limits });
    let strategy = |plural: &str, name: &str| {
        let spec = object(&world, plural, name)["spec"].take();
        let field = if plural == "deployments" { "strategy" } else { "updateStrategy" };
        spec[field].clone()
    };
    assert_eq!(strategy("deployments", "a"), rolling(json!({ "maxUnavailable": "50%", "maxSurge": 1 })));
    assert_eq!(strategy("deployments", "b"), json!({ "type": "Recreate" }));
    assert_eq!(strategy("statefulsets", "c"), rolling(json!({ "partition": 2 })));
    assert_eq!(strategy("statefulsets", "d"), json!({ "type": "OnDelete" }));
    assert_eq!(strategy("daemonsets", "e"), json!({ "type": "OnDelete" }));
    assert_eq!(strategy("statefulsets", "f"), rolling(json!({ "partition": 0, "maxUnavailable": 2 })));
}

#[test]
fn a_recreated_deployment_has_no_pod_for_a_moment() {
    let spec =
        WorkloadSpec::new("team", "fresh", WorkloadKind::Deployment, 3).replaced_by(Strategy::Recreate);
    let world = with_workloads(vec![spec]);
    mark(&world, WorkloadKind::Deployment, "team", "fresh", "one");
    wait(&world, 2);
    assert_eq!(pods(&world, "fresh").len(), 0);
    let status = object(&world, "deployments", "fresh")["status"].take();
    assert_eq!((&status["replicas"], &status["unavailableReplicas"]), (&json!(0), &json!(3)));
    wait(&world, 60);
    assert_eq!(pods(&world, "fresh").iter().filter(|pod| marked(pod) == Some("one")).count(), 3);
}

#[test]
fn on_delete_waits_for_somebody_to_delete() {
    let spec =
        WorkloadSpec::new("team", "store", WorkloadKind::StatefulSet, 3).replaced_by(Strategy::OnDelete);
    let world = with_workloads(vec![spec]);
    mark(&world, WorkloadKind::StatefulSet, "team", "store", "one");
    wait(&world, 600);
    let status = object(&world, "statefulsets", "store")["status"].take();
    assert_eq!((&status["observedGeneration"], &status["updatedReplicas"]), (&json!(2), &json!(0)));
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(super::evict(&world, "team", "store-1").0, 201);
    wait(&world, 60);
    let marks: Vec<Option<String>> =
        pods(&world, "store").iter().map(|pod| marked(pod).map(str::to_owned)).collect();
    assert_eq!(marks, [None, Some("one".to_owned()), None]);
    let status = object(&world, "statefulsets", "store")["status"].take();
    assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(3), &json!(1)));
    let [roll] = world.rolls(CLUSTER).try_into().unwrap();
    assert!(roll.waits);
}

#[test]
fn a_partition_keeps_lower_ordinals_even_when_they_are_deleted() {
    let spec = WorkloadSpec::new("team", "store", WorkloadKind::StatefulSet, 4).with_partition(2);
    let world = with_workloads(vec![spec]);
    mark(&world, WorkloadKind::StatefulSet, "team", "store", "one");
    wait(&world, 180);
    let marks = |world: &World| -> Vec<bool> {
        pods(world, "store").iter().map(|pod| marked(pod).is_some()).collect()
    };
    assert_eq!(marks(&world), [false, false, true, true]);
    let status = object(&world, "statefulsets", "store")["status"].take();
    assert_eq!((&status["updatedReplicas"], &status["currentReplicas"]), (&json!(2), &json!(2)));
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(super::evict(&world, "team", "store-0").0, 201);
    wait(&world, 60);
    assert_eq!(marks(&world), [false, false, true, true]);
}

#[test]
fn a_paused_deployment_rolls_when_it_is_resumed() {
    let world = with_workloads(vec![WorkloadSpec::new("team", "web", WorkloadKind::Deployment, 3).paused()]);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 600);
    let web = object(&world, "deployments", "web");
    assert_eq!((&web["spec"]["paused"], &web["status"]["observedGeneration"]), (&json!(true), &json!(2)));
    assert_eq!((&web["status"]["updatedReplicas"], &web["status"]["readyReplicas"]), (&json!(0), &json!(3)));
    assert_eq!(web["status"]["conditions"][1]["reason"], "DeploymentPaused");
    assert!(pods(&world, "web").iter().all(|pod| marked(pod).is_none()));
    let name = pods(&world, "web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(super::evict(&world, "team", &name).0, 201);
    wait(&world, 60);
    assert!(
        pods(&world, "web").iter().all(|pod| marked(pod).is_none() && is_ready(pod)),
        "made of the old template"
    );
    world.pause_workload(CLUSTER, "team", "web", false);
    wait(&world, 120);
    assert!(pods(&world, "web").iter().all(|pod| marked(pod) == Some("one")));
    let web = object(&world, "deployments", "web");
    assert_eq!((&web["metadata"]["generation"], web["spec"].get("paused")), (&json!(3), None));
    assert_eq!(web["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable");
}

#[test]
fn nothing_is_restarted_of_a_workload_without_pods() {
    let world = with_workloads(vec![WorkloadSpec::new("team", "web", WorkloadKind::Deployment, 0)]);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 30);
    let web = object(&world, "deployments", "web");
    assert_eq!((&web["spec"]["replicas"], &web["status"]["replicas"]), (&json!(0), &json!(0)));
    assert_eq!(web["status"]["observedGeneration"], 2);
    assert!(world.cluster(CLUSTER).unwrap().workloads.iter().all(|one| one.settled));
}

#[test]
fn pods_go_to_the_nodes_they_ask_for() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    let cluster = &mut spec.clusters[0];
    cluster.node_groups = vec![
        NodeGroup { family: NodeFamily::AmazonLinux2023, nodes: 2 },
        NodeGroup { family: NodeFamily::Bottlerocket, nodes: 3 },
    ];
    let team = |name: &str, kind: WorkloadKind| WorkloadSpec::new("team", name, kind, 3);
    cluster.workloads = vec![
        team("web", WorkloadKind::Deployment).on_nodes(NodeFamily::Bottlerocket).starting_in(40),
        team("agent", WorkloadKind::DaemonSet).on_nodes(NodeFamily::Bottlerocket),
    ];
    let world = World::new(spec);
    let (_, nodes) = get(&world, "/api/v1/nodes");
    let image = |name: &Value| -> String {
        let found = nodes["items"].as_array().unwrap().iter().find(|node| node["metadata"]["name"] == *name);
        found.unwrap()["status"]["nodeInfo"]["osImage"].as_str().unwrap().to_owned()
    };
    let images: Vec<String> =
        nodes["items"].as_array().unwrap().iter().map(|node| image(&node["metadata"]["name"])).collect();
    assert_eq!(images.iter().filter(|one| one.starts_with("Amazon Linux 2023")).count(), 2);
    assert_eq!(images.iter().filter(|one| one.starts_with("Bottlerocket OS")).count(), 3);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    mark(&world, WorkloadKind::DaemonSet, "team", "agent", "one");
    wait(&world, 39);
    assert_eq!(
        pods(&world, "web").iter().filter(|pod| is_ready(pod)).count(),
        2,
        "a pod takes forty seconds"
    );
    wait(&world, 200);
    for app in ["web", "agent"] {
        let pods = pods(&world, app);
        assert!(pods.iter().all(|pod| image(&pod["spec"]["nodeName"]).starts_with("Bottlerocket")), "{app}");
        assert_eq!(pods[0]["spec"]["nodeSelector"]["eks.amazonaws.com/nodegroup"], "bottlerocket");
    }
    let mut names: Vec<String> =
        pods(&world, "agent").iter().map(|pod| pod["spec"]["nodeName"].to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3, "one on each node");
}
