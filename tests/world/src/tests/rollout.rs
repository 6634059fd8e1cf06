use serde_json::{Value, json};

use super::{CLUSTER, get, patch, propose, restart_all, wait, world};
use crate::{World, WorldSpec};

fn release(world: &World, namespace: &str, name: &str) -> Value {
    get(world, &format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/{name}")).1
}

fn ready(object: &Value) -> (&str, &str) {
    let all = object["status"]["conditions"].as_array().unwrap();
    let one = all.iter().find(|one| one["type"] == "Ready").unwrap();
    (one["status"].as_str().unwrap(), one["reason"].as_str().unwrap())
}

#[test]
fn a_merged_bump_goes_through_flux_and_istiod_and_reaches_proxies_by_restart() {
    let world = world();
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 20 * 60);
    assert_eq!(world.merge_requests()[0].state, "merged");
    let stale = release(&world, "istio-system", "istiod");
    assert_eq!(ready(&stale), ("True", "InstallSucceeded"), "the old chart is still Ready");
    assert_eq!(stale["status"]["history"][0]["chartVersion"], "1.30.1");

    let head = world.branches()["main"].clone();
    let (mut blocked, mut upgrading) = (false, false);
    for _ in 0..60 {
        wait(&world, 5);
        let istiod = release(&world, "istio-system", "istiod");
        blocked |= ready(&istiod) == ("False", "DependencyNotReady");
        upgrading |= ready(&istiod).0 == "Unknown";
    }
    assert!(blocked && upgrading, "istiod waits for base, then upgrades");
    let (_, kustomization) =
        get(&world, "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/istio");
    assert_eq!(kustomization["status"]["lastAppliedRevision"], format!("main@sha1:{head}"));
    let done = release(&world, "istio-system", "istiod");
    assert_eq!(done["metadata"]["generation"], 2);
    assert_eq!(done["status"]["observedGeneration"], 2);
    assert_eq!(ready(&done), ("True", "UpgradeSucceeded"));
    assert_eq!(done["status"]["history"][0]["chartVersion"], "1.30.5");
    assert_eq!(done["status"]["history"][1]["status"], "superseded");

    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.istiod_version.as_deref(), Some("1.30.5"));
    let gateway = &cluster.gateways[0];
    assert_eq!(gateway.proxy_versions.get("1.30.5"), Some(&2), "the gateway's chart rolls it by itself");
    assert_eq!(cluster.proxy_versions.get("1.30.1"), Some(&15), "sidecars stay until a restart");

    restart_all(&world, "1.30.5");
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.proxy_versions.keys().collect::<Vec<_>>(), ["1.30.5"]);
    let other = world.cluster("test-euw1-2").unwrap();
    assert_eq!(other.istiod_version.as_deref(), Some("1.30.1"), "the other cluster's files did not change");
}

#[test]
fn a_rollback_finds_its_way_back() {
    let world = world();
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 30 * 60);
    restart_all(&world, "1.30.5");
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 15 * 60);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.istiod_version.as_deref(), Some("1.30.1"));
    assert_eq!(cluster.proxy_versions.get("1.30.5"), Some(&15));
    restart_all(&world, "1.30.1");
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.proxy_versions.keys().collect::<Vec<_>>(), ["1.30.1"]);
}

#[test]
fn files_of_every_kind_are_read() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    let beta = spec.files["clusters/test-euw1-1/istio/istiod.yaml"]
        .replace("helm.toolkit.fluxcd.io/v2", "helm.toolkit.fluxcd.io/v2beta1")
        .replace("meshID: mesh1", "tag: 1.30.0\n      meshID: mesh1")
        .replace('\n', "\r\n");
    spec.files.insert("clusters/test-euw1-1/istio/istiod.yaml".to_owned(), beta);
    let world = World::new(spec);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.charts["istio-system/istiod"], "1.30.1");
    assert_eq!(cluster.istiod_version.as_deref(), Some("1.30.0"), "a pinned tag wins over the chart");
    assert_eq!(release(&world, "istio-system", "istiod")["apiVersion"], "helm.toolkit.fluxcd.io/v2");
}

#[test]
fn a_broken_file_is_told_by_the_kustomization() {
    let world = world();
    world.push("main", "clusters/test-euw1-1/istio/base.yaml", Some("a: [1\n"), "Oops").unwrap();
    wait(&world, 120);
    let path = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/istio";
    let (_, broken) = get(&world, path);
    assert_eq!(ready(&broken), ("False", "BuildFailed"));
    assert_ne!(broken["status"]["lastAppliedRevision"], broken["status"]["lastAttemptedRevision"]);
    let fixed = crate::istio_files(CLUSTER, "1.30.1")[0].1.clone();
    world.push("main", "clusters/test-euw1-1/istio/base.yaml", Some(&fixed), "Mend").unwrap();
    wait(&world, 120);
    assert_eq!(ready(&get(&world, path).1).0, "True");
}

#[test]
fn a_poke_is_handled_at_once() {
    let world = world();
    world.push("main", "README.md", Some("x"), "x").unwrap();
    let path = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/fleet";
    let sent = json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "now-1" } } });
    assert_eq!(patch(&world, path, "application/merge-patch+json", &sent).0, 200);
    wait(&world, 2);
    let (_, repository) = get(&world, path);
    assert_eq!(repository["status"]["lastHandledReconcileAt"], "now-1");
    assert_eq!(
        repository["status"]["artifact"]["revision"],
        format!("main@sha1:{}", world.branches()["main"])
    );
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = || {
        let world = world();
        propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
        wait(&world, 21 * 60);
        let pods = get(&world, "/api/v1/pods").1;
        (world.branches(), pods, world.requests(), world.traffic(), world.ca_pem())
    };
    assert_eq!(story(), story());
}

#[test]
fn a_step_or_a_leap_ends_in_the_same_place() {
    let run = |steps: i64| {
        let world = world();
        propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
        for _ in 0..steps {
            wait(&world, 3600 / steps);
        }
        world.cluster(CLUSTER)
    };
    assert_eq!(run(1), run(360));
}
