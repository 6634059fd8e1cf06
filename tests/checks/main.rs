//! The pre-check's checks against the simulated world: healthy, bent in one place, and with one thing that may not be
//! read.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

mod bends;
mod elsewhere;
mod flux;
mod quarantine;

use std::collections::BTreeSet;

use guard_domain::checks::ALL;
use guard_domain::{RunId, Severity};
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_tasks::pre_check::PreCheckEntry;
use guard_world::{Injector, System};
use jiff::SignedDuration;
use serde_json::json;

const CLUSTER: &str = "test-euw1-1";

/// What the pre-check of a bent cluster found, without what every one says: there is no istioctl in the world.
async fn found(fleet: &Fleet, bend: impl FnOnce(&House)) -> (String, Vec<(String, Severity, String)>) {
    let house = House::new(fleet).unwrap();
    bend(&house);
    found_in(&house).await
}

async fn found_in(house: &House) -> (String, Vec<(String, Severity, String)>) {
    going_to(house, "1.30.5").await
}

async fn going_to(house: &House, target: &str) -> (String, Vec<(String, Severity, String)>) {
    let input = json!({"batch_id": "test", "target_version": target});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let findings =
        entry(house).await.findings.into_iter().filter(|finding| finding.code != "ANALYZER_UNKNOWN");
    let told = findings.map(|finding| (finding.code, finding.severity, finding.message)).collect();
    (execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()), told)
}

/// What the run keeps of the pre-check.
async fn entry(house: &House) -> PreCheckEntry {
    let run = RunId::parse("run-1").unwrap();
    let entry = house.store.entry(&run, &format!("pre-check#{CLUSTER}")).await.unwrap().unwrap();
    serde_json::from_value(entry).unwrap()
}

