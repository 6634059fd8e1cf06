//! What goes wrong with pods, and how it is told: by the pods, by their workload, by events.

use serde_json::{Value, json};

use super::{CLUSTER, get, mark, propose, restart_all, wait, with_workloads, world};
use crate::{Trouble, WorkloadKind, WorkloadSpec, World};

fn web() -> World {
    with_workloads(vec![
        WorkloadSpec::new("team", "web", WorkloadKind::Deployment, 3),
        WorkloadSpec::new("team", "store", WorkloadKind::StatefulSet, 2).with_native_sidecar(),
    ])
}

/// The pod that never becomes ready.
fn stuck(world: &World, app: &str) -> Value {
    let (_, list) = get(world, &format!("/api/v1/namespaces/team/pods?labelSelector=app%3D{app}"));
    let is_stuck = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        !conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    list["items"].as_array().unwrap().iter().find(is_stuck).unwrap().clone()
}

fn events(world: &World, query: &str) -> Vec<Value> {
    let (status, list) = get(world, &format!("/api/v1/namespaces/team/events?{query}"));
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

fn status_of<'a>(pod: &'a Value, list: &str, container: &str) -> &'a Value {
    pod["status"][list].as_array().unwrap().iter().find(|one| one["name"] == container).unwrap()
}

#[test]
fn a_crashing_container_is_started_again_and_again() {
    let world = web();
    world.stall_workload_for_good(CLUSTER, "team", "web", Trouble::CrashLoop);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 60);
    let restarts =
        |pod: &Value| status_of(pod, "containerStatuses", "istio-proxy")["restartCount"].as_u64().unwrap();
    let early = stuck(&world, "web");
    wait(&world, 600);
    let late = stuck(&world, "web");
    assert!(restarts(&early) >= 1 && restarts(&late) > restarts(&early) + 2, "{early}");
    let proxy = status_of(&late, "containerStatuses", "istio-proxy");
    assert_eq!(proxy["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!((&proxy["lastState"]["terminated"]["exitCode"], &proxy["ready"]), (&json!(1), &json!(false)));
    let name = late["metadata"]["name"].as_str().unwrap();
    let [told] = events(&world, &format!("fieldSelector=involvedObject.name%3D{name},type%3DWarning"))
        .try_into()
        .unwrap();
    assert_eq!((&told["reason"], &told["involvedObject"]["kind"]), (&json!("BackOff"), &json!("Pod")));
    assert_eq!(told["source"]["component"], "kubelet");
    assert!(told["count"].as_u64().unwrap() > 10 && told["firstTimestamp"] != told["lastTimestamp"]);
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .starts_with("Back-off restarting failed container istio-proxy in pod ")
    );
}

#[test]
fn an_image_that_cannot_be_pulled_keeps_a_pod_pending() {
    let world = web();
    world.stall_workload_for_good(CLUSTER, "team", "store", Trouble::ImagePull);
    mark(&world, WorkloadKind::StatefulSet, "team", "store", "one");
    wait(&world, 120);
    let pod = stuck(&world, "store");
    assert_eq!(pod["status"]["phase"], "Pending");
    let init = status_of(&pod, "initContainerStatuses", "istio-init");
    assert_eq!(
        init["state"]["waiting"]["reason"], "ImagePullBackOff",
        "the init container needs the image first"
    );
    assert_eq!(
        status_of(&pod, "containerStatuses", "store")["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    let native = status_of(&pod, "initContainerStatuses", "istio-proxy");
    assert_eq!(native["state"]["waiting"]["reason"], "PodInitializing", "the same image, later");
    let reasons: Vec<String> = events(&world, "fieldSelector=involvedObject.kind%3DPod")
        .iter()
        .map(|one| format!("{} {}", one["type"].as_str().unwrap(), one["message"].as_str().unwrap()))
        .collect();
    for wanted in
        ["Warning Error: ImagePullBackOff", "Normal Back-off pulling image", "Warning Failed to pull image"]
    {
        assert!(reasons.iter().any(|one| one.starts_with(wanted)), "{wanted}: {reasons:#?}");
    }
}

#[test]
fn a_pod_that_no_node_takes_has_no_containers() {
    let world = web();
    world.stall_workload_for_good(CLUSTER, "team", "web", Trouble::Unschedulable);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 120);
    let pod = stuck(&world, "web");
    assert_eq!((pod["spec"].get("nodeName"), pod["status"].get("containerStatuses")), (None, None));
    let [condition] =
        <[Value; 1]>::try_from(pod["status"]["conditions"].as_array().unwrap().clone()).unwrap();
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("PodScheduled"), &json!("Unschedulable")));
    let [told] = events(&world, "fieldSelector=reason%3DFailedScheduling").try_into().unwrap();
    assert_eq!(told["message"], condition["message"]);
    // As the scheduler writes it: a newer kind of event, which has no count.
    assert_eq!((told.get("count"), &told["lastTimestamp"]), (None, &Value::Null));
    assert!(told["eventTime"].is_string() && told["series"]["count"].as_u64().unwrap() > 1);
}

