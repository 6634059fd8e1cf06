//! Flux objects.

use guard_domain::Component;
use guard_tasks::{ClusterHealthReader as _, ErrorName, Extent, RolloutReader as _};
use serde_json::{Value, json};

use crate::objects::release;
use crate::world::{KUSTOMIZATIONS, RELEASES, SOURCES, World, row};

const OCI: &str = "/apis/source.toolkit.fluxcd.io/v1/ocirepositories";
const CHARTS: &str = "/apis/source.toolkit.fluxcd.io/v1/helmcharts";

#[tokio::test]
async fn releases_are_known_by_their_chart() {
    let world = World::new();
    world.put(RELEASES, [release("a-strange-name", "istiod"), release("podinfo", "podinfo")]);
    let found = world.clusters.rollout(&row()).await.unwrap().releases;
    let [istiod] = &found[..] else { panic!("{found:?}") };
    assert_eq!((istiod.name.as_str(), istiod.component), ("istio-system/a-strange-name", Component::Istiod));
    assert_eq!(istiod.spec_version.as_deref(), Some("1.30.5"));
    assert_eq!(istiod.deployed_version.as_deref(), Some("1.30.5+0123456789ab"));
    assert_eq!((istiod.ready.status, istiod.ready.reason.as_str()), (Some(true), "UpgradeSucceeded"));
    assert!(istiod.is_observed && !istiod.is_suspended);
}

async fn bent(bend: impl Fn(&mut Value)) -> guard_domain::HelmReleaseFacts {
    let world = World::new();
    let mut object = release("istiod", "istiod");
    bend(&mut object);
    world.put(RELEASES, [object]);
    world.clusters.rollout(&row()).await.unwrap().releases.remove(0)
}

#[tokio::test]
async fn a_release_is_not_better_than_it_says() {
    assert!(!bent(|r| r["metadata"]["generation"] = json!(4)).await.is_observed);
    assert!(bent(|r| r["spec"]["suspend"] = json!(true)).await.is_suspended);
    let failed = bent(|r| r["status"]["history"][0]["status"] = json!("failed")).await;
    assert_eq!(failed.deployed_version, None, "not the one before it");
    let fresh = bent(|r| {
        r.as_object_mut().unwrap().remove("status");
    })
    .await;
    assert_eq!((fresh.deployed_version, fresh.ready.status, fresh.is_observed), (None, None, false));
    let unknown = bent(|r| r["status"]["conditions"][1]["status"] = json!("Unknown")).await;
    assert_eq!(unknown.ready.status, None);
    let long = bent(|r| r["status"]["conditions"][1]["message"] = json!("x".repeat(5000))).await;
    assert!(long.ready.message.len() < 1000);
}

#[tokio::test]
async fn kustomizations_say_which_commit_they_applied() {
    let world = World::new();
    let object = |name: &str, revision: &str| {
        json!({
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"path": "./clusters/eks-1", "suspend": name == "b"},
            "status": {"lastAppliedRevision": revision}
        })
    };
    let hex = "0123456789abcdef0123456789abcdef01234567";
    world.put(KUSTOMIZATIONS, [object("a", &format!("main@sha1:{hex}")), object("b", "main@sha1:short")]);
    let found = world.clusters.rollout(&row()).await.unwrap().kustomizations;
    assert_eq!((found[0].name.as_str(), found[0].path.as_str()), ("flux-system/a", "clusters/eks-1"));
    assert_eq!((found[0].applied_commit.as_deref(), found[0].is_suspended), (Some(hex), false));
    assert_eq!((found[1].applied_commit.as_deref(), found[1].is_suspended), (None, true));
}

#[tokio::test]
async fn a_chart_by_reference_is_known_by_what_was_installed_and_asks_through_the_reference() {
    for (kind, path, spec, asked) in [
        ("OCIRepository", OCI, json!({"url": "oci://r/istiod", "ref": {"tag": "1.30.6"}}), Some("1.30.6")),
        ("OCIRepository", OCI, json!({"url": "u", "ref": {"tag": "1.30.6", "digest": "sha256:0"}}), None),
        ("OCIRepository", OCI, json!({"url": "u", "ref": {"semver": "1.x"}}), None),
        ("HelmChart", CHARTS, json!({"chart": "istiod", "version": "1.30.6"}), Some("1.30.6")),
    ] {
        let world = World::new();
        let mut by_reference = release("c", "istiod");
        by_reference["spec"] =
            json!({"chartRef": {"kind": kind, "name": "istiod", "namespace": "flux-system"}});
        let mut other = by_reference.clone();
        other["status"]["history"][0]["chartName"] = json!("podinfo");
        world.put(RELEASES, [by_reference, other]);
        world.add(path);
        world.put(path, [json!({"metadata": {"name": "istiod", "namespace": "flux-system"}, "spec": spec})]);
        let found = world.clusters.rollout(&row()).await.unwrap().releases;
        let [istiod] = &found[..] else { panic!("{found:?}") };
        assert_eq!((istiod.component, istiod.spec_version.as_deref()), (Component::Istiod, asked), "{spec}");
        assert_eq!(istiod.source.as_ref().unwrap().to_string(), format!("{kind} flux-system/istiod"));
        let health =
            world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap().flux.unwrap();
        assert_eq!(health.releases, found, "both readers see the same");
    }
}