fn fleet() -> Fleet {
    Fleet::new(1, 1, None, None).unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_healthy_cluster_has_nothing_to_tell() {
    assert_eq!(found(&fleet(), |_| {}).await, ("SUCCEEDED".to_owned(), vec![]));
}

/// Every list that the checks read, refused alone: what depends on it is open, everything else is found all the same.
#[tokio::test(flavor = "current_thread")]
async fn what_may_not_be_read_is_open_and_stops_the_batch() {
    for (resource, code) in [
        ("nodes", "NODES_UNREAD"),
        ("gitrepositories", "FLUX_UNREAD"),
        ("kustomizations", "FLUX_UNREAD"),
        ("helmreleases", "FLUX_UNREAD"),
        ("helmrepositories", "CHART_SOURCES_UNREAD"),
        ("ocirepositories", "CHART_SOURCES_UNREAD"),
        ("helmcharts", "CHART_SOURCES_UNREAD"),
        ("replicasets", "WORKLOADS_UNREAD"),
        ("statefulsets", "WORKLOADS_UNREAD"),
        ("daemonsets", "WORKLOADS_UNREAD"),
        ("namespaces", "NAMESPACES_UNREAD"),
        ("customresourcedefinitions", "DEFINITIONS_UNREAD"),
        ("mutatingwebhookconfigurations", "WEBHOOKS_UNREAD"),
        ("validatingwebhookconfigurations", "WEBHOOKS_UNREAD"),
        ("endpointslices", "WEBHOOKS_UNREAD"),
        ("poddisruptionbudgets", "BUDGETS_UNREAD"),
        ("envoyfilters", "ENVOY_FILTERS_UNREAD"),
        ("pods/proxy", "CONTROL_PLANE_UNREAD"),
    ] {
        let (ending, told) = found(&fleet(), |house| {
            house.world.forbid(CLUSTER, resource);
            house.world.fire_monitor(CLUSTER, "mesh 5xx");
        })
        .await;
        let codes: Vec<(&str, Severity)> = told.iter().map(|one| (one.0.as_str(), one.1)).collect();
        let expected = [("MONITOR_FIRING", Severity::Blocking), (code, Severity::Unknown)];
        assert_eq!(codes, expected, "{resource}: {told:?}");
        assert!(told[1].2.contains("status 403: Forbidden"), "{resource}: {told:?}");
        assert_eq!(ending, "GateFailed", "{resource}: a definite no is acted on");
        let (ending, _) = found(&fleet(), |house| house.world.forbid(CLUSTER, resource)).await;
        assert_eq!(ending, "Halted", "{resource}: an open question is no pass");
    }
}

/// Pods are listed once for istiod, for the data plane, and for the cluster's own: one cause is told once, with all that is
/// open for it.
#[tokio::test(flavor = "current_thread")]
async fn one_refusal_is_told_once_with_everything_that_hangs_on_it() {
    let (ending, told) = found(&fleet(), |house| house.world.forbid(CLUSTER, "pods")).await;
    let codes: Vec<&str> = told.iter().map(|one| one.0.as_str()).collect();
    // A pod may not be tried either, which is a refusal of its own.
    assert_eq!(codes, ["ISTIOD_UNREAD", "INJECTION_UNTRIED"], "{told:?}");
    let words = &told[0].2;
    assert!(words.starts_with("list pods: ") && words.contains("status 403: Forbidden"), "{words}");
    for open in [
        "SYSTEM_POD_NOT_READY",
        "ISTIOD_NOT_READY",
        "PROXY_VERSION",
        "WORKLOAD_NOT_READY",
        "PROXY_NOT_RESTARTED",
    ] {
        assert!(words.contains(open), "{open} is open too: {words}");
    }
    assert_eq!(ending, "Halted");
}

/// Whatever a system answers instead of facts, for longer than anybody tries again: an end that is told, and no pass.
#[tokio::test(flavor = "current_thread")]
async fn a_system_that_stays_away_is_no_pass() {
    let systems = [
        (System::Kubernetes(CLUSTER.to_owned()), "NODES_UNREAD"),
        (System::GitLab, "FILES_UNREAD"),
        (System::Datadog, "TRAFFIC_UNREAD"),
    ];
    for (system, code) in systems {
        for status in [401, 403, 404, 429, 500, 503] {
            let (ending, told) = found(&fleet(), |house| {
                let now = house.world.now();
                house.world.outage(system.clone(), now, now + SignedDuration::from_hours(12), status);
            })
            .await;
            assert_eq!(ending, "Halted", "{system:?} {status}: {told:?}");
            assert!(told.iter().any(|one| one.0 == code && one.2.contains(&status.to_string())), "{told:?}");
            assert!(told.iter().all(|one| one.1 == Severity::Unknown), "{told:?}");
        }
    }
}

/// The same, for as long as the state machine tries again.
#[tokio::test(flavor = "current_thread")]
async fn a_system_that_comes_back_leaves_no_trace() {
    let (ending, told) = found(&fleet(), |house| {
        let now = house.world.now();
        let system = System::Kubernetes(CLUSTER.to_owned());
        house.world.outage(system, now, now + SignedDuration::from_secs(12), 503);
    })
    .await;
    assert_eq!((ending.as_str(), told), ("SUCCEEDED", vec![]));
}

#[tokio::test(flavor = "current_thread")]
async fn one_thing_bent_is_found_by_its_own_check_alone() {
    // These have tests of their own.
    let mut seen: BTreeSet<&str> = elsewhere::codes().chain(["FLUX_BEHIND", "PROXY_REJECTS"]).collect();
    for (code, resource, bend) in bends::bends().into_iter().chain(flux::bends()) {
        let (ending, told) = found(&fleet(), |house| house.world.show(CLUSTER, resource, bend)).await;
        let codes: BTreeSet<&str> = told.iter().map(|one| one.0.as_str()).collect();
        assert_eq!(codes, BTreeSet::from([code]), "{resource}: {told:?}");
        match told[0].1 {
            Severity::Blocking => assert_eq!(ending, "GateFailed", "{code}"),
            Severity::Unknown => assert_eq!(ending, "Halted", "{code}"),
            Severity::Warning => assert_ne!(ending, "GateFailed", "{code}"),
        }
        seen.insert(code);
    }
    for (code, metric) in
        [("XDS_REJECTS", "pilot_total_xds_rejects"), ("XDS_UNSENT", "pilot_total_xds_internal_errors")]
    {
        let (ending, told) =
            found(&fleet(), |house| house.world.istiod_counts(CLUSTER, "1.29.8", metric, 7)).await;
        assert_eq!((told.len(), told[0].0.as_str(), ending.as_str()), (1, code, "SUCCEEDED"), "{told:?}");
        seen.insert(code);
    }
    for (code, does) in [
        ("NOT_INJECTED", Injector::Nothing),
        ("INJECTED_VERSION", Injector::Image("docker.io/istio/proxyv2:1.28.1".into())),
        ("INJECTOR_REFUSES", Injector::Unreachable),
    ] {
        let (ending, told) = found(&fleet(), |house| house.world.injector_does(CLUSTER, does)).await;
        assert_eq!((told.len(), told[0].0.as_str(), ending.as_str()), (1, code, "GateFailed"), "{told:?}");
        seen.insert(code);
    }
    let all: BTreeSet<&str> = ALL.iter().flat_map(|check| check.codes).map(|code| code.code).collect();
    assert_eq!(seen, all, "every code is bent somewhere");
}
