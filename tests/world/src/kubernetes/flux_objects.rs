//! Flux's objects as the API server shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::helm_conditions;
use super::objects::metadata;
use crate::cluster::Cluster;
use crate::flux::{Phase, Release, ReleaseKey, Snapshot};
use crate::flux_troubles::{ChartTrouble, chart_trouble, pull_failure};
use crate::state::{State, stamp};

/// One condition; its generation lets a reader tell an old one.
pub(super) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    at: Timestamp,
    generation: u64,
) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": stamp(at), "observedGeneration": generation })
}

fn revision(id: &str) -> String {
    format!("main@sha1:{id}")
}

/// Marks an object with the request it was poked with, and with its being handled.
fn poked(object: &mut Value, requested_at: Option<&String>) {
    if let Some(at) = requested_at {
        object["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"] = json!(at);
        object["status"]["lastHandledReconcileAt"] = json!(at);
    }
}

fn managed_meta(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Value {
    let mut meta = metadata(cluster, kind, Some(namespace), name);
    meta["labels"] = json!({ "kustomize.toolkit.fluxcd.io/name": "istio", "kustomize.toolkit.fluxcd.io/namespace": "flux-system" });
    meta
}

pub(super) fn git_repositories(state: &State, cluster: &Cluster) -> Vec<Value> {
    let flux = &cluster.flux;
    let revision = revision(&flux.fetched);
    let message = format!("stored artifact for revision '{revision}'");
    let project = cluster.spec.gitlab_project.as_ref().unwrap_or(&state.spec.gitlab_project);
    let mut object = json!({
        "metadata": metadata(cluster, "GitRepository", Some("flux-system"), "fleet"),
        "spec": {
            "interval": "1m0s", "timeout": "60s", "ref": { "branch": "main" },
            "url": format!("https://gitlab.example.com/{project}.git"),
            "secretRef": { "name": "fleet" },
        },
        "status": {
            "observedGeneration": 1,
            "artifact": {
                "revision": revision,
                "digest": format!("sha256:{}", crate::chance::hex(8, &[&flux.fetched], 64)),
                "lastUpdateTime": stamp(flux.fetched_at),
                "path": format!("gitrepository/flux-system/fleet/{}.tar.gz", flux.fetched),
                "url": format!("http://source-controller.flux-system.svc.cluster.local./gitrepository/flux-system/fleet/{}.tar.gz", flux.fetched),
                "size": 4096,
            },
            "conditions": [
                condition("Ready", "True", "Succeeded", &message, flux.fetched_at, 1),
                condition("ArtifactInStorage", "True", "Succeeded", &message, flux.fetched_at, 1),
            ],
        },
    });
    poked(&mut object, flux.source_requested_at.as_ref());
    suspend(&mut object, cluster, "GitRepository");
    vec![object]
}

/// A suspended source says so, in a generation that its controller has not looked at.
fn suspend(object: &mut Value, cluster: &Cluster, kind: &str) {
    let part = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    if cluster.flux.troubles.is_suspended(kind, &part("namespace"), &part("name")) {
        object["spec"]["suspend"] = json!(true);
        object["metadata"]["generation"] = json!(2);
    }
}

pub(super) fn kustomizations(cluster: &Cluster) -> Vec<Value> {
    let flux = &cluster.flux;
    let (applied, fetched) = (revision(&flux.applied), revision(&flux.fetched));
    let generation: u64 = if flux.suspended { 2 } else { 1 };
    let mut conditions = Vec::new();
    if flux.applying {
        let message = format!("Reconciliation in progress for revision {fetched}");
        conditions.push(condition(
            "Reconciling",
            "True",
            "Progressing",
            &message,
            flux.fetched_at,
            generation,
        ));
        conditions.push(condition(
            "Ready",
            "Unknown",
            "Progressing",
            "Reconciliation in progress",
            flux.fetched_at,
            generation,
        ));
    } else if let Some(error) = &flux.apply_error {
        conditions.push(condition("Ready", "False", "BuildFailed", error, flux.fetched_at, generation));
    } else {
        let message = format!("Applied revision: {applied}");
        conditions.push(condition(
            "Ready",
            "True",
            "ReconciliationSucceeded",
            &message,
            flux.applied_at,
            generation,
        ));
    }
    let attempted = if flux.apply_error.is_some() { &fetched } else { &applied };
    let mut meta = metadata(cluster, "Kustomization", Some("flux-system"), "istio");
    meta["generation"] = json!(generation);
    meta["resourceVersion"] = json!(cluster.revision.to_string());
    let mut object = json!({
        "metadata": meta,
        "spec": {
            "interval": "10m0s", "prune": true, "wait": false, "suspend": flux.suspended,
            "path": format!("./{}", cluster.spec.flux_path),
            "sourceRef": { "kind": "GitRepository", "name": "fleet" },
        },
        "status": {
            // A suspended object is not looked at, so its new generation stays unobserved.
            "observedGeneration": 1,
            "lastAppliedRevision": applied,
            "lastAttemptedRevision": attempted,
            "conditions": conditions,
        },
    });
    poked(&mut object, flux.kustomization_requested_at.as_ref());
    vec![object]
}

/// Those of the cluster's files, and those that a release names and that come from other files.
pub(super) fn helm_repositories(cluster: &Cluster) -> Vec<Value> {
    let mut all = cluster.flux.repositories.clone();
    for ((namespace, _), release) in &cluster.flux.releases {
        let part = |pointer: &str| crate::flux::text(&release.spec, pointer);
        if part("/chart/spec/sourceRef/kind") == "HelmRepository" {
            let own = part("/chart/spec/sourceRef/namespace");
            let place = if own.is_empty() { namespace } else { own };
            let key = (place.to_owned(), part("/chart/spec/sourceRef/name").to_owned());
            all.entry(key).or_insert_with(|| {
                json!({ "spec": { "interval": "12h", "url": "https://blob.istio.io/istio-release/charts" } })
            });
        }
    }
    let repository = |((namespace, name), document): (&(String, String), &Value)| {
        let at = cluster.flux.applied_at;
        let mut object = json!({
            "metadata": managed_meta(cluster, "HelmRepository", namespace, name),
            "spec": document.get("spec").cloned().unwrap_or_else(|| json!({})),
            "status": {
                "observedGeneration": 1,
                "artifact": { "revision": format!("sha256:{}", crate::chance::hex(9, &[name], 64)), "lastUpdateTime": stamp(at) },
                "conditions": [condition("Ready", "True", "Succeeded", "stored artifact", at, 1)],
            },
        });
        suspend(&mut object, cluster, "HelmRepository");
        object
    };
    all.iter().map(repository).collect()
}

/// The release that takes its chart from an OCIRepository, when its chart cannot be had.
fn broken_artifact<'a>(cluster: &'a Cluster, key: &ReleaseKey) -> Option<(&'a Release, ChartTrouble)> {
    let of = |(own, release): (&'a ReleaseKey, &'a Release)| {
        let place = crate::flux_troubles::source_of(own, release);
        let trouble = chart_trouble(cluster, own, release)?;
        (release.by_reference.is_some() && (&place.1, &place.2) == (&key.0, &key.1))
            .then_some((release, trouble))
    };
    let found = cluster.flux.releases.iter().find_map(of)?;
    (found.1 != ChartTrouble::Unreadable).then_some(found)
}

