//! The two stories of the demonstration, asserted on the world's final state.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeMap;

use guard_domain::ClusterStatus as S;
use guard_simulation::{Fleet, Report, Scenario, Story};

const START: &str = "1.29.8";
const TARGET: &str = "1.30.5";

async fn play(scenario: Scenario, seed: u64) -> (Story, Report) {
    let story = Story::with_options(scenario, 5, seed, None, None).unwrap();
    let report = story.play().await.unwrap();
    (story, report)
}

/// What one cluster must look like: registry, control plane, charts and data plane, restarted this often.
fn assert_cluster(story: &Story, id: &str, status: S, version: &str, restarts: u32) {
    let house = story.house();
    let row = house.store.clusters().into_iter().find(|row| row.cluster_id.as_str() == id).unwrap();
    assert_eq!((row.status, row.current_istio_version.to_string().as_str()), (status, version), "{id}");
    assert_eq!(row.target_istio_version, None, "{id}");
    let seen = house.world.cluster(id).unwrap();
    assert_eq!(seen.istiod_version.as_deref(), Some(version), "{id}");
    assert_eq!(seen.charts.len(), 3, "{id}");
    assert!(seen.charts.values().all(|chart| chart == version), "{id}: {:?}", seen.charts);
    assert_eq!(seen.proxy_versions.keys().collect::<Vec<_>>(), [version], "{id}");
    for workload in &seen.workloads {
        // What is not injected is none of GUARD's business.
        let in_mesh = !workload.proxy_versions.is_empty();
        let wanted = if in_mesh { restarts } else { 0 };
        assert_eq!(workload.restarts, wanted, "{id}: {}/{}", workload.namespace, workload.name);
        assert_eq!(workload.ready, workload.replicas, "{id}: {}/{}", workload.namespace, workload.name);
    }
    for name in ["base", "istiod", "gateway"] {
        let path = format!("clusters/{id}/istio/{name}.yaml");
        assert!(house.world.file("main", &path).unwrap().contains(version), "{path}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_clean_batch_ends_with_five_healthy_clusters_at_the_target() {
    let (story, report) = play(Scenario::Clean, 1).await;
    assert_eq!(report.execution_status, "SUCCEEDED", "{:?}", report.cause);
    for n in 1..=5 {
        assert_cluster(&story, &format!("test-euw1-{n}"), S::Healthy, TARGET, 1);
    }
    assert_eq!(report.merge_requests.len(), 1);
    assert_eq!(report.held_locks, Vec::<String>::new());
    assert_eq!(report.surprises, Vec::<String>::new());
    assert_eq!(report.soak.iter().filter(|line| line.outcome == "pass").count(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn clusters_that_fail_their_soak_go_back_in_control_plane_and_proxies() {
    let (story, report) = play(Scenario::Regression, 1).await;
    assert_eq!(report.error.as_deref(), Some("RolledBack"));
    for n in [1, 3, 5] {
        assert_cluster(&story, &format!("test-euw1-{n}"), S::Healthy, TARGET, 1);
    }
    for n in [2, 4] {
        assert_cluster(&story, &format!("test-euw1-{n}"), S::FailedUpgradeRolledBack, START, 2);
    }
    let [upgrade, rollback] = report.merge_requests.as_slice() else { panic_with(&report) };
    assert_eq!(upgrade.title, "Istio upgrade to v1.30.5 for test");
    assert_eq!(rollback.title, "[ROLLBACK] Istio back to v1.29.8 for test");
    assert!(rollback.description.contains("requests failed, 0."), "{}", rollback.description);
    assert_eq!(report.held_locks, Vec::<String>::new());
    assert_eq!(report.surprises, Vec::<String>::new());
}

fn panic_with(report: &Report) -> ! {
    #[expect(clippy::panic, reason = "the test's own failure")]
    {
        panic!("{} merge requests", report.merge_requests.len())
    }
}

/// An edit that reaches another cluster is an outage.
#[tokio::test(flavor = "current_thread")]
async fn a_rollback_request_touches_only_the_failed_clusters_and_only_versions() {
    let (_, report) = play(Scenario::Regression, 1).await;
    for (request, clusters, from, to) in [
        (&report.merge_requests[0], vec![1, 2, 3, 4, 5], START, TARGET),
        (&report.merge_requests[1], vec![2, 4], TARGET, START),
    ] {
        let mut files: Vec<String> = clusters
            .iter()
            .flat_map(|n| {
                ["base", "gateway", "istiod"].map(|name| format!("clusters/test-euw1-{n}/istio/{name}.yaml"))
            })
            .collect();
        files.sort();
        let paths: Vec<&String> = request.files.iter().map(|file| &file.path).collect();
        assert_eq!(paths, files.iter().collect::<Vec<_>>());
        for file in &request.files {
            let changed = |sign: char, header: &str| -> Vec<String> {
                let lines =
                    file.diff.lines().filter(|line| line.starts_with(sign) && !line.starts_with(header));
                lines.map(|line| line[1..].to_owned()).collect()
            };
            let (minus, plus) = (changed('-', "---"), changed('+', "+++"));
            assert_eq!(minus.len(), 1, "{}", file.diff);
            assert_eq!(plus, [minus[0].replace(from, to)], "{}", file.diff);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_same_seed_gives_the_same_run_and_another_seed_the_same_end() {
    let (_, first) = play(Scenario::Regression, 7).await;
    let (_, again) = play(Scenario::Regression, 7).await;
    assert_eq!(serde_json::to_value(&first).unwrap(), serde_json::to_value(&again).unwrap());
    let (_, other) = play(Scenario::Regression, 8).await;
    assert_eq!(other.surprises, Vec::<String>::new());
    let soak = |report: &Report| serde_json::to_value(&report.soak).unwrap();
    assert_ne!(soak(&first), soak(&other), "another seed is another run");
}

/// Unavailable pods are the users' pain: the canary alone first, then at most five workloads with one pod each.
#[tokio::test(flavor = "current_thread")]
async fn restarts_never_take_more_pods_away_than_allowed() {
    let (story, _) = play(Scenario::Regression, 3).await;
    for id in story.house().world.cluster_ids() {
        let seen = story.house().world.cluster(&id).unwrap();
        assert!(seen.max_unavailable_pods <= 5, "{id}: {}", seen.max_unavailable_pods);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_machines_stay_far_from_the_services_limits() {
    let (_, report) = play(Scenario::Regression, 1).await;
    let all: BTreeMap<&str, _> = report.bill.iter().map(|line| (line.machine.as_str(), line)).collect();
    assert_eq!(all["cluster-converge"].executions, 7, "five up, two back");
    assert!(all.values().all(|line| line.worst_history_percent <= 5 && line.peak_state_bytes < 16_384));
    // A cluster's entry in the payload stays under 200 bytes (rule 8 of the house).
    assert!(all["all"].peak_state_bytes < 600 + 5 * 400, "{}", all["all"].peak_state_bytes);
}

/// The largest batch, the fleet of the mission, and a batch in which every cluster is asked about: the house's own limits
/// (10,000 events, 64 KiB of state), well below the service's.
#[tokio::test(flavor = "current_thread")]
async fn the_largest_fleets_stay_inside_the_houses_limits() {
    for (scenario, clusters, batches) in
        [(Scenario::Clean, 200, 1), (Scenario::MarginalAsksAPerson, 60, 1), (Scenario::Clean, 75, 6)]
    {
        let fleet = Fleet::new(clusters, 1, None, None).unwrap().in_batches(batches).unwrap();
        let report = Story::new(scenario, fleet).unwrap().play().await.unwrap();
        let what = format!("{}, {clusters} clusters", scenario.name());
        assert_eq!(report.surprises, Vec::<String>::new(), "{what}");
        for line in &report.bill {
            assert!(line.peak_state_bytes <= 65_536, "{what}: {line:?}");
            assert!(line.worst_history_percent <= 40, "{what}: {line:?}");
        }
        let longest = report.audit.iter().map(|line| line.what.len()).max().unwrap();
        assert!(longest < 8_192, "{what}: an audit line of {longest} bytes");
    }
}

/// No secret of the simulated world may be found in records, audit log, merge requests or execution histories.
#[tokio::test(flavor = "current_thread")]
async fn secrets_stay_out_of_everything_that_is_kept() {
    let (story, report) = play(Scenario::Regression, 1).await;
    let service = &story.house().service;
    let histories: Vec<String> = service
        .list_executions()
        .iter()
        .flat_map(|execution| service.history(&execution.arn))
        .map(|event| event.details.to_string())
        .collect();
    let kept = format!("{}{}", serde_json::to_string(&report).unwrap(), histories.concat());
    let spec = &story.fleet().world;
    for secret in [
        &spec.gitlab_token,
        &spec.datadog_api_key,
        &spec.datadog_app_key,
        &spec.slack_webhook_url,
        &spec.pagerduty_routing_key,
    ] {
        assert!(!kept.contains(secret.as_str()), "{secret} leaked");
    }
    assert!(!kept.contains("k8s-aws-v1."), "a cluster token leaked");
}

/// Every scenario of `guard simulate` ends as it says, in the world, the registry, Git and the locks.
#[tokio::test(flavor = "current_thread")]
async fn every_scenario_ends_as_it_says() {
    for scenario in Scenario::ALL {
        for (clusters, seed) in [(3, 1), (4, 2)] {
            let story = Story::with_options(scenario, clusters, seed, None, None).unwrap();
            let report = story.play().await.unwrap();
            let name = scenario.name();
            assert_eq!(report.surprises, Vec::<String>::new(), "{name}, seed {seed}: {:?}", report.cause);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_fleet_goes_batch_by_batch_and_halts_behind_the_first_that_fails() {
    for scenario in [Scenario::Clean, Scenario::Regression] {
        let fleet = Fleet::new(7, 1, None, None).unwrap().in_batches(3).unwrap();
        let report = Story::new(scenario, fleet).unwrap().play().await.unwrap();
        assert_eq!(report.surprises, Vec::<String>::new(), "{}: {:?}", scenario.name(), report.cause);
    }
}