#[test]
fn a_deployment_without_progress_says_so_after_its_deadline() {
    let world = with_workloads(vec![
        WorkloadSpec::new("team", "web", WorkloadKind::Deployment, 3).with_progress_deadline(300),
    ]);
    world.stall_workload_for_good(CLUSTER, "team", "web", Trouble::NotReady);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    let progressing = || {
        let (_, web) = get(&world, "/apis/apps/v1/namespaces/team/deployments/web");
        let condition = web["status"]["conditions"][1].clone();
        assert_eq!(condition["type"], "Progressing");
        (condition["status"].as_str().unwrap().to_owned(), condition["reason"].as_str().unwrap().to_owned())
    };
    wait(&world, 299);
    assert_eq!(progressing(), ("True".to_owned(), "ReplicaSetUpdated".to_owned()));
    wait(&world, 3);
    assert_eq!(progressing(), ("False".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    let [told] = events(&world, "fieldSelector=type%3DWarning").try_into().unwrap();
    assert_eq!(told["reason"], "Unhealthy");
    world.release_workload(CLUSTER, "team", "web");
    wait(&world, 120);
    assert_eq!(progressing(), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
}

#[test]
fn without_an_injector_no_pod_of_the_mesh_is_made() {
    let world = web();
    world.injector_down(CLUSTER, true);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    mark(&world, WorkloadKind::StatefulSet, "team", "store", "one");
    wait(&world, 300);
    let view = world.cluster(CLUSTER).unwrap();
    assert!(view.workloads.iter().all(|one| one.ready == one.replicas - 1), "{:?}", view.workloads);
    let [set] = events(&world, "fieldSelector=involvedObject.kind%3DReplicaSet").try_into().unwrap();
    assert_eq!(
        (&set["reason"], &set["source"]["component"]),
        (&json!("FailedCreate"), &json!("replicaset-controller"))
    );
    assert!(
        set["message"]
            .as_str()
            .unwrap()
            .contains("failed calling webhook \"namespace.sidecar-injector.istio.io\"")
    );
    assert!(set["count"].as_u64().unwrap() > 5);
    assert_eq!(events(&world, "fieldSelector=involvedObject.kind%3DStatefulSet").len(), 1);
    let (_, web) = get(&world, "/apis/apps/v1/namespaces/team/deployments/web");
    assert_eq!(web["status"]["conditions"][2]["type"], "ReplicaFailure");
    world.injector_down(CLUSTER, false);
    wait(&world, 120);
    assert!(world.cluster(CLUSTER).unwrap().workloads.iter().all(|one| one.settled));
    assert_eq!(world.cluster(CLUSTER).unwrap().max_unavailable_pods, 2);
    let (_, web) = get(&world, "/apis/apps/v1/namespaces/team/deployments/web");
    assert_eq!(web["status"]["conditions"].as_array().unwrap().len(), 2);
}

#[test]
fn events_are_paged_and_forgotten_after_an_hour() {
    let world = web();
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 120);
    let all = events(&world, "");
    assert_eq!(all.len(), 3, "three pods began");
    assert!(all.iter().all(|one| one["type"] == "Normal" && one["reason"] == "Started"));
    let (_, page) = get(&world, "/api/v1/namespaces/team/events?limit=2");
    assert_eq!((page["items"].as_array().unwrap().len(), &page["kind"]), (2, &json!("EventList")));
    assert!(page["metadata"]["continue"].is_string());
    assert_eq!(get(&world, "/api/v1/events?fieldSelector=involvedObject.colour%3Dred").0, 400);
    wait(&world, 3600);
    assert_eq!(events(&world, "").len(), 0);
}

#[test]
fn a_crashing_istiod_is_told_as_one() {
    let world = world();
    world.stall_istiod_as(CLUSTER, Some(Trouble::CrashLoop));
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    let (_, list) = get(&world, "/api/v1/namespaces/istio-system/pods?labelSelector=app%3Distiod");
    let new: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pod| pod["spec"]["containers"][0]["image"] == "docker.io/istio/pilot:1.30.5")
        .collect();
    let discovery = status_of(new[0], "containerStatuses", "discovery");
    assert_eq!(discovery["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert!(discovery["restartCount"].as_u64().unwrap() > 5);
    world.stall_istiod_as(CLUSTER, None);
    wait(&world, 600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn a_pod_says_since_when_it_is_ready() {
    let world = web();
    world.stall_workload_for_good(CLUSTER, "team", "web", Trouble::NotReady);
    mark(&world, WorkloadKind::Deployment, "team", "web", "one");
    wait(&world, 2);
    let name = stuck(&world, "web")["metadata"]["name"].as_str().unwrap().to_owned();
    wait(&world, 1000);
    world.release_workload(CLUSTER, "team", "web");
    let released = world.now();
    wait(&world, 200);
    let (_, pod) = get(&world, &format!("/api/v1/namespaces/team/pods/{name}"));
    let ready =
        pod["status"]["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Ready").unwrap();
    let since: jiff::Timestamp = ready["lastTransitionTime"].as_str().unwrap().parse().unwrap();
    let made: jiff::Timestamp = pod["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    assert!(since >= released && since.duration_since(released).as_secs() <= 5, "{since}");
    assert!(released.duration_since(made).as_secs() >= 1000);
}

#[test]
fn a_stall_ends_with_the_way_back() {
    let world = world();
    world.stall_workload_as(CLUSTER, "shop", "web", Trouble::ImagePull);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 30 * 60);
    restart_all(&world, "up");
    let ready =
        || world.cluster(CLUSTER).unwrap().workloads.into_iter().find(|one| one.name == "web").unwrap().ready;
    assert_eq!(ready(), 3);
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 15 * 60);
    restart_all(&world, "back");
    assert_eq!(ready(), 4);
}