pub(super) fn oci_repositories(cluster: &Cluster) -> Vec<Value> {
    let repository = |(key, document): (&ReleaseKey, &Value)| {
        let at = cluster.flux.applied_at;
        let tag = document.pointer("/spec/ref/tag").and_then(Value::as_str).unwrap_or_default();
        let broken = broken_artifact(cluster, key);
        // What cannot be pulled leaves the artifact as it was.
        let stored = broken.map_or(Some(tag), |(release, _)| release.deployed());
        let revision = stored.map(|tag| format!("{tag}@sha256:{}", digest(tag)));
        let ready = match (broken, &revision) {
            (Some((release, trouble)), _) => {
                let (reason, message) = pull_failure(trouble, release);
                condition("Ready", "False", reason, &message, at, 1)
            }
            (None, revision) => {
                let message =
                    format!("stored artifact for digest '{}'", revision.as_deref().unwrap_or_default());
                condition("Ready", "True", "Succeeded", &message, at, 1)
            }
        };
        let mut object = json!({
            "metadata": managed_meta(cluster, "OCIRepository", &key.0, &key.1),
            "spec": document.get("spec").cloned().unwrap_or_else(|| json!({})),
            "status": { "observedGeneration": 1, "conditions": [ready] },
        });
        if let Some(revision) = revision {
            object["status"]["artifact"] = json!({ "revision": revision, "lastUpdateTime": stamp(at) });
        }
        suspend(&mut object, cluster, "OCIRepository");
        object
    };
    cluster.flux.artifacts.iter().map(repository).collect()
}

/// What an OCI registry calls the chart of a tag.
fn digest(tag: &str) -> String {
    crate::chance::hex(12, &[tag], 64)
}

/// Where Flux puts the HelmChart of a release: beside the repository it comes from.
fn chart_place(namespace: &str, name: &str, release: &Release) -> (String, String) {
    let own = crate::flux::text(&release.spec, "/chart/spec/sourceRef/namespace");
    let namespace_of_source = if own.is_empty() { namespace } else { own };
    (namespace_of_source.to_owned(), format!("{namespace}-{name}"))
}

