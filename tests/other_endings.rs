//! Ends other than healthy and rolled back, each told by name, with nothing left behind that is not on purpose.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::time::Duration;

use guard_asl::TransitionKind;
use guard_domain::{BatchId, ClusterStatus as S, FreezeWindow};
use guard_simulation::{Fleet, House};
use guard_world::{Answer, RequestLog, System};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn fleet() -> Fleet {
    Fleet::new(3, 1, None, None).unwrap()
}

struct Ended {
    house: House,
    /// `SUCCEEDED`, or the error's name.
    ending: String,
    cause: String,
    output: Value,
}

async fn play(fleet: &Fleet, machine: &str, input: Value, bend: impl FnOnce(&House)) -> Ended {
    let house = House::new(fleet).unwrap();
    bend(&house);
    let arn = house.run_one(machine, "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    Ended {
        house,
        ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
        output: execution.output.unwrap_or_default(),
    }
}

async fn upgrade(fleet: &Fleet, bend: impl FnOnce(&House)) -> Ended {
    play(fleet, "batch-upgrade", json!({"batch_id": "test", "target_version": "1.30.5"}), bend).await
}

impl Ended {
    fn statuses(&self) -> Vec<S> {
        self.house.store.clusters().iter().map(|row| row.status).collect()
    }

    fn requests(&self) -> Vec<String> {
        self.house.world.merge_requests().into_iter().map(|request| request.state).collect()
    }

    fn is_unlocked(&self) -> bool {
        self.house.store.held_locks().is_empty()
    }

