//! Flux's troubles, as its objects tell them.

use serde_json::{Value, json};

use super::{CLUSTER, get, mark, patch, propose, wait, with_workloads, world};
use crate::{
    ChartTrouble, FluxStrips, WorkloadKind, WorkloadSpec, World, WorldSpec, istio_files_by_reference,
};

const GROUPS: [(&str, &str); 5] = [
    ("helmreleases", "helm.toolkit.fluxcd.io/v2"),
    ("helmcharts", "source.toolkit.fluxcd.io/v1"),
    ("gitrepositories", "source.toolkit.fluxcd.io/v1"),
    ("ocirepositories", "source.toolkit.fluxcd.io/v1"),
    ("kustomizations", "kustomize.toolkit.fluxcd.io/v1"),
];

fn object(world: &World, plural: &str, namespace: &str, name: &str) -> Value {
    let (_, group) = GROUPS.iter().find(|(one, _)| *one == plural).unwrap();
    let (status, found) = get(world, &format!("/apis/{group}/namespaces/{namespace}/{plural}/{name}"));
    assert_eq!(status, 200, "{found}");
    found
}

fn base(world: &World) -> Value {
    object(world, "helmreleases", "istio-system", "istio-base")
}

/// Status and reason of a condition; nothing where it has none.
fn condition(object: &Value, kind: &str) -> (String, String) {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let all = object["status"]["conditions"].as_array().unwrap();
    let found = all.iter().find(|one| one["type"] == kind);
    found.map(|one| (text(one, "status"), text(one, "reason"))).unwrap_or_default()
}

fn is(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn message(object: &Value) -> String {
    let all = object["status"]["conditions"].as_array().unwrap();
    let ready = all.iter().find(|one| one["type"] == "Ready").unwrap();
    ready["message"].as_str().unwrap().to_owned()
}

/// Version, status and number of each of a release's snapshots.
fn history(object: &Value) -> Vec<(String, String, u64)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let all = object["status"]["history"].as_array().unwrap();
    all.iter()
        .map(|one| (text(one, "chartVersion"), text(one, "status"), one["version"].as_u64().unwrap()))
        .collect()
}

/// A world whose upgrade of `istio-base` fails, with this remediation.
fn failing(remediation: &str) -> World {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    let file = spec.files.get_mut("clusters/test-euw1-1/istio/base.yaml").unwrap();
    file.push_str(remediation);
    let world = World::new(spec);
    world.fail_helm_upgrade(CLUSTER, "1.30.5", "context deadline exceeded");
    world
}

