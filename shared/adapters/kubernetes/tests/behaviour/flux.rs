//! Flux objects.

use guard_domain::Component;
use guard_tasks::{ErrorName, RolloutReader as _};
use serde_json::{Value, json};

use crate::objects::release;
use crate::world::{KUSTOMIZATIONS, RELEASES, SOURCES, World, row};

#[tokio::test]
async fn releases_are_known_by_their_chart() {
    let world = World::new();
    let mut by_reference = release("c", "istiod");
    by_reference["spec"] = json!({"chartRef": {"kind": "OCIRepository", "name": "istiod"}});
    world.put(RELEASES, [release("a-strange-name", "istiod"), release("podinfo", "podinfo"), by_reference]);
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
    assert!(long.ready.message.len() < 400);
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
async fn suspended_sources_are_named() {
    let world = World::new();
    let object = |name: &str, suspend: Value| {
        json!({
            "metadata": {"name": name, "namespace": "flux-system"}, "spec": {"url": "u", "suspend": suspend}
        })
    };
    world.put(SOURCES, [object("a", json!(true)), object("b", json!(false)), object("c", Value::Null)]);
    assert_eq!(world.clusters.rollout(&row()).await.unwrap().suspended_sources, ["flux-system/a"]);
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
