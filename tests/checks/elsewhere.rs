//! What no object of an API server shows: EKS, Datadog, the version of an API, the clock, the rules of the fleet.

use guard_domain::{KubernetesOverride, Severity};
use guard_simulation::{Fleet, House};

use crate::{CLUSTER, fleet, found, found_in, going_to};

/// A code, and the one thing that is bent for it.
type Case = (&'static str, fn(&House));

/// In the world, before the batch starts.
const OUTSIDE: [Case; 14] = [
    ("EKS_NOT_ACTIVE", |house| house.world.set_eks_status(CLUSTER, "UPDATING")),
    ("EKS_HEALTH_ISSUE", |house| house.world.add_eks_issue(CLUSTER, "Ec2SubnetNotFound")),
    ("FLUX_TOO_OLD", |house| house.world.serve_helm_releases_as(CLUSTER, "v2beta2")),
    ("NO_BASELINE", |house| metric(house, "istio.mesh.request.count", None)),
    ("NO_LATENCY_BASELINE", |house| metric(house, "istio.mesh.request.duration.milliseconds", None)),
    ("DATADOG_LEGACY", |house| house.world.report_in_the_older_mode(CLUSTER)),
    ("ISTIOD_MEMORY", |house| metric(house, "kubernetes.memory.usage", Some(2.0e9))),
    ("NO_ISTIOD_MEMORY", |house| metric(house, "kubernetes.memory.usage", None)),
    ("NODE_MEMORY", |house| metric(house, "system.mem.pct_usable", Some(0.05))),
    ("NO_NODE_MEMORY", |house| metric(house, "system.mem.pct_usable", None)),
    ("MONITOR_FIRING", |house| house.world.fire_monitor(CLUSTER, "mesh 5xx")),
    ("MONITOR_MUTED", |house| {
        house.world.fire_monitor(CLUSTER, "mesh 5xx");
        house.world.mute_monitor(CLUSTER, "mesh 5xx", true);
    }),
    ("MONITOR_NO_ANSWER", |house| house.world.blind_monitor(CLUSTER, "mesh 5xx")),
    ("CHART_SOURCE_SUSPENDED", |house| {
        house.world.show(CLUSTER, "helmcharts", |all| all[0]["spec"]["suspend"] = serde_json::json!(true));
    }),
];

/// A code, and the fleet that is made for it.
type Rule = (&'static str, fn(&mut Fleet));

/// In the fleet, before there is a world.
const RULES: [Rule; 7] = [
    ("KUBERNETES_UNSUPPORTED", |fleet| kubernetes(fleet, "1.31")),
    ("KUBERNETES_UNKNOWN", |fleet| kubernetes(fleet, "next")),
    ("KUBERNETES_OVERRIDDEN", |fleet| {
        kubernetes(fleet, "1.31");
        fleet.config.policy.kubernetes_overrides = vec![KubernetesOverride {
            istio: "1.30".into(),
            kubernetes: "1.31".into(),
            reason: "tested by us".into(),
        }];
    }),
    ("THIN_BASELINE", |fleet| fleet.world.clusters[0].requests_per_minute = 2.0),
    ("RESTART_TOO_LONG", |fleet| fleet.config.policy.restart_seconds_per_pod = 3_600),
    ("CHART_HOST_GONE", |fleet| {
        december(fleet);
        for text in fleet.world.files.values_mut() {
            *text = text.replace("blob.istio.io/istio-release", "istio-release.storage.googleapis.com");
        }
    }),
    ("IMAGE_HUB_GONE", december),
];

fn metric(house: &House, name: &str, value: Option<f64>) {
    house.world.bend_metric(CLUSTER, name, value);
}

fn kubernetes(fleet: &mut Fleet, version: &str) {
    version.clone_into(&mut fleet.world.clusters[0].kubernetes_version);
}

/// A day before the retired hosts are switched off.
fn december(fleet: &mut Fleet) {
    fleet.world.start = "2026-12-07T12:00:00Z".parse().unwrap();
}

/// Every code that is bent here.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    OUTSIDE.iter().map(|(code, _)| *code).chain(RULES.iter().map(|(code, _)| *code))
}

#[track_caller]
fn assert_alone(code: &str, ending: &str, told: &[(String, Severity, String)]) {
    let open = "EKS does not call the cluster ACTIVE";
    let alone = told.iter().filter(|one| !(code == "EKS_NOT_ACTIVE" && one.2.contains(open)));
    assert!(alone.clone().all(|one| one.0 == code) && alone.count() > 0, "{code}: {told:?}");
    let severity = told.iter().map(|one| one.1).max();
    match severity {
        Some(Severity::Blocking) => assert_eq!(ending, "GateFailed", "{code}"),
        Some(Severity::Unknown) => assert_eq!(ending, "Halted", "{code}"),
        Some(Severity::Warning) | None => assert_ne!(ending, "GateFailed", "{code}"),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn one_thing_bent_around_the_cluster_is_found_by_its_own_check_alone() {
    for (code, bend) in OUTSIDE {
        let (ending, told) = found(&fleet(), bend).await;
        assert_alone(code, &ending, &told);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn one_thing_bent_in_the_fleet_is_found_by_its_own_check_alone() {
    for (code, bend) in RULES {
        let mut fleet = fleet();
        bend(&mut fleet);
        let house = House::new(&fleet).unwrap();
        if code == "IMAGE_HUB_GONE" {
            house.world.show(CLUSTER, "pods", |pods| {
                let is_cart = |pod: &&mut serde_json::Value| {
                    pod["metadata"]["name"].as_str().unwrap().starts_with("cart-")
                };
                let cart = pods.iter_mut().find(is_cart).unwrap();
                cart["spec"]["containers"][0]["image"] = "gcr.io/istio-release/proxyv2:1.29.8".into();
            });
        }
        let (ending, told) = found_in(&house).await;
        assert_alone(code, &ending, &told);
    }
}

/// istio#60486: only the exact patches tell, so this is another upgrade than the others'.
#[tokio::test(flavor = "current_thread")]
async fn proxies_that_reject_the_targets_configuration_stop_the_batch() {
    let fleet = Fleet::new(1, 1, None, Some("1.30.1".parse().unwrap())).unwrap();
    let house = House::new(&fleet).unwrap();
    house.world.show(CLUSTER, "pods", |pods| {
        let is_cart =
            |pod: &&mut serde_json::Value| pod["metadata"]["name"].as_str().unwrap().starts_with("cart-");
        let cart = pods.iter_mut().find(is_cart).unwrap();
        cart["spec"]["containers"][0]["image"] = "proxyv2:1.29.1".into();
    });
    let (ending, told) = going_to(&house, "1.30.1").await;
    assert_eq!(
        (ending.as_str(), told.len(), told[0].0.as_str()),
        ("GateFailed", 1, "PROXY_REJECTS"),
        "{told:?}"
    );
}

/// What the restart will be is kept with the pre-check, and told in the audit log.
#[tokio::test(flavor = "current_thread")]
async fn a_person_sees_what_the_restart_will_be() {
    let house = House::new(&fleet()).unwrap();
    assert_eq!(found_in(&house).await.0, "SUCCEEDED");
    let restart = crate::entry(&house).await.restart.unwrap();
    assert_eq!((restart.workloads, restart.pods), (6, 17), "{restart:?}");
    assert!(restart.minutes > 0 && restart.without_pods.is_empty(), "{restart:?}");
}
