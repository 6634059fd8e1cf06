//! Journeys.

use guard_domain::RunId;
use guard_tasks::RunRecords as _;
use guard_world::{
    Amount, Budget, ChartTrouble, FluxStrips, Injector, NodeFamily, Strategy, System, Trouble, WorkloadKind,
    WorkloadSpec, World,
};
use jiff::SignedDuration;

use crate::{Bend, CLUSTER, deployment, fleet, upgrade, with};

#[tokio::test(flavor = "current_thread")]
async fn the_first_of_each_shape_goes_before_the_others_and_is_watched() {
    let mut workloads: Vec<WorkloadSpec> = (1..5).map(|n| deployment(&format!("web-{n}"), 3)).collect();
    workloads.push(deployment("one", 1));
    workloads.push(deployment("native", 2).with_native_sidecar());
    workloads.push(WorkloadSpec::new("data", "ledger", WorkloadKind::StatefulSet, 2));
    workloads.push(WorkloadSpec::new("edge", "relay", WorkloadKind::DaemonSet, 3));
    let ended = upgrade(&with(workloads), "ConvergeClusters", |_| {}).await;
    assert_eq!(
        (ended.ending.as_str(), ended.proxies()),
        ("SUCCEEDED", vec!["1.30.5".to_owned()]),
        "{}",
        ended.cause
    );
    let order = ended.restarted();
    assert_eq!(order[0], "shop/one", "the smallest, alone");
    let mut first: Vec<&str> = order[1..4].iter().map(String::as_str).collect();
    first.sort_unstable();
    assert_eq!(first, ["data/ledger", "edge/relay", "shop/native"]);
    assert_eq!(order.len(), 8);
    let rolls = ended.house.world.rolls(CLUSTER);
    let at = |name: &str| rolls.iter().find(|roll| roll.name == name && roll.mark.is_some()).unwrap().at;
    let watched = at("web-1").duration_since(at("ledger").max(at("native")).max(at("relay")));
    assert!(watched >= SignedDuration::from_mins(2), "policy.canary_watch_minutes: {watched}");
}

#[tokio::test(flavor = "current_thread")]
async fn workloads_on_another_system_have_a_first_one_too() {
    let workloads = vec![
        deployment("a", 2).on_nodes(NodeFamily::AmazonLinux2023),
        deployment("b", 2).on_nodes(NodeFamily::Bottlerocket),
        deployment("c", 2).on_nodes(NodeFamily::AmazonLinux2023),
    ];
    let mut fleet = with(workloads);
    fleet.world.clusters[0].node_groups = vec![
        guard_world::NodeGroup { family: NodeFamily::AmazonLinux2023, nodes: 2 },
        guard_world::NodeGroup { family: NodeFamily::Bottlerocket, nodes: 2 },
    ];
    let ended = upgrade(&fleet, "ConvergeClusters", |_| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.restarted(), ["shop/a", "shop/b", "shop/c"]);
}

/// What of Flux and istiod does not pass is told at once, by its name, and takes back a data plane that nobody touched.
#[tokio::test(flavor = "current_thread")]
async fn what_does_not_arrive_is_told_apart_and_at_once() {
    let charts = |trouble| move |world: &World| world.break_charts(CLUSTER, "1.30.5", Some(trouble));
    let table: Vec<(&str, Bend)> = vec![
        ("HELM_RETRIES_EXHAUSTED", Box::new(|world| world.fail_helm_upgrade(CLUSTER, "1.30.5", "timed out"))),
        (
            "HELM_REMEDIATED",
            Box::new(|world| {
                world.fail_helm_upgrade(CLUSTER, "1.30.5", "timed out");
                world.roll_back_last_failure(CLUSTER, true);
            }),
        ),
        ("CHART_NOT_FOUND", Box::new(charts(ChartTrouble::NoVersion))),
        ("ISTIOD_CRASHES", Box::new(|world| world.stall_istiod_as(CLUSTER, Some(Trouble::CrashLoop)))),
        ("ISTIOD_IMAGE", Box::new(|world| world.stall_istiod_as(CLUSTER, Some(Trouble::ImagePull)))),
        ("ISTIOD_STUCK", Box::new(|world| world.stall_istiod_as(CLUSTER, Some(Trouble::Unschedulable)))),
        ("DRIFT_LOOP", Box::new(|world| world.drift_for_ever(CLUSTER, "istio-system", "istiod", true))),
    ];
    for (code, bend) in table {
        let mut fleet = fleet();
        fleet.config.validation.flux_sync_timeout_minutes = 60;
        let ended = upgrade(&fleet, "AwaitUpgradeMerge", bend).await;
        assert_eq!(ended.codes("rollout-upgrade").await, [code], "{}", ended.cause);
        assert_eq!(ended.restarted(), [] as [&str; 0], "{code}: the data plane is untouched");
    }
}

