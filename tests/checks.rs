//! The pre-check's checks against the simulated world: healthy, bent in one place, and with one thing that may not be
//! read.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;

use guard_domain::checks::ALL;
use guard_domain::{RunId, Severity};
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_tasks::pre_check::PreCheckEntry;
use guard_world::System;
use jiff::SignedDuration;
use serde_json::{Value, json};

const CLUSTER: &str = "test-euw1-1";

/// What the pre-check of a bent cluster found, without what every one says: there is no istioctl in the world.
async fn found(fleet: &Fleet, bend: impl FnOnce(&House)) -> (String, Vec<(String, Severity, String)>) {
    let house = House::new(fleet).unwrap();
    bend(&house);
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let run = RunId::parse("run-1").unwrap();
    let entry = house.store.entry(&run, &format!("pre-check#{CLUSTER}")).await.unwrap().unwrap();
    let entry: PreCheckEntry = serde_json::from_value(entry).unwrap();
    let findings = entry.findings.into_iter().filter(|finding| finding.code != "ANALYZER_UNKNOWN");
    let told = findings.map(|finding| (finding.code, finding.severity, finding.message)).collect();
    (execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()), told)
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
    assert_eq!(codes, ["ISTIOD_UNREAD"], "{told:?}");
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

/// Three clusters and two causes: the batch goes on with the third, and everybody is told.
#[tokio::test(flavor = "current_thread")]
async fn clusters_with_causes_of_their_own_are_left_out_where_policy_says_so() {
    let ending = async |budget: u32, bend: fn(&House)| {
        let mut fleet = Fleet::new(3, 1, None, None).unwrap();
        fleet.config.policy.pre_check_failure_budget = budget;
        let house = House::new(&fleet).unwrap();
        bend(&house);
        let input = json!({"batch_id": "test", "target_version": "1.30.5"});
        let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
        (house.service.describe_execution(&arn).unwrap(), house)
    };
    let two_causes = |house: &House| {
        house.world.fire_monitor(CLUSTER, "mesh 5xx");
        house.world.show("test-euw1-2", "nodes", |objects| not_ready(&mut objects[0]));
    };
    let (execution, house) = ending(2, two_causes).await;
    assert_eq!(execution.error, None, "{:?}", execution.cause);
    let rows = house.store.clusters();
    let told: Vec<(&str, String)> =
        rows.iter().map(|row| (row.status.as_str(), row.current_istio_version.to_string())).collect();
    let stays = || ("pre-check-failed", "1.29.8".to_owned());
    assert_eq!(told, [stays(), stays(), ("healthy", "1.30.5".to_owned())]);
    for (id, version) in [(CLUSTER, "1.29.8"), ("test-euw1-2", "1.29.8"), ("test-euw1-3", "1.30.5")] {
        let seen = house.world.cluster(id).unwrap();
        assert_eq!(seen.istiod_version.as_deref(), Some(version), "{id}");
        let restarts: u32 = seen.workloads.iter().map(|workload| workload.restarts).sum();
        assert_eq!(restarts > 0, version == "1.30.5", "{id}: restarts");
    }
    let requests = house.world.merge_requests();
    assert_eq!(requests.len(), 1);
    let left_out = requests[0].description.split("### Left out").nth(1).unwrap();
    assert!(left_out.contains("test-euw1-1: ") && left_out.contains("MONITOR\\_FIRING"), "{left_out}");
    assert!(left_out.contains("test-euw1-2: ") && left_out.contains("NODE\\_NOT\\_READY"), "{left_out}");
    assert!(house.store.held_locks().is_empty());
    let output = execution.output.unwrap().to_string();
    assert!(output.contains("left out after their pre-checks: test-euw1-1, test-euw1-2"), "{output}");

    // One more than the budget, and one cause in two of them.
    let (execution, _) = ending(1, two_causes).await;
    assert_eq!(execution.error.as_deref(), Some("GateFailed"));
    let cause = execution.cause.unwrap();
    assert!(cause.contains("not left out: 2 failed, policy.pre_check_failure_budget is 1"), "{cause}");
    let one_cause = |house: &House| {
        house.world.fire_monitor(CLUSTER, "mesh 5xx");
        house.world.fire_monitor("test-euw1-2", "mesh 5xx");
    };
    let (execution, house) = ending(2, one_cause).await;
    assert_eq!(execution.error.as_deref(), Some("GateFailed"));
    assert!(execution.cause.unwrap().contains("MONITOR_FIRING was found in test-euw1-1 and in test-euw1-2"));
    assert_eq!(house.world.merge_requests().len(), 0);
}