#[tokio::test]
async fn sources_of_charts_are_read_in_the_version_that_serves_them() {
    let world = World::new();
    let source = |name: &str, spec: Value, ready: &str| {
        json!({"metadata": {"name": name, "namespace": "flux-system", "generation": 2}, "spec": spec,
            "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": ready, "reason": "R"}]}})
    };
    let old = "/apis/source.toolkit.fluxcd.io/v1beta2/ocirepositories";
    let repositories = "/apis/source.toolkit.fluxcd.io/v1/helmrepositories";
    for path in [old, repositories, CHARTS] {
        world.add(path);
    }
    world.put(old, [source("oci", json!({"url": "oci://r/base", "suspend": true}), "False")]);
    world.put(repositories, [source("address", json!({"url": "oci://r", "type": "oci"}), "Unknown")]);
    let from = json!({"chart": "istiod", "version": "1.x", "sourceRef": {"kind": "HelmRepository", "name": "address"}});
    world.put(CHARTS, [source("chart", from, "True")]);
    let found = world
        .clusters
        .health(&row(), Extent::Whole, crate::world::MINUTE)
        .await
        .unwrap()
        .chart_sources
        .unwrap();
    let seen: Vec<_> = found
        .iter()
        .map(|one| {
            (one.source.name.as_str(), one.ready.status, one.is_suspended, one.is_address, one.is_observed)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("flux-system/address", None, false, true, true),
            ("flux-system/oci", Some(false), true, false, true),
            ("flux-system/chart", Some(true), false, false, true),
        ]
    );
    assert_eq!(found[2].from.as_ref().unwrap().to_string(), "HelmRepository flux-system/address");
    assert_eq!((found[1].url.as_str(), found[2].version.as_deref()), ("oci://r/base", Some("1.x")));
}

#[tokio::test]
async fn a_kustomization_names_what_it_follows_and_waits_for() {
    let world = World::new();
    world.put(
        KUSTOMIZATIONS,
        [json!({
            "metadata": {"name": "istio", "namespace": "mesh", "generation": 3},
            "spec": {"path": "./istio", "sourceRef": {"kind": "GitRepository", "name": "fleet", "namespace": "flux-system"},
                "dependsOn": [{"name": "crds"}, {"name": "certs", "namespace": "security"}]},
            "status": {"observedGeneration": 2}
        })],
    );
    let found = world.clusters.rollout(&row()).await.unwrap().kustomizations;
    assert_eq!(found[0].source.as_ref().unwrap().to_string(), "GitRepository flux-system/fleet");
    assert_eq!(found[0].depends_on, ["mesh/crds", "security/certs"]);
    assert!(!found[0].is_observed);
}

#[tokio::test]
async fn a_release_says_its_revision_its_failures_and_who_has_given_up() {
    let found = bent(|r| {
        r["spec"]["values"] = json!({"revision": "1-30"});
        r["spec"]["valuesFrom"] = json!([{"kind": "ConfigMap", "name": "v"}]);
        r["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
        r["status"]["failures"] = json!(3);
        r["status"]["helmChart"] = json!("flux-system/istio-system-istiod");
        let more = r["status"]["conditions"].as_array_mut().unwrap();
        more.push(json!({"type": "Stalled", "status": "True", "reason": "RetriesExceeded", "message": "m"}));
        more.push(
            json!({"type": "Remediated", "status": "True", "reason": "RollbackSucceeded", "message": "m"}),
        );
    })
    .await;
    assert_eq!((found.revision.as_deref(), found.has_other_values, found.failures), (Some("1-30"), true, 3));
    assert_eq!(found.helm_chart.as_deref(), Some("flux-system/istio-system-istiod"));
    assert_eq!((found.stalled.status, found.stalled.reason.as_str()), (Some(true), "RetriesExceeded"));
    assert_eq!((found.remediated.status, found.released.status), (Some(true), Some(true)));
    assert!(found.is_left_alone);
    for revision in [json!(""), json!("default"), Value::Null] {
        assert_eq!(bent(|r| r["spec"]["values"] = json!({"revision": revision})).await.revision, None);
    }
}

#[tokio::test]
async fn suspended_sources_are_named() {
    let world = World::new();
    let object = |name: &str, suspend: Value| {
        json!({
            "metadata": {"name": name, "namespace": "flux-system"}, "spec": {"url": "u", "suspend": suspend}
        })
    };
    world.put(SOURCES, [object("a", json!(true)), object("b", json!(false)), object("c", Value::Null)]);
    let found = world.clusters.rollout(&row()).await.unwrap().repositories;
    let suspended: Vec<&str> =
        found.iter().filter(|one| one.is_suspended).map(|one| one.source.name.as_str()).collect();
    assert_eq!((suspended, found.len()), (vec!["flux-system/a"], 3));
}

#[tokio::test]
async fn the_version_a_cluster_serves_is_used() {
    let world = World::new();
    world.remove(RELEASES);
    let beta = "/apis/helm.toolkit.fluxcd.io/v2beta2/helmreleases";
    world.add(beta);
    world.put(beta, [release("istiod", "istiod")]);
    assert_eq!(world.clusters.rollout(&row()).await.unwrap().releases.len(), 1);
}

#[tokio::test]
async fn a_missing_group_is_named() {
    for (path, group) in [
        (RELEASES, "helm.toolkit.fluxcd.io"),
        (KUSTOMIZATIONS, "kustomize.toolkit.fluxcd.io"),
        (SOURCES, "source.toolkit.fluxcd.io"),
    ] {
        let world = World::new();
        world.remove(path);
        let error = world.clusters.rollout(&row()).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        assert!(error.chain().contains(&format!("no API group {group}")), "{error}");
    }
}