fn upgrade(world: &World) {
    propose(world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(world, 20 * 60);
}

fn go_back(world: &World) {
    propose(world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(world, 10 * 60);
}

/// Waits until something holds.
fn until(world: &World, holds: impl Fn(&World) -> bool) {
    let mut left = 900;
    while !holds(world) {
        left -= 1;
        assert!(left > 0, "it never came");
        wait(world, 1);
    }
}

#[test]
fn retries_are_counted_until_they_are_used_up() {
    let world = failing("    remediation:\n      retries: 2\n      remediateLastFailure: false\n");
    upgrade(&world);
    until(&world, |world| base(world)["status"]["upgradeFailures"] == 1);
    let once = base(&world);
    assert_eq!(condition(&once, "Ready"), is("False", "RollbackSucceeded"));
    assert_eq!(condition(&once, "Remediated"), is("True", "RollbackSucceeded"));
    assert_eq!(condition(&once, "Reconciling"), is("True", "ProgressingWithRetry"));
    assert_eq!(condition(&once, "Stalled"), is("", ""), "it is tried again");
    let [back, failed, first] = history(&once).try_into().unwrap();
    assert_eq!(back, ("1.30.1".to_owned(), "deployed".to_owned(), 3));
    assert_eq!(failed, ("1.30.5".to_owned(), "failed".to_owned(), 2));
    assert_eq!(first, ("1.30.1".to_owned(), "superseded".to_owned(), 1));
    wait(&world, 600);
    let done = base(&world);
    assert_eq!(done["status"]["upgradeFailures"], 3);
    assert_eq!(condition(&done, "Ready"), is("False", "UpgradeFailed"));
    assert_eq!(condition(&done, "Stalled"), is("True", "RetriesExceeded"));
    assert_eq!((condition(&done, "Remediated"), history(&done)[0].1.as_str()), (is("", ""), "failed"));
    wait(&world, 3600);
    assert_eq!(base(&world), done, "nothing more comes of it");
    go_back(&world);
    assert_eq!(condition(&base(&world), "Ready"), is("True", "UpgradeSucceeded"));
}

#[test]
fn a_last_failure_is_rolled_back_where_there_are_retries() {
    let world = failing("    remediation:\n      retries: 1\n");
    upgrade(&world);
    wait(&world, 900);
    let done = base(&world);
    assert_eq!(condition(&done, "Ready"), is("False", "RollbackSucceeded"));
    assert_eq!(condition(&done, "Stalled"), is("True", "RetriesExceeded"));
    assert!(
        message(&done).starts_with("Helm rollback to previous release istio-system/istio-base.v"),
        "{}",
        message(&done)
    );
    assert_eq!(
        (&done["status"]["upgradeFailures"], &done["status"]["lastAttemptedRevision"]),
        (&json!(2), &json!("1.30.5"))
    );
    let before = history(&done);
    assert_eq!((before[0].0.as_str(), before[0].1.as_str()), ("1.30.1", "deployed"));
    go_back(&world);
    let back = base(&world);
    assert_eq!(condition(&back, "Ready"), is("True", "UpgradeSucceeded"));
    assert_eq!(history(&back), before, "it was there already");
}

#[test]
fn without_retries_the_lever_rolls_back() {
    let world = failing("");
    upgrade(&world);
    wait(&world, 900);
    assert_eq!(condition(&base(&world), "Ready"), is("False", "UpgradeFailed"));
    let world = failing("");
    world.roll_back_last_failure(CLUSTER, true);
    upgrade(&world);
    wait(&world, 900);
    assert_eq!(condition(&base(&world), "Remediated"), is("True", "RollbackSucceeded"));
    assert_eq!(base(&world)["status"]["upgradeFailures"], 1);
}

#[test]
fn a_chart_that_is_not_there_is_told_by_its_source() {
    let world = world();
    world.break_charts(CLUSTER, "1.30.5", Some(ChartTrouble::NoVersion));
    upgrade(&world);
    wait(&world, 600);
    let chart = object(&world, "helmcharts", "flux-system", "istio-system-istio-base");
    assert_eq!(condition(&chart, "Ready"), is("False", "InvalidChartReference"));
    assert!(message(&chart).ends_with("no 'base' chart with version matching '1.30.5' found"));
    assert_eq!(chart["status"]["artifact"]["revision"], "1.30.1", "the old one is still there");
    let release = base(&world);
    assert_eq!(condition(&release, "Ready"), is("False", "SourceNotReady"));
    assert!(
        message(&release)
            .starts_with("HelmChart 'flux-system/istio-system-istio-base' is not ready: invalid chart")
    );
    assert_eq!(
        (&release["metadata"]["generation"], &release["status"]["observedGeneration"]),
        (&json!(2), &json!(1))
    );
    world.break_charts(CLUSTER, "1.30.5", Some(ChartTrouble::Refused));
    let chart = object(&world, "helmcharts", "flux-system", "istio-system-istio-base");
    assert_eq!(condition(&chart, "Ready"), is("False", "ChartPullError"));
    world.break_charts(CLUSTER, "1.30.5", Some(ChartTrouble::Unreadable));
    wait(&world, 30);
    assert_eq!(condition(&base(&world), "Ready"), is("False", "ArtifactFailed"));
    world.break_charts(CLUSTER, "1.30.5", None);
    wait(&world, 600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn an_artifact_that_cannot_be_pulled_is_told_by_its_repository() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    for (name, text) in istio_files_by_reference(CLUSTER, "1.30.1") {
        spec.files.insert(format!("clusters/{CLUSTER}/istio/{name}"), text);
    }
    let world = World::new(spec);
    world.break_charts(CLUSTER, "1.30.5", Some(ChartTrouble::Refused));
    upgrade(&world);
    wait(&world, 600);
    let artifact = object(&world, "ocirepositories", "istio-system", "istio-base");
    assert_eq!(condition(&artifact, "Ready"), is("False", "OCIArtifactPullFailed"));
    assert!(artifact["status"]["artifact"]["revision"].as_str().unwrap().starts_with("1.30.1@sha256:"));
    let release = base(&world);
    assert_eq!(condition(&release, "Ready"), is("False", "SourceNotReady"));
    assert!(
        message(&release).starts_with("OCIRepository 'istio-system/istio-base' is not ready: "),
        "{}",
        message(&release)
    );
    world.break_charts(CLUSTER, "1.30.5", None);
    wait(&world, 600);
    assert_eq!(condition(&base(&world), "Ready"), is("True", "UpgradeSucceeded"));
}

#[test]
fn drift_without_end_is_never_ready() {
    let world = world();
    world.drift_for_ever(CLUSTER, "istio-system", "istiod", true);
    let (mut readies, mut drifts) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        wait(&world, 13);
        let istiod = object(&world, "helmreleases", "istio-system", "istiod");
        assert_eq!(istiod["spec"]["driftDetection"]["mode"], "enabled");
        readies.push(condition(&istiod, "Ready").0);
        drifts.push(condition(&istiod, "Drifted").0);
    }
    for seen in [&mut readies, &mut drifts] {
        seen.sort();
        seen.dedup();
    }
    assert_eq!(
        (readies, drifts),
        (vec!["False".to_owned(), "Unknown".to_owned()], vec!["False".to_owned(), "True".to_owned()])
    );
    world.drift_for_ever(CLUSTER, "istio-system", "istiod", false);
    assert_eq!(condition(&object(&world, "helmreleases", "istio-system", "istiod"), "Ready").0, "True");
}

#[test]
fn what_a_person_suspends_stays_as_it_is() {
    let world = world();
    world.suspend_flux_object(CLUSTER, "HelmRelease", "istio-system", "istiod", true);
    upgrade(&world);
    wait(&world, 1800);
    let istiod = || object(&world, "helmreleases", "istio-system", "istiod");
    let generations = |one: &Value| {
        (
            one["metadata"]["generation"].as_u64().unwrap(),
            one["status"]["observedGeneration"].as_u64().unwrap(),
        )
    };
    assert_eq!((&istiod()["spec"]["suspend"], generations(&istiod())), (&json!(true), (3, 1)));
    assert_eq!(condition(&istiod(), "Ready"), is("True", "InstallSucceeded"), "of the old chart");
    assert_eq!(base(&world)["status"]["history"][0]["chartVersion"], "1.30.5");
    world.suspend_flux_object(CLUSTER, "HelmRelease", "istio-system", "istiod", false);
    wait(&world, 600);
    assert_eq!((istiod()["spec"].get("suspend"), generations(&istiod())), (None, (4, 4)));
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn a_suspended_source_brings_nothing_new() {
    let world = world();
    world.suspend_flux_object(CLUSTER, "GitRepository", "flux-system", "fleet", true);
    upgrade(&world);
    wait(&world, 1800);
    let source = || object(&world, "gitrepositories", "flux-system", "fleet");
    assert_eq!(source()["spec"]["suspend"], true);
    let head = format!("main@sha1:{}", world.branches()["main"]);
    assert_ne!(source()["status"]["artifact"]["revision"], head.as_str());
    // A suspended repository of charts keeps the list of charts that it has.
    world.suspend_flux_object(CLUSTER, "HelmRepository", "flux-system", "istio", true);
    world.suspend_flux_object(CLUSTER, "GitRepository", "flux-system", "fleet", false);
    wait(&world, 600);
    assert_eq!(source()["status"]["artifact"]["revision"], head.as_str());
    assert_eq!(condition(&base(&world), "Ready"), is("False", "SourceNotReady"));
    world.suspend_flux_object(CLUSTER, "HelmRepository", "flux-system", "istio", false);
    wait(&world, 600);
    assert_eq!(condition(&base(&world), "Ready"), is("True", "UpgradeSucceeded"));
}

#[test]
fn a_kustomization_that_cannot_be_built_says_what_it_tried() {
    let world = world();
    world.fail_kustomization(CLUSTER, Some("kustomize build failed: accumulating resources: missing file"));
    upgrade(&world);
    wait(&world, 300);
    let istio = object(&world, "kustomizations", "flux-system", "istio");
    assert_eq!(condition(&istio, "Ready"), is("False", "BuildFailed"));
    let head = format!("main@sha1:{}", world.branches()["main"]);
    assert_eq!(istio["status"]["lastAttemptedRevision"], head.as_str());
    assert_ne!(istio["status"]["lastAppliedRevision"], head.as_str());
    world.fail_kustomization(CLUSTER, None);
    wait(&world, 600);
    assert_eq!(
        object(&world, "kustomizations", "flux-system", "istio")["status"]["lastAppliedRevision"],
        head.as_str()
    );
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn a_gateway_that_waits_for_nobody_gets_the_old_proxy() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    let file = spec.files.get_mut("clusters/test-euw1-1/istio/gateway.yaml").unwrap();
    *file = file.replace("  dependsOn:\n    - name: istiod\n      namespace: istio-system\n", "");
    let world = World::new(spec);
    upgrade(&world);
    wait(&world, 1800);
    let seen = world.cluster(CLUSTER).unwrap();
    assert_eq!(
        (seen.istiod_version.as_deref(), seen.charts["istio-ingress/istio-ingressgateway"].as_str()),
        (Some("1.30.5"), "1.30.5")
    );
    assert_eq!(seen.gateways[0].proxy_versions, [("1.30.1".to_owned(), 2)].into());
}

#[test]
fn annotations_of_others_are_taken_away_and_pods_roll_again() {
    let pods = vec![WorkloadSpec::new("team", "web", WorkloadKind::Deployment, 2)];
    let note = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "annotations": { "note": "x" } } });
    let path = "/apis/apps/v1/namespaces/team/deployments/web";
    for (strips, expected) in [(FluxStrips::Templates, Some("x")), (FluxStrips::Everything, None)] {
        let world = with_workloads(pods.clone());
        world.flux_strips_annotations(CLUSTER, strips);
        mark(&world, WorkloadKind::Deployment, "team", "web", "one");
        patch(&world, &format!("{path}?fieldManager=other"), "application/apply-patch+yaml", &note);
        wait(&world, 50);
        assert_eq!(world.rolls(CLUSTER).len(), 1);
        wait(&world, 120);
        let marks: Vec<Option<String>> = world.rolls(CLUSTER).into_iter().map(|roll| roll.mark).collect();
        assert_eq!(marks, [Some("one".to_owned()), None], "a second restart");
        let (_, web) = get(&world, path);
        assert!(web["spec"]["template"]["metadata"]["annotations"].get("guard.istio.io/restart").is_none());
        assert_eq!(
            web["metadata"]["annotations"].get("note").and_then(Value::as_str),
            expected,
            "{strips:?}"
        );
        world.flux_strips_annotations(CLUSTER, FluxStrips::Nothing);
        wait(&world, 60);
        mark(&world, WorkloadKind::Deployment, "team", "web", "two");
        wait(&world, 300);
        assert_eq!(world.rolls(CLUSTER).len(), 3);
    }
}