type Bend = Box<dyn Fn(&mut Vec<Value>) + Send + Sync>;

/// One object of a list, by its name, changed.
fn named(name: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Bend {
    Box::new(move |objects| {
        let found = objects.iter_mut().find(|object| object["metadata"]["name"] == name);
        change(found.unwrap());
    })
}

/// One more object.
fn one_more(object: Value) -> Bend {
    Box::new(move |objects| objects.push(object.clone()))
}

fn without(label: &'static str, value: &'static str) -> Bend {
    Box::new(move |objects| objects.retain(|object| object["metadata"]["labels"][label] != value))
}

/// The first pod whose name begins so.
fn pod(of: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Bend {
    Box::new(move |objects| {
        let is_it = |object: &&mut Value| object["metadata"]["name"].as_str().unwrap().starts_with(of);
        change(objects.iter_mut().find(is_it).unwrap());
    })
}

fn loose_pod(namespace: &str, containers: &Value, ready: &str) -> Value {
    json!({
        "metadata": {"name": "loose", "namespace": namespace, "uid": "u", "labels": {}},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

fn gateway_api(version: &str) -> Value {
    json!({
        "metadata": {"name": "gateways.gateway.networking.k8s.io", "annotations": {
            "gateway.networking.k8s.io/bundle-version": version}},
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced", "names": {}, "versions": [{"name": "v1"}]},
        "status": {"storedVersions": ["v1"]},
    })
}

fn replicas(deployment: &mut Value, count: u32) {
    deployment["spec"]["replicas"] = json!(count);
    for key in ["replicas", "updatedReplicas", "readyReplicas"] {
        deployment["status"][key] = json!(count);
    }
}

fn not_ready(object: &mut Value) {
    for condition in object["status"]["conditions"].as_array_mut().unwrap() {
        if condition["type"] == "Ready" {
            condition["status"] = json!("False");
        }
    }
}

/// What an API server shows in one place, and the one code that is found for it.
fn bends() -> Vec<(&'static str, &'static str, Bend)> {
    let proxy = json!([{"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.29.8"}]);
    let app = json!([{"name": "dns", "image": "coredns:1"}]);
    let old_hook = json!({
        "metadata": {"name": "istio-sidecar-injector-canary", "labels": {"istio.io/rev": "canary"}},
        "webhooks": [{"name": "rev", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {
            "caBundle": "Y2E=", "service": {"name": "istiod-canary", "namespace": "istio-system"}}}],
    });
    let filter = json!({
        "metadata": {"name": "lua", "namespace": "shop"},
        "spec": {"configPatches": [
            {"applyTo": "HTTP_FILTER", "match": {"proxy": {"proxyVersion": "^1\\.29.*"}}, "patch": {"operation": "MERGE"}}
        ]},
    });
    vec![
        ("NODE_NOT_READY", "nodes", Box::new(|nodes| not_ready(&mut nodes[0]))),
        ("NO_NODES", "nodes", Box::new(Vec::clear)),
        ("SYSTEM_POD_NOT_READY", "pods", one_more(loose_pod("kube-system", &app, "False"))),
        ("ISTIOD_NOT_READY", "deployments", named("istiod", |it| it["status"]["readyReplicas"] = json!(1))),
        ("ISTIOD_MISSING", "deployments", without("app", "istiod")),
        (
            "ISTIOD_VERSION",
            "pods",
            pod("istiod-", |it| it["spec"]["containers"][0]["image"] = json!("pilot@sha256:0")),
        ),
        ("ISTIOD_SINGLE", "deployments", named("istiod", |it| replicas(it, 1))),
        ("ISTIOD_WITHOUT_BUDGET", "poddisruptionbudgets", Box::new(Vec::clear)),
        (
            "PROXY_VERSION",
            "pods",
            pod("cart-", |it| it["spec"]["containers"][0]["image"] = json!("proxyv2:1.28.1")),
        ),
        (
            "ISTIO_CRD_NOT_OWNED",
            "customresourcedefinitions",
            named("gateways.networking.istio.io", |it| it["metadata"]["labels"] = json!({})),
        ),
        (
            "ISTIO_CRDS_MISSING",
            "customresourcedefinitions",
            Box::new(|objects| objects.retain(|one| one["spec"]["group"] != "networking.istio.io")),
        ),
        (
            "ISTIO_CRD_STORED_VERSION",
            "customresourcedefinitions",
            named("gateways.networking.istio.io", |it| {
                it["status"]["storedVersions"] = json!(["v1alpha3", "v1"]);
            }),
        ),
        ("GATEWAY_API_NO_WAY_BACK", "customresourcedefinitions", one_more(gateway_api("v1.5.0"))),
        ("GATEWAY_API_TOO_OLD", "customresourcedefinitions", one_more(gateway_api("v1.4.1"))),
        ("WEBHOOK_UNREACHABLE", "mutatingwebhookconfigurations", one_more(old_hook)),
        (
            "WEBHOOK_WITHOUT_CA",
            "validatingwebhookconfigurations",
            Box::new(|objects| objects[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!("")),
        ),
        ("ENVOY_FILTER_VERSION", "envoyfilters", one_more(filter)),
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
        ("HELM_RELEASE_NOT_READY", "helmreleases", named("istiod", not_ready)),
        ("NO_HELM_RELEASES", "helmreleases", Box::new(Vec::clear)),
        (
            "DRIFT_DETECTION",
            "helmreleases",
            named("istiod", |it| it["spec"]["driftDetection"] = json!({"mode": "enabled"})),
        ),
        (
            "WORKLOAD_NOT_READY",
            "statefulsets",
            named("ledger", |it| it["status"]["readyReplicas"] = json!(1)),
        ),
        (
            "RESTART_ON_DELETE",
            "statefulsets",
            named("ledger", |it| it["spec"]["updateStrategy"] = json!({"type": "OnDelete"})),
        ),
        ("INJECTION_LOST", "namespaces", named("shop", |it| it["metadata"]["labels"] = json!({}))),
        (
            "PROXY_BY_HAND",
            "deployments",
            named("web", |it| {
                let containers = it["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
                containers.push(json!({"name": "istio-proxy", "image": "proxyv2:1.29.8"}));
            }),
        ),
        ("PROXY_NOT_RESTARTED", "pods", one_more(loose_pod("shop", &proxy, "True"))),
    ]
}

/// What no API server shows: EKS, Datadog, the API's version. Their own tests are in the domain and the adapters.
const ELSEWHERE: [&str; 11] = [
    "EKS_NOT_ACTIVE",
    "EKS_HEALTH_ISSUE",
    "KUBERNETES_UNSUPPORTED",
    "KUBERNETES_UNKNOWN",
    "KUBERNETES_OVERRIDDEN",
    "FLUX_TOO_OLD",
    "NO_BASELINE",
    "THIN_BASELINE",
    "MONITOR_FIRING",
    "MONITOR_MUTED",
    "MONITOR_NO_ANSWER",
];

#[tokio::test(flavor = "current_thread")]
async fn one_thing_bent_is_found_by_its_own_check_alone() {
    let mut seen = BTreeSet::from(ELSEWHERE);
    for (code, resource, bend) in bends() {
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
    let all: BTreeSet<&str> = ALL.iter().flat_map(|check| check.codes).map(|code| code.code).collect();
    assert_eq!(seen, all, "every code is bent somewhere");
}