    /// Rolling restarts of injected workloads, over all clusters.
    fn restarts(&self) -> u32 {
        let world = &self.house.world;
        let clusters = world.cluster_ids().into_iter().filter_map(|id| world.cluster(&id));
        clusters.flat_map(|cluster| cluster.workloads).map(|workload| workload.restarts).sum()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_firing_monitor_stops_the_batch_before_anything_is_changed() {
    let ended = upgrade(&fleet(), |house| house.world.fire_monitor("test-euw1-2", "mesh 5xx")).await;
    assert_eq!(ended.ending, "GateFailed");
    assert!(ended.cause.contains("test-euw1-2") && ended.cause.contains("mesh 5xx"), "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::PreCheckPassed, S::PreCheckFailed, S::PreCheckPassed]);
    assert_eq!((ended.requests(), ended.is_unlocked(), ended.restarts()), (vec![], true, 0));
}

/// It keeps no record, so its end is where a person learns why.
#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_that_a_gate_stops_names_what_was_found() {
    let fire = |house: &House| {
        house.world.cluster_ids().iter().for_each(|id| house.world.fire_monitor(id, "mesh 5xx"));
    };
    let input = json!({"batch_id": "test", "target_version": "1.30.5", "dry_run": true});
    let ended = play(&Fleet::new(7, 1, None, None).unwrap(), "batch-upgrade", input, fire).await;
    assert_eq!(ended.ending, "GateFailed");
    assert_eq!(ended.cause.matches("mesh 5xx").count(), 5, "{}", ended.cause);
    assert!(ended.cause.ends_with("; and 2 more"), "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Healthy; 7]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_cluster_that_datadog_does_not_know_is_no_answer_and_stops_the_batch() {
    let mut fleet = fleet();
    fleet.rows[0].datadog_tags.cluster = "somewhere-else".into();
    let ended = upgrade(&fleet, |_| {}).await;
    assert_eq!(ended.ending, "Halted");
    assert!(ended.cause.contains("test-euw1-1"), "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::PreCheckFailed, S::PreCheckPassed, S::PreCheckPassed]);
    assert_eq!((ended.requests(), ended.restarts()), (vec![], 0));
}

/// The metrics fall silent when the batch begins: there is a baseline, and then nothing to judge.
#[tokio::test(flavor = "current_thread")]
async fn a_silent_soak_is_never_a_pass_and_never_a_rollback() {
    let ended = upgrade(&fleet(), |house| house.world.silence_metrics(None, true)).await;
    assert_eq!(ended.ending, "Halted");
    assert_eq!(ended.requests(), ["merged"], "no rollback because the metrics are gone");
    assert_eq!(ended.statuses(), [S::Upgrading; 3]);
    assert!(!ended.is_unlocked(), "held on purpose");
}

/// Somebody merges before anybody waits for it: the token is answered at once, and by nobody else.
#[tokio::test(flavor = "current_thread")]
async fn a_request_that_is_merged_already_is_not_waited_for() {
    let mut fleet = fleet();
    fleet.world.person.upgrade = Answer::Merge { after: Duration::ZERO };
    let house = House::new(&fleet).unwrap();
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let start = house.service.now();
    let arn = house.start("batch-upgrade", "run-1", input).unwrap();
    let left = std::sync::Arc::new(std::sync::Mutex::new(None));
    let noted = std::sync::Arc::clone(&left);
    house.observe(move |transition| {
        let is_exit = matches!(transition.kind, TransitionKind::Exited(_));
        if is_exit && transition.state.as_deref() == Some("AwaitUpgradeMerge") {
            *noted.lock().unwrap() = Some(transition.at);
        }
    });
    house.run().await;
    assert_eq!(house.service.describe_execution(&arn).unwrap().status.as_str(), "SUCCEEDED");
    let waited = left.lock().unwrap().unwrap().duration_since(start);
    assert!(waited < SignedDuration::from_secs(60), "the watcher would have come after a minute: {waited}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_closed_request_gives_the_clusters_back() {
    let mut fleet = fleet();
    fleet.world.person.upgrade = Answer::Close { after: Duration::from_mins(30) };
    let ended = upgrade(&fleet, |_| {}).await;
    assert_eq!(ended.ending, "MergeRequestClosed");
    assert_eq!(ended.requests(), ["closed"]);
    assert_eq!(ended.house.world.branches().len(), 1, "the branch is deleted");
    assert_eq!(ended.statuses(), [S::Pending; 3]);
    assert!(ended.is_unlocked() && ended.restarts() == 0);
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_that_nobody_merges_expires_and_is_withdrawn() {
    let mut fleet = fleet();
    fleet.world.person.upgrade = Answer::Ignore;
    fleet.config.policy.merge_timeout_hours = 2;
    let ended = upgrade(&fleet, |_| {}).await;
    assert_eq!(ended.ending, "MergeRequestExpired");
    assert_eq!(ended.requests(), ["closed"]);
    assert_eq!(ended.house.world.branches().len(), 1);
    assert_eq!(ended.statuses(), [S::Pending; 3]);
    assert!(ended.is_unlocked());
    let waited = ended.house.service.now().duration_since(fleet.world.start);
    assert!(waited < SignedDuration::from_mins(125), "{waited}");
}

/// GitLab is down when the person merges and stays so past the request's end: when it is back, the request is found
/// merged, and the run goes on instead of giving the clusters back.
#[tokio::test(flavor = "current_thread")]
async fn merged_while_it_expires_goes_on() {
    let mut fleet = fleet();
    fleet.world.person.upgrade = Answer::Merge { after: Duration::from_mins(59) };
    fleet.config.policy.merge_timeout_hours = 1;
    let start = fleet.world.start;
    let ended = upgrade(&fleet, |house| {
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        house.world.outage(System::GitLab, at(55), at(90), 503);
    })
    .await;
    assert_eq!(
        (ended.ending.as_str(), ended.requests()),
        ("SUCCEEDED", vec!["merged".to_owned()]),
        "{}",
        ended.cause
    );
    assert_eq!(ended.statuses(), [S::Healthy; 3]);
    assert!(ended.is_unlocked());
}

#[tokio::test(flavor = "current_thread")]
async fn a_failed_helm_upgrade_goes_back_with_the_data_plane_untouched() {
    let ended = upgrade(&fleet(), |house| {
        house.world.fail_helm_upgrade("test-euw1-1", "1.30.5", "context deadline exceeded");
    })
    .await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::FailedUpgradeRolledBack, S::Healthy, S::Healthy]);
    assert_eq!(ended.requests(), ["merged", "merged"]);
    let broken = ended.house.world.cluster("test-euw1-1").unwrap();
    assert_eq!(broken.istiod_version.as_deref(), Some("1.29.8"));
    assert_eq!(broken.workloads.iter().map(|w| w.restarts).sum::<u32>(), 0, "the cheapest rollback there is");
    assert!(ended.is_unlocked());
}

#[tokio::test(flavor = "current_thread")]
async fn a_workload_that_never_becomes_ready_stops_the_restarts() {
    let mut fleet = fleet();
    fleet.config.policy.restart_timeout_minutes = 30;
    let ended = upgrade(&fleet, |house| house.world.stall_workload("test-euw1-3", "data", "ledger")).await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Healthy, S::Healthy, S::FailedUpgradeRolledBack]);
    let stuck = ended.house.world.cluster("test-euw1-3").unwrap();
    assert_eq!(
        stuck.proxy_versions.keys().collect::<Vec<_>>(),
        ["1.29.8"],
        "control plane and proxies are back"
    );
    let ledger = stuck.workloads.iter().find(|w| w.name == "ledger").unwrap();
    // It was the first of its shape. Of the others only those of another shape were restarted.
    assert_eq!(ledger.restarts, 2);
    let names = |restarts| -> Vec<&str> {
        stuck.workloads.iter().filter(|w| w.restarts == restarts).map(|w| w.name.as_str()).collect()
    };
    assert_eq!(names(0), ["reports", "web", "node-agent"]);
}

/// Flux suspended after the merge: a rollback could not arrive either, so a person is asked and the locks stay.
#[tokio::test(flavor = "current_thread")]
async fn flux_suspended_after_the_merge_stops_the_run_with_its_locks() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    let world = house.world.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("ConvergeClusters") {
            world.suspend_flux("test-euw1-2", true);
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    assert_eq!(execution.error.as_deref(), Some("Halted"), "{:?}", execution.cause);
    let statuses: Vec<S> = house.store.clusters().iter().map(|row| row.status).collect();
    assert_eq!(statuses, [S::Upgrading; 3]);
    assert_eq!(house.store.held_locks().len(), 4, "the batch and its clusters");
    assert_eq!(house.world.merge_requests().len(), 1, "no rollback of what nobody can judge");

    // The next start finds the unfinished clusters and refuses; what it took it gives back.
    let again = house
        .run_one("batch-upgrade", "run-2", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let again = house.service.describe_execution(&again).unwrap();
    assert_eq!(again.error.as_deref(), Some("GateFailed"));
    assert!(again.cause.unwrap().contains("UNFINISHED_RUN"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_shows_the_diff_and_writes_nothing_anywhere() {
    let fleet = fleet();
    let input = json!({"batch_id": "test", "target_version": "1.30.5", "dry_run": true});
    let ended = play(&fleet, "batch-upgrade", input, |_| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    let diff = ended.output["summary"].as_str().unwrap();
    assert!(
        diff.contains("-      version: \"1.29.8\"") && diff.contains("+      version: \"1.30.5\""),
        "{diff}"
    );
    assert_eq!(ended.house.store.clusters(), fleet.rows);
    assert_eq!(ended.house.store.runs(), Vec::<String>::new());
    assert!(ended.is_unlocked());
    assert_eq!((ended.requests(), ended.house.world.branches().len()), (vec![], 1));
    // The injector is asked by a pod that is never made.
    let changes_nothing = |r: &RequestLog| r.path == "/api/graphql" || r.path.contains("dryRun=All");
    let is_write = |r: &RequestLog| r.method != "GET" && r.system != System::Sts && !changes_nothing(r);
    assert_eq!(ended.house.world.requests().iter().filter(|request| is_write(request)).count(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn a_second_start_of_the_same_batch_ends_at_once_and_names_the_holder() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let first = house.start("batch-upgrade", "run-1", input.clone()).unwrap();
    let second = house.start("batch-upgrade", "run-2", input.clone()).unwrap();
    house.run().await;
    let ends: Vec<_> = [&first, &second].map(|arn| house.service.describe_execution(arn).unwrap()).into();
    let (winner, loser) = if ends[0].error.is_none() { (&ends[0], &ends[1]) } else { (&ends[1], &ends[0]) };
    assert_eq!(winner.status.as_str(), "SUCCEEDED");
    assert_eq!(loser.error.as_deref(), Some("GateFailed"));
    let cause = loser.cause.as_deref().unwrap();
    assert!(cause.contains("LOCK_HELD") && cause.contains(&winner.arn), "{cause}");
    let page =
        format!("console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{}", winner.arn);
    assert!(cause.contains(&page), "{cause}");
    assert_eq!(house.world.merge_requests().len(), 1);
    assert_eq!(house.store.held_locks(), []);

    let third = house.run_one("batch-upgrade", "run-3", input).await.unwrap();
    assert_eq!(
        house.service.describe_execution(&third).unwrap().status.as_str(),
        "SUCCEEDED",
        "nothing to do"
    );
    assert_eq!(house.world.merge_requests().len(), 1);
}

/// The holder was stopped: its lock is free because Step Functions says so, and nothing of it is left in the middle.
#[tokio::test(flavor = "current_thread")]
async fn the_batch_of_a_stopped_execution_is_free_when_it_was_swept() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let first = house.start("batch-upgrade", "run-1", input.clone()).unwrap();
    let (service, arn) = (house.service.clone(), first.clone());
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("DecidePreCheck") && transition.execution == "run-1" {
            let _ = service.stop_execution(&arn, "Cancelled", "by a person");
        }
    });
    house.run().await;
    assert_eq!(house.store.held_locks().len(), 4, "left by the stopped run");
    house.sweep().await.unwrap();
    let second = house.run_one("batch-upgrade", "run-2", input).await.unwrap();
    let ended = house.service.describe_execution(&second).unwrap();
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    assert_eq!(house.store.held_locks(), []);
}

#[tokio::test(flavor = "current_thread")]
async fn a_person_takes_a_healthy_batch_back() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    house
        .run_one("batch-upgrade", "up", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let back = house
        .run_one("batch-rollback", "back", json!({"batch_id": "test", "reason": "customer complaint"}))
        .await
        .unwrap();
    let ended = house.service.describe_execution(&back).unwrap();
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    for row in house.store.clusters() {
        assert_eq!(
            (row.status, row.current_istio_version.to_string().as_str()),
            (S::FailedUpgradeRolledBack, "1.29.8")
        );
        let seen = house.world.cluster(row.cluster_id.as_str()).unwrap();
        assert_eq!(seen.istiod_version.as_deref(), Some("1.29.8"));
        assert_eq!(seen.proxy_versions.keys().collect::<Vec<_>>(), ["1.29.8"]);
    }
    let request = &house.world.merge_requests()[1];
    assert!(request.title.starts_with("[ROLLBACK]") && request.description.contains("customer complaint"));
    assert_eq!(house.store.held_locks(), []);
}

/// Two batches; the second waits for the first.
fn two_batches() -> Fleet {
    let mut fleet = Fleet::new(4, 1, None, None).unwrap();
    let dev = BatchId::parse("dev").unwrap();
    for row in &mut fleet.rows[2..] {
        row.batch_id = dev.clone();
    }
    fleet.config.batch_order = [(dev, vec![BatchId::parse("test").unwrap()])].into();
    fleet
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollout_takes_the_batches_in_their_order() {
    let ended = play(&two_batches(), "rollout", json!({"target_version": "1.30.5"}), |_| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Healthy; 4]);
    let titles: Vec<String> =
        ended.house.world.merge_requests().into_iter().map(|request| request.title).collect();
    assert_eq!(titles, ["Istio upgrade to v1.30.5 for test", "Istio upgrade to v1.30.5 for dev"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollout_halts_at_the_first_batch_that_is_not_healthy() {
    let bad = |house: &House| house.world.fail_helm_upgrade("test-euw1-1", "1.30.5", "boom");
    let ended = play(&two_batches(), "rollout", json!({"target_version": "1.30.5"}), bad).await;
    assert_eq!(ended.ending, "Halted");
    assert!(ended.cause.contains("batch test is not healthy at 1.30.5"), "{}", ended.cause);
    assert_eq!(
        ended.statuses(),
        [S::FailedUpgradeRolledBack, S::Healthy, S::Healthy, S::Healthy],
        "{}",
        ended.cause
    );
    let rows = ended.house.store.clusters();
    assert!(rows[2..].iter().all(|row| row.current_istio_version.to_string() == "1.29.8"), "dev never began");
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_waits_for_its_prerequisites_and_for_the_end_of_a_freeze() {
    let mut fleet = two_batches();
    let input = json!({"batch_id": "dev", "target_version": "1.30.5"});
    let ended = play(&fleet, "batch-upgrade", input.clone(), |_| {}).await;
    assert_eq!(ended.ending, "GateFailed");
    assert!(ended.cause.contains("PREREQUISITE_BATCH"), "{}", ended.cause);
    assert!(ended.is_unlocked());

    fleet.config.batch_order.clear();
    let (from, to) = (fleet.world.start, fleet.world.start + SignedDuration::from_hours(1));
    fleet.config.policy.freeze_windows = vec![FreezeWindow {
        from: Some(from),
        to: Some(to),
        reason: "sale".into(),
        ..FreezeWindow::default()
    }];
    let ended = play(&fleet, "batch-upgrade", input.clone(), |_| {}).await;
    assert!(ended.ending == "GateFailed" && ended.cause.contains("FREEZE_WINDOW"), "{}", ended.cause);
    let mut knowingly = input;
    knowingly["overrides"] = json!({"FREEZE_WINDOW": "security fix"});
    assert_eq!(play(&fleet, "batch-upgrade", knowingly, |_| {}).await.ending, "SUCCEEDED");
}

/// An edit that reaches a cluster outside of the change is refused before it is written.
#[tokio::test(flavor = "current_thread")]
async fn a_file_that_another_batch_reads_too_is_not_edited() {
    let mut fleet = two_batches();
    fleet.config.batch_order.clear();
    let shared = fleet.rows[0].flux_config_path.clone();
    fleet.rows[3].flux_config_path = shared;
    let ended = upgrade(&fleet, |_| {}).await;
    assert_eq!(ended.ending, "GateFailed");
    assert!(ended.cause.contains("FILE_SHARED") && ended.cause.contains("test-euw1-4"), "{}", ended.cause);
    assert_eq!(ended.requests(), Vec::<String>::new());
}

/// Somebody else takes a cluster back through Git while it soaks: the soak is fine, the post-check is not, and a rollback
/// request would change nothing. A person must look.
#[tokio::test(flavor = "current_thread")]
async fn a_version_that_changed_behind_its_back_is_never_healthy() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    let (world, old) = (house.world.clone(), fleet.world.files.clone());
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("Soak") {
            for name in ["base", "istiod", "gateway"] {
                let path = format!("clusters/test-euw1-2/istio/{name}.yaml");
                world.push("main", &path, Some(&old[&path]), "back by hand");
            }
        }
    });
    let arn = house
        .run_one("batch-upgrade", "run-1", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    assert_eq!(ended.error.as_deref(), Some("RollbackFailed"), "{:?}", ended.cause);
    assert!(ended.cause.unwrap().contains("test-euw1-2"));
    let statuses: Vec<S> = house.store.clusters().iter().map(|row| row.status).collect();
    assert_eq!(statuses, [S::PostCheckRunning, S::RollbackRequired, S::PostCheckRunning]);
    assert_eq!(house.world.merge_requests().len(), 1);
}

/// The person changes the branch before merging it: what lands is not what was proposed.
#[tokio::test(flavor = "current_thread")]
async fn a_request_that_was_edited_before_its_merge_stops_the_run() {
    let fleet = fleet();
    let house = House::new(&fleet).unwrap();
    let (world, old) = (house.world.clone(), fleet.world.files.clone());
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("AwaitUpgradeMerge") {
            let path = "clusters/test-euw1-1/istio/istiod.yaml";
            let edited = old[path].replace("1.29.8", "1.30.4");
            world.push("feature/istio-1.30.5-test", path, Some(&edited), "rather this one");
        }
    });
    let arn = house
        .run_one("batch-upgrade", "run-1", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    assert_eq!(ended.error.as_deref(), Some("Halted"));
    assert!(ended.cause.unwrap().contains("is not what GUARD proposed"));
    let statuses: Vec<S> = house.store.clusters().iter().map(|row| row.status).collect();
    assert_eq!(statuses, [S::Upgrading; 3], "the change is under way");
    assert_eq!(house.store.held_locks().len(), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn two_hundred_clusters_fit_one_batch_and_one_more_is_refused() {
    let mut fleet = Fleet::new(200, 1, None, None).unwrap();
    let mut extra = fleet.rows[0].clone();
    extra.cluster_id = guard_domain::ClusterId::parse("one-too-many").unwrap();
    fleet.rows.push(extra);
    let ended = upgrade(&fleet, |_| {}).await;
    assert_eq!(ended.ending, "Rejected");
    assert!(ended.cause.contains("has 201 clusters, at most 200 fit one batch"), "{}", ended.cause);
    assert!(ended.is_unlocked());
}