/// Nobody but a person knows what to do about these: nothing is taken back, and the run stops.
#[tokio::test(flavor = "current_thread")]
async fn what_keeps_a_rollback_from_arriving_too_stops_the_run() {
    let table: Vec<(&str, Bend)> = vec![
        ("FLUX_SUSPENDED", Box::new(|world| world.suspend_flux(CLUSTER, true))),
        (
            "FLUX_SUSPENDED",
            Box::new(|world| {
                world.suspend_flux_object(CLUSTER, "HelmRelease", "istio-system", "istiod", true);
            }),
        ),
        (
            "KUSTOMIZATION_FAILED",
            Box::new(|world| world.fail_kustomization(CLUSTER, Some("accumulating resources"))),
        ),
    ];
    for (code, bend) in table {
        let ended = upgrade(&fleet(), "AwaitUpgradeMerge", bend).await;
        assert_eq!(
            (ended.ending.as_str(), ended.codes("rollout-upgrade").await),
            ("Halted", vec![code.to_owned()])
        );
        assert_eq!(ended.restarted(), [] as [&str; 0]);
    }
}

/// Worse with the new istiod and the old proxies: back before any of them is restarted.
#[tokio::test(flavor = "current_thread")]
async fn a_control_plane_that_is_not_well_goes_back_with_the_data_plane_untouched() {
    let counts =
        |metric: &'static str| move |world: &World| world.istiod_counts(CLUSTER, "1.30.5", metric, 900);
    let table: Vec<(&str, Bend)> = vec![
        ("XDS_REJECTS", Box::new(counts("pilot_total_xds_rejects"))),
        ("XDS_UNSENT", Box::new(counts("pilot_total_xds_internal_errors"))),
        (
            "ERRORS_UP",
            Box::new(|world| {
                let now = world.now();
                world.shock(now, now + SignedDuration::from_mins(30), 40.0, 1.0);
            }),
        ),
        ("NOT_INJECTED", Box::new(|world| world.injector_does(CLUSTER, Injector::Nothing))),
    ];
    for (code, bend) in table {
        let ended = upgrade(&fleet(), "GateControlPlane", bend).await;
        assert_eq!(ended.codes("control-plane-upgrade").await, [code], "{}: {}", ended.ending, ended.cause);
        assert_eq!(ended.restarted(), [] as [&str; 0], "{code}: the data plane is untouched");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_injector_that_is_down_stops_before_any_pod_is_lost() {
    let ended = upgrade(&fleet(), "GateControlPlane", |world| world.injector_down(CLUSTER, true)).await;
    assert_eq!(ended.codes("control-plane-upgrade").await, ["INJECTOR_REFUSES"]);
    assert_eq!(ended.restarted(), [] as [&str; 0]);
    assert_eq!(ended.ending, "RollbackFailed", "with no injector nobody can say that the way back is well");
}

/// One that does not come up stops the restarts, names itself with its events, and is the first to go back.
#[tokio::test(flavor = "current_thread")]
async fn a_bad_first_workload_stops_the_restarts_with_its_events() {
    for (trouble, words) in [
        (Trouble::CrashLoop, "CrashLoopBackOff"),
        (Trouble::ImagePull, "ImagePullBackOff"),
        (Trouble::NotReady, "of 2 pods are ready"),
        (Trouble::Unschedulable, "Unschedulable"),
    ] {
        let workloads = vec![deployment("cart", 2), deployment("web", 3), deployment("worker", 3)];
        let bend = move |world: &World| world.stall_workload_as(CLUSTER, "shop", "cart", trouble);
        let ended = upgrade(&with(workloads), "RestartProxies", bend).await;
        let found = ended.found("restart-upgrade").await;
        assert_eq!((found.len(), found[0].code.as_str()), (1, "RESTART_STUCK"), "{found:?}");
        assert!(found[0].message.contains(words), "{}", found[0]);
        assert!(found[0].message.contains("events: Pod cart-"), "{}", found[0]);
        assert_eq!((ended.ending.as_str(), ended.proxies()), ("RolledBack", vec!["1.29.8".to_owned()]));
        assert_eq!(ended.restarted(), ["shop/cart", "shop/cart"], "up and back, and nobody else");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_workload_in_the_middle_that_is_never_ready_takes_all_back_once() {
    let mut fleet = with((1..7).map(|n| deployment(&format!("web-{n}"), 3)).collect());
    fleet.config.policy.max_unavailable_workloads_per_namespace = 1;
    let bend = |world: &World| world.stall_workload_as(CLUSTER, "shop", "web-4", Trouble::NotReady);
    let ended = upgrade(&fleet, "RestartProxies", bend).await;
    assert_eq!(
        (ended.ending.as_str(), ended.proxies()),
        ("RolledBack", vec!["1.29.8".to_owned()]),
        "{}",
        ended.cause
    );
    let mut twice: Vec<String> = ended.restarted();
    twice.sort();
    let count = |name: &str| twice.iter().filter(|one| *one == name).count();
    assert_eq!([count("shop/web-1"), count("shop/web-4"), count("shop/web-5")], [2, 2, 0], "{twice:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_budget_that_closes_on_the_way_is_respected_and_a_person_is_asked() {
    let workloads = vec![deployment("cart", 2), deployment("web", 3), deployment("zoo", 3)];
    let bend =
        |world: &World| world.set_budget(CLUSTER, "shop", "web", Budget::MinAvailable(Amount::Percent(100)));
    let ended = upgrade(&with(workloads), "RestartProxies", bend).await;
    assert_eq!(
        (ended.ending.as_str(), ended.codes("restart-upgrade").await),
        ("Halted", vec!["RESTART_BLOCKED".into()])
    );
    assert_eq!(ended.restarted(), ["shop/cart", "shop/zoo"]);
    // One that adds a pod before it takes one away asks no budget.
    let workloads = vec![deployment("cart", 2), deployment("web", 3).rolling(0, 1)];
    let ended = upgrade(&with(workloads), "RestartProxies", bend).await;
    assert_eq!((ended.ending.as_str(), ended.restarted().len()), ("SUCCEEDED", 2), "{}", ended.cause);
}

#[tokio::test(flavor = "current_thread")]
async fn pods_that_are_replaced_only_when_they_are_deleted_are_evicted() {
    let workloads = vec![
        WorkloadSpec::new("data", "ledger", WorkloadKind::StatefulSet, 3).replaced_by(Strategy::OnDelete),
        WorkloadSpec::new("edge", "relay", WorkloadKind::DaemonSet, 3).replaced_by(Strategy::OnDelete),
        deployment("web", 3),
    ];
    let ended = upgrade(&with(workloads), "ConvergeClusters", |_| {}).await;
    assert_eq!(
        (ended.ending.as_str(), ended.proxies()),
        ("SUCCEEDED", vec!["1.30.5".to_owned()]),
        "{}",
        ended.cause
    );
    assert_eq!(ended.house.world.evictions(CLUSTER).len(), 6, "each pod once");
}

/// What a restart does not help keeps its old proxies, is named with its owner and its reason, and takes nobody back.
#[tokio::test(flavor = "current_thread")]
async fn what_is_not_restarted_is_named() {
    let workloads = vec![
        deployment("web", 3),
        deployment("idle", 0),
        deployment("paused", 2).paused(),
        deployment("recreated", 30).replaced_by(Strategy::Recreate),
        WorkloadSpec::new("data", "split", WorkloadKind::StatefulSet, 3).with_partition(2),
    ];
    let ended = upgrade(&with(workloads), "ConvergeClusters", |_| {}).await;
    assert_eq!(
        (ended.ending.as_str(), ended.restarted()),
        ("SUCCEEDED", vec!["shop/web".to_owned()]),
        "{}",
        ended.cause
    );
    let found = ended.found("restart-upgrade").await;
    let mut subjects: Vec<&str> = found.iter().map(|finding| finding.subject.as_str()).collect();
    subjects.sort_unstable();
    let expected = ["data/StatefulSet/split", "shop/Deployment/paused", "shop/Deployment/recreated"];
    assert_eq!(subjects, expected.map(|name| format!("{CLUSTER}: {name}")));
    assert!(found.iter().all(|finding| finding.code == "PROXY_NOT_RESTARTED"), "{found:?}");
}

/// Flux takes the mark away, and with it replaces the pods of the first workload a second time: nobody else's are.
#[tokio::test(flavor = "current_thread")]
async fn a_flux_that_takes_the_mark_away_stops_the_restarts() {
    for strips in [FluxStrips::Templates, FluxStrips::Everything] {
        let workloads = (1..7).map(|n| deployment(&format!("web-{n}"), 3)).collect();
        let ended = upgrade(&with(workloads), "RestartProxies", move |world| {
            world.flux_strips_annotations(CLUSTER, strips);
        })
        .await;
        assert_eq!(
            (ended.ending.as_str(), ended.codes("restart-upgrade").await),
            ("Halted", vec!["RESTART_MARK_LOST".into()])
        );
        assert_eq!(ended.restarted(), ["shop/web-1"]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn restarts_that_take_too_long_stop_where_they_are() {
    let mut fleet = with((1..30).map(|n| deployment(&format!("web-{n:02}"), 2)).collect());
    fleet.config.policy.max_unavailable_workloads_per_namespace = 1;
    fleet.config.policy.restart_timeout_minutes = 5;
    let ended = upgrade(&fleet, "ConvergeClusters", |_| {}).await;
    assert_eq!(ended.codes("restart-upgrade").await, ["RESTART_TIMED_OUT"]);
    let restarted = ended.restarted();
    let has = |name: &str| restarted.iter().any(|one| one == name);
    assert!(has("shop/web-02") && !has("shop/web-29"), "{restarted:?}");
}

/// The first way back fails for good: everything that is known is told, and nothing tries it again.
#[tokio::test(flavor = "current_thread")]
async fn a_cluster_that_cannot_get_back_is_left_to_a_person() {
    let ended = upgrade(&fleet(), "RestartProxies", |world| {
        world.stall_workload_for_good(CLUSTER, "shop", "search", Trouble::CrashLoop);
    })
    .await;
    assert_eq!(ended.ending, "RollbackFailed", "{}", ended.cause);
    assert_eq!(ended.codes("restart-rollback").await, ["RESTART_STUCK"]);
    assert!(!ended.house.store.held_locks().is_empty(), "the batch is frozen");
    assert_eq!(ended.restarted(), ["shop/search", "shop/search"]);
}

/// Thousands of workloads: state in the cluster itself, nothing that grows with it in payloads or the run's record, and as many
/// transitions as the time takes.
#[tokio::test(flavor = "current_thread")]
async fn two_thousand_workloads_are_restarted_within_limits() {
    let mut fleet = fleet();
    let usual = fleet.world.clusters[0].clone();
    fleet.world.clusters[0] = guard_world::ClusterSpec {
        flux_path: usual.flux_path.clone(),
        kubernetes_version: usual.kubernetes_version.clone(),
        role_arn: usual.role_arn.clone(),
        external_id: usual.external_id.clone(),
        ..guard_world::ClusterSpec::of_two_thousand(CLUSTER, &usual.account_id)
    };
    let policy = &mut fleet.config.policy;
    policy.max_unavailable_workloads = 100;
    policy.max_unavailable_workloads_per_namespace = 10;
    policy.max_unavailable_pods = 100;
    policy.max_unavailable_pods_per_namespace = 10;
    policy.restart_timeout_minutes = 180;
    let ended = upgrade(&fleet, "ConvergeClusters", |_| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.restarted().len(), 1_960, "all but twenty that are paused and twenty without pods");
    let run = RunId::parse("run-1").unwrap();
    let first = ended.house.store.entry(&run, &format!("canaries#{CLUSTER}#upgrade")).await.unwrap().unwrap();
    assert!(first.to_string().len() < 2_000, "{first}");
    let bill = ended.house.service.bill("cluster-converge");
    let traffic = ended.house.world.traffic();
    let kubernetes = traffic.iter().find(|(system, _)| matches!(system, System::Kubernetes(_))).unwrap().1;
    println!(
        "{} transitions, {} events, {} invocations, {} bytes of state, {} requests, {} bytes of answers",
        bill.transitions,
        bill.events,
        bill.lambda_invocations,
        bill.peak_state_bytes,
        kubernetes.calls,
        kubernetes.bytes_out
    );
    // The groups decide: a hundred at a time, each as long as its slowest pod.
    assert!(bill.transitions < 700, "{} transitions", bill.transitions);
    assert!(bill.events < 3_000 && bill.peak_state_bytes < 4_000, "{bill:?}");
}
