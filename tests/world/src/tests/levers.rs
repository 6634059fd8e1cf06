use jiff::SignedDuration;
use serde_json::Value;

use super::{CLUSTER, get, gitlab, propose, restart, wait, world};
use crate::System;

#[test]
fn a_suspended_flux_applies_nothing() {
    let world = world();
    world.suspend_flux(CLUSTER, true);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.1"));
    let path = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/istio";
    assert_eq!(get(&world, path).1["spec"]["suspend"], true);
    world.suspend_flux(CLUSTER, false);
    wait(&world, 600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn a_failed_helm_upgrade_stays_failed_until_the_way_back() {
    let world = world();
    world.fail_helm_upgrade(CLUSTER, "1.30.5", "context deadline exceeded");
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    let path = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/istio-system/helmreleases/istio-base";
    let (_, failed) = get(&world, path);
    assert_eq!(failed["status"]["conditions"][0]["reason"], "UpgradeFailed");
    assert_eq!(failed["status"]["history"][0]["status"], "failed");
    assert_eq!(failed["status"]["upgradeFailures"], 1);
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 3600);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert!(cluster.releases.values().all(|words| words == "deployed"), "{:?}", cluster.releases);
}

#[test]
fn a_stalled_istiod_keeps_its_old_pods() {
    let world = world();
    world.stall_istiod(CLUSTER, true);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.istiod_version.as_deref(), Some("1.30.1"));
    let (_, istiod) = get(&world, "/apis/apps/v1/namespaces/istio-system/deployments/istiod");
    assert_eq!(istiod["status"]["updatedReplicas"], 1);
    assert_eq!(istiod["status"]["replicas"], 3);
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 3600);
    let (_, istiod) = get(&world, "/apis/apps/v1/namespaces/istio-system/deployments/istiod");
    assert_eq!((&istiod["status"]["replicas"], &istiod["status"]["updatedReplicas"]), (&2.into(), &2.into()));
}

#[test]
fn a_stalled_workload_stops_at_its_first_pod() {
    let world = world();
    world.stall_workload(CLUSTER, "shop", "web");
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    restart(&world, "deployments", "Deployment", "shop", "web", "1.30.5");
    wait(&world, 3600);
    let web = || world.cluster(CLUSTER).unwrap().workloads.into_iter().find(|one| one.name == "web").unwrap();
    assert_eq!((web().ready, web().settled), (3, false));
    world.release_workload(CLUSTER, "shop", "web");
    wait(&world, 300);
    assert_eq!((web().ready, web().settled), (4, true));
}

#[test]
fn an_outage_answers_with_its_status_for_its_time() {
    let world = world();
    let (from, until) =
        (world.now() + SignedDuration::from_secs(10), world.now() + SignedDuration::from_secs(20));
    world.outage(System::GitLab, from, until, 503);
    let ask = || gitlab(&world, "GET", "", &Value::Null).0;
    assert_eq!(ask(), 200);
    wait(&world, 10);
    assert_eq!(ask(), 503);
    wait(&world, 10);
    assert_eq!(ask(), 200);
    assert_eq!(world.calls()[&System::GitLab], 3);
    assert_eq!(world.requests().iter().map(|one| one.status).collect::<Vec<_>>(), [200, 503, 200]);
    assert!(world.traffic()[&System::GitLab].bytes_out > 0);
}

#[test]
fn an_unknown_host_is_named() {
    let world = world();
    let request = http::Request::get("https://example.org/").body(bytes::Bytes::new()).unwrap();
    let answer = world.handle(request);
    assert_eq!(answer.status(), 502);
    assert!(String::from_utf8_lossy(answer.body()).contains("example.org"));
}