pub(super) fn helm_charts(cluster: &Cluster) -> Vec<Value> {
    let has_chart = |release: &Release| release.spec.pointer("/chart/spec").is_some();
    let with_chart = cluster.flux.releases.iter().filter(|(_, release)| has_chart(release));
    let chart = |(key, release): (&ReleaseKey, &Release)| {
        let (place, full) = chart_place(&key.0, &key.1, release);
        let mut meta = metadata(cluster, "HelmChart", Some(&place), &full);
        meta["generation"] = json!(release.generation);
        let version = release.wanted();
        let message = format!("pulled '{}' chart with version '{version}'", release.chart());
        let trouble = chart_trouble(cluster, key, release).filter(|one| *one != ChartTrouble::Unreadable);
        let (stored, conditions) = match trouble {
            None => (
                Some(version.as_str()),
                json!([condition(
                    "Ready",
                    "True",
                    "ChartPullSucceeded",
                    &message,
                    release.since,
                    release.generation
                )]),
            ),
            Some(trouble) => {
                let (reason, message) = pull_failure(trouble, release);
                let of = |kind: &str, status: &str| {
                    condition(kind, status, reason, &message, release.since, release.generation)
                };
                (release.deployed(), json!([of("Ready", "False"), of("FetchFailed", "True")]))
            }
        };
        json!({
            "metadata": meta,
            "spec": release.spec.pointer("/chart/spec").cloned().unwrap_or_else(|| json!({})),
            "status": {
                "observedGeneration": release.generation,
                "observedChartName": release.chart(),
                "artifact": { "revision": stored, "lastUpdateTime": stamp(release.since) },
                "conditions": conditions,
            },
        })
    };
    with_chart.map(chart).collect()
}

pub(super) fn helm_releases(cluster: &Cluster, now: Timestamp) -> Vec<Value> {
    cluster.flux.releases.iter().map(|(key, release)| helm_release(cluster, key, release, now)).collect()
}

fn helm_release(cluster: &Cluster, key: &ReleaseKey, release: &Release, now: Timestamp) -> Value {
    let (namespace, name) = (key.0.as_str(), key.1.as_str());
    let mut meta = managed_meta(cluster, "HelmRelease", namespace, name);
    meta["generation"] = json!(release.shown_generation());
    meta["resourceVersion"] = json!(release.resource_version.to_string());
    let is_oci = release.by_reference.is_some();
    let history: Vec<Value> =
        release.history.iter().map(|one| snapshot(namespace, name, one, is_oci)).collect();
    let attempted = match (&release.phase, release.history.first()) {
        (Phase::Upgrading | Phase::Failed(_), _) | (_, None) => release.wanted(),
        (_, Some(last)) => last.version.clone(),
    };
    // `-1` until the first attempt is over, as the controller writes it.
    let observed = if release.observed == 0 { json!(-1) } else { json!(release.seen(release.observed)) };
    let chart = chart_place(namespace, name, release);
    let mut object = json!({
        "metadata": meta,
        "spec": release.spec,
        "status": {
            "observedGeneration": observed,
            "lastAttemptedGeneration": release.seen(release.working_on),
            "lastAttemptedRevision": attempted,
            "lastAttemptedReleaseAction": if release.history.len() > 1 { "upgrade" } else { "install" },
            "helmChart": if is_oci { String::new() } else { format!("{}/{}", chart.0, chart.1) },
            "storageNamespace": namespace,
            "conditions": helm_conditions::of(cluster, key, release, now),
            "history": history,
        },
    });
    if release.suspended() {
        object["spec"]["suspend"] = json!(true);
    }
    if cluster.flux.troubles.drifting.contains(key) {
        object["spec"]["driftDetection"] = json!({ "mode": "enabled" });
    }
    if release.failures > 0 {
        object["status"]["failures"] = json!(release.failures);
        object["status"]["upgradeFailures"] = json!(release.failures);
    }
    poked(&mut object, release.requested_at.as_ref());
    object
}

fn snapshot(namespace: &str, name: &str, one: &Snapshot, is_oci: bool) -> Value {
    // The helm-controller adds the artifact's digest to a chart by reference.
    let version =
        if is_oci { format!("{}+{}", one.version, &digest(&one.version)[..12]) } else { one.version.clone() };
    json!({
        "name": name, "namespace": namespace, "version": one.number, "status": one.status,
        "chartName": one.chart, "chartVersion": version, "appVersion": one.version,
        "action": if one.number == 1 { "install" } else { "upgrade" },
        "digest": format!("sha256:{}", crate::chance::hex(10, &[name, &one.version, &one.number.to_string()], 64)),
        "configDigest": format!("sha256:{}", crate::chance::hex(11, &[name], 64)),
        "firstDeployed": stamp(one.at), "lastDeployed": stamp(one.at),
    })
}
