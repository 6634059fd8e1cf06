//! Flux: what is between the branch and Istio's releases.

use std::collections::BTreeMap;

use guard_domain::Severity;
use guard_simulation::House;
use guard_world::istio_files_by_reference;
use serde_json::{Value, json};

use crate::bends::{Bend, Case, named, not_ready};
use crate::{CLUSTER, fleet, found};

/// istiod's release, refused by Helm with these words; the helm-controller has given up.
fn fails(message: &'static str) -> Bend {
    named("istiod", move |release| {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message});
        release["status"]["history"][0]["status"] = json!("failed");
        release["status"]["conditions"] = json!([
            condition("Ready", "False", "UpgradeFailed", message),
            condition("Released", "False", "UpgradeFailed", message),
            condition("Stalled", "True", "RetriesExceeded", "Failed to upgrade after 1 attempt(s)"),
        ]);
    })
}

/// The base chart at a version of its own.
fn deployed(version: &'static str) -> Bend {
    named("istio-base", move |it| it["status"]["history"][0]["chartVersion"] = json!(version))
}

fn progresses(object: &mut Value) {
    object["status"]["conditions"] =
        json!([{"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "m"}]);
}

/// A second release of the same chart.
fn another_istiod(spec: fn(&mut Value)) -> Bend {
    Box::new(move |releases| {
        let istiod = releases.iter().find(|one| one["metadata"]["name"] == "istiod");
        let mut other = istiod.unwrap().clone();
        other["metadata"]["name"] = json!("istiod-2");
        spec(&mut other["spec"]);
        releases.push(other);
    })
}

pub(crate) fn bends() -> Vec<Case> {
    let mut all = chain();
    all.extend(releases());
    all
}

/// From the branch to the releases.
fn chain() -> Vec<Case> {
    vec![
        (
            "FLUX_SUSPENDED",
            "gitrepositories",
            Box::new(|objects| objects[0]["spec"]["suspend"] = json!(true)),
        ),
        ("KUSTOMIZATION_NOT_READY", "kustomizations", Box::new(|objects| not_ready(&mut objects[0]))),
        (
            "NO_KUSTOMIZATION",
            "kustomizations",
            Box::new(|objects| objects[0]["spec"]["path"] = json!("./elsewhere")),
        ),
        ("GIT_SOURCE_NOT_READY", "gitrepositories", Box::new(|objects| not_ready(&mut objects[0]))),
        ("GIT_SOURCE_MISSING", "gitrepositories", Box::new(Vec::clear)),
        ("CHART_SOURCE_NOT_READY", "helmcharts", Box::new(|objects| not_ready(&mut objects[0]))),
        ("CHART_SOURCE_MISSING", "helmrepositories", Box::new(Vec::clear)),
        (
            "CHART_HOST_RETIRES",
            "helmrepositories",
            named("istio", |it| {
                it["spec"]["url"] = json!("https://istio-release.storage.googleapis.com/charts");
            }),
        ),
        (
            "CHART_SOURCE_SUSPENDED",
            "helmrepositories",
            named("istio", |it| it["spec"]["suspend"] = json!(true)),
        ),
    ]
}

/// The releases themselves.
fn releases() -> Vec<Case> {
    vec![
        ("HELM_RELEASE_NOT_READY", "helmreleases", named("istiod", not_ready)),
        ("NO_HELM_RELEASES", "helmreleases", Box::new(Vec::clear)),
        (
            "DRIFT_DETECTION",
            "helmreleases",
            named("istiod", |it| it["spec"]["driftDetection"] = json!({"mode": "enabled"})),
        ),
        (
            "HELM_OWNERSHIP",
            "helmreleases",
            fails("exists and cannot be imported into the current release: invalid ownership metadata"),
        ),
        (
            "HELM_FIELD_CONFLICT",
            "helmreleases",
            fails("Apply failed with 1 conflict: conflict with \"pilot-discovery\""),
        ),
        ("HELM_RETRIES_EXHAUSTED", "helmreleases", fails("timed out waiting for the condition")),
        (
            "HELM_REMEDIATED",
            "helmreleases",
            named("istiod", |it| {
                it["status"]["conditions"] = json!([
                    {"type": "Ready", "status": "False", "reason": "RollbackSucceeded", "message": "m"},
                    {"type": "Remediated", "status": "True", "reason": "RollbackSucceeded", "message": "m"},
                ]);
            }),
        ),
        (
            "HELM_ACTION_FAILED",
            "helmreleases",
            named("istiod", |it| {
                it["status"]["conditions"] =
                    json!([{"type": "Ready", "status": "False", "reason": "UpgradeFailed", "message": "m"}]);
            }),
        ),
        ("COMPONENT_TOO_FAR", "helmreleases", deployed("1.26.4")),
        ("COMPONENT_AHEAD", "helmreleases", deployed("1.31.0")),
        ("COMPONENT_VERSION", "helmreleases", deployed("1.29.7")),
        ("HELM_RELEASE_PROGRESSING", "helmreleases", named("istiod", progresses)),
        ("KUSTOMIZATION_PROGRESSING", "kustomizations", Box::new(|objects| progresses(&mut objects[0]))),
        ("ISTIOD_RELEASED_TWICE", "helmreleases", another_istiod(|_| {})),
        (
            "ISTIOD_REVISION_UNKNOWN",
            "helmreleases",
            another_istiod(|spec| {
                spec["values"] = json!({"revision": "canary"});
                spec["valuesFrom"] = json!([{"kind": "ConfigMap", "name": "values"}]);
            }),
        ),
    ]
}

/// The cluster's Kustomization shows the head of now as applied, whatever comes later.
fn stays_at_its_commit(house: &House) {
    let applied = house.world.push("main", "NOTES.md", Some("first"), "a note").unwrap();
    house.world.show(CLUSTER, "kustomizations", move |objects| {
        let status = &mut objects[0]["status"];
        status["lastAppliedRevision"] = json!(format!("main@sha1:{applied}"));
        status["conditions"] =
            json!([{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded"}]);
    });
}

const FILE: &str = "clusters/test-euw1-1/istio/istiod.yaml";

fn change_the_clusters_file(house: &House) {
    let file = house.world.file("main", FILE).unwrap();
    house.world.push("main", FILE, Some(&format!("{file}# changed\n")), "a change").unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_cluster_that_has_not_applied_the_branch_stops_the_batch() {
    let (ending, told) = found(&fleet(), |house| {
        stays_at_its_commit(house);
        change_the_clusters_file(house);
    })
    .await;
    let [(code, severity, message)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((code.as_str(), *severity, ending.as_str()), ("FLUX_BEHIND", Severity::Unknown, "Halted"));
    assert!(message.starts_with("it has applied "), "{message}");
}

/// Another commit of the same files, and the right one a minute later: neither is in the way.
#[tokio::test(flavor = "current_thread")]
async fn a_commit_that_does_not_concern_the_cluster_is_not_waited_for() {
    let (ending, told) = found(&fleet(), |house| {
        stays_at_its_commit(house);
        house.world.push("main", "NOTES.md", Some("second"), "another note").unwrap();
    })
    .await;
    assert_eq!(told, vec![]);
    assert!(ending != "GateFailed" && ending != "Halted", "{ending}: the pre-check passed");
}

#[tokio::test(flavor = "current_thread")]
async fn a_flux_that_comes_along_is_waited_for() {
    let (ending, told) = found(&fleet(), change_the_clusters_file).await;
    assert_eq!((ending.as_str(), told), ("SUCCEEDED", vec![]));
}

/// A whole upgrade of releases that take their charts by `chartRef`: nothing in them changes, only in the OCIRepositories.
#[tokio::test(flavor = "current_thread")]
async fn charts_by_reference_are_seen_and_followed() {
    let mut fleet = fleet();
    for (name, text) in istio_files_by_reference(CLUSTER, "1.29.8") {
        fleet.world.files.insert(format!("clusters/{CLUSTER}/istio/{name}"), text);
    }
    let house = House::new(&fleet).unwrap();
    let (ending, told) = crate::found_in(&house).await;
    assert_eq!((ending.as_str(), told), ("SUCCEEDED", vec![]));
    let seen = house.world.cluster(CLUSTER).unwrap();
    let charts: BTreeMap<&str, &str> = seen.charts.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert!(charts.len() == 3 && charts.values().all(|version| *version == "1.30.5"), "{charts:?}");
}
