//! On the way up.

use guard_asl::TransitionKind;
use guard_domain::{ClusterStatus as S, RunId};
use guard_simulation::House;
use guard_tasks::RunRecords as _;
use serde_json::json;

use crate::{assert_kept, end, fleet, restarts, resume, stop_at, stopped_at, upgrade};

/// States after the merge.
const AFTER_THE_MERGE: [(&str, &str); 10] = [
    ("batch-upgrade", "ConvergeClusters"),
    ("cluster-converge", "WatchRollout"),
    ("cluster-converge", "GateControlPlane"),
    ("cluster-converge", "RestartProxies"),
    ("cluster-converge", "WaitForWorkloads"),
    ("batch-upgrade", "DecideConverge"),
    ("batch-upgrade", "Soak"),
    ("batch-upgrade", "JudgeSoak"),
    ("batch-upgrade", "PostCheckClusters"),
    ("batch-upgrade", "PostCheck"),
];

#[tokio::test(flavor = "current_thread")]
async fn wherever_it_was_stopped_it_is_gone_on_with() {
    let fleet = fleet(2);
    for (machine, state) in AFTER_THE_MERGE {
        let house = stopped_at(&fleet, false, machine, state).await;
        let before = restarts(&house);
        let resumed = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
        assert_eq!(end(&house, &resumed).0, "SUCCEEDED", "{state}: {:?}", end(&house, &resumed));
        assert!(house.store.clusters().iter().all(|row| row.status == S::Healthy), "{state}");
        assert_eq!(house.world.merge_requests().len(), 1, "{state}");
        for (workload, count) in restarts(&house) {
            assert!(
                count <= 1 && count >= before[&workload],
                "{state}: {workload} was restarted {count} times"
            );
        }
        assert!(house.store.held_locks().is_empty(), "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_does_worse_goes_back_all_the_same() {
    let fleet = fleet(2);
    for (machine, state) in [("cluster-converge", "RestartProxies"), ("batch-upgrade", "Soak")] {
        let house = stopped_at(&fleet, true, machine, state).await;
        let resumed = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
        assert_eq!(end(&house, &resumed).0, "RolledBack", "{state}: {:?}", end(&house, &resumed));
        let statuses: Vec<S> = house.store.clusters().iter().map(|row| row.status).collect();
        assert_eq!(statuses, [S::Healthy, S::FailedUpgradeRolledBack], "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}

/// Stopped again and again, each one going on with the one before.
#[tokio::test(flavor = "current_thread")]
async fn a_chain_of_runs_restarts_nobody_twice() {
    let fleet = fleet(2);
    let house = stopped_at(&fleet, false, "cluster-converge", "WaitForWorkloads").await;
    for n in 2..5 {
        let name = format!("run-{n}");
        let arn = house.start("batch-upgrade", &name, resume(&format!("run-{}", n - 1))).unwrap();
        stop_at(&house, arn.clone(), "cluster-converge", "WaitForWorkloads");
        house.run().await;
        house.observe(|_| {});
        assert_eq!(end(&house, &arn).0, "Stopped");
        house.sweep().await.unwrap();
    }
    // The first one was gone on with: only the last one can be.
    let late = house.run_one("batch-upgrade", "late", resume("run-1")).await.unwrap();
    let (ended, cause) = end(&house, &late);
    assert!(ended == "GateFailed" && cause.contains("UNFINISHED_RUN"), "{ended}: {cause}");
    let last = house.run_one("batch-upgrade", "run-5", resume("run-4")).await.unwrap();
    assert_eq!(end(&house, &last).0, "SUCCEEDED");
    assert!(restarts(&house).values().all(|count| *count <= 1), "{:?}", restarts(&house));
    assert_kept(&house, &fleet, "chain").await;
}

/// What is refused, and why; nothing changes by it.
#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_gone_on_with_is_refused() {
    let fleet = fleet(2);
    let house = stopped_at(&fleet, false, "batch-upgrade", "Soak").await;
    let rows = house.store.clusters();
    let locks = house.store.held_locks();
    for (n, (input, word, why)) in [
        (upgrade(), "GateFailed", "start again with \"resume\""),
        (resume("nobody"), "Rejected", "input.resume: no run nobody has planned anything"),
        (
            json!({"batch_id": "test", "target_version": "1.30.4", "resume": "run-1"}),
            "Rejected",
            "input.resume: run run-1 led to 1.30.5",
        ),
        (
            json!({"batch_id": "test", "target_version": "1.30.5", "resume": "run-1", "dry_run": true}),
            "Rejected",
            "input.resume: goes with neither",
        ),
        (
            json!({"batch_id": "test", "target_version": "1.30.5", "resume": "a b"}),
            "Rejected",
            "input.resume",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let arn = house.run_one("batch-upgrade", &format!("try-{n}"), input).await.unwrap();
        let (ended, cause) = end(&house, &arn);
        assert!(ended == word && cause.contains(why), "{ended}: {cause}");
        assert_eq!((house.store.clusters(), house.store.held_locks()), (rows.clone(), locks.clone()));
    }

    // Before its merge there is nothing to go on with.
    let house = stopped_at(&fleet, false, "batch-upgrade", "AwaitUpgradeMerge").await;
    let arn = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
    let (ended, cause) = end(&house, &arn);
    assert!(
        ended == "GateFailed" && cause.contains("CANNOT_RESUME") && cause.contains("halted"),
        "{ended}: {cause}"
    );
    assert!(house.store.held_locks().is_empty());
}

/// What was merged is not what was proposed: a person looks, whoever starts.
#[tokio::test(flavor = "current_thread")]
async fn an_edited_request_is_not_gone_on_with() {
    let fleet = fleet(1);
    let house = House::new(&fleet).unwrap();
    house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let world = house.world.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("AwaitUpgradeMerge")
            && transition.kind == TransitionKind::Entered
        {
            let request = world.merge_requests().pop().unwrap();
            let (path, _, after) = request.diffs[0].clone();
            let text = after.unwrap().replace("1.30.5", "1.30.4");
            world.push(&request.source_branch, &path, Some(&text), "rather this").unwrap();
        }
    });
    house.run().await;
    house.observe(|_| {});
    let arn = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
    let (ended, cause) = end(&house, &arn);
    assert!(ended == "GateFailed" && cause.contains("is not what GUARD proposed"), "{ended}: {cause}");
    assert_eq!(house.store.clusters()[0].status, S::Upgrading);
    assert_eq!(house.store.held_locks().len(), 2);
}

/// What stopped the run was the configuration: the one of now is asked.
#[tokio::test(flavor = "current_thread")]
async fn the_configuration_is_the_one_of_now() {
    let fleet = fleet(1);
    let house = stopped_at(&fleet, false, "batch-upgrade", "Soak").await;
    let mut input = resume("run-1");
    input["soak_minutes"] = json!(40);
    let arn = house.run_one("batch-upgrade", "run-2", input).await.unwrap();
    assert_eq!(end(&house, &arn).0, "SUCCEEDED");
    let run = RunId::parse("run-2").unwrap();
    let soak = house.store.entry(&run, "soak").await.unwrap().unwrap();
    let at = |name: &str| soak[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let minutes = at("until").duration_since(at("from")).as_mins();
    assert!((40..46).contains(&minutes), "{minutes} minutes, on whole points");
    // What was before the merge is the named run's.
    let first = RunId::parse("run-1").unwrap();
    for name in [
        "changed-at",
        "landed#upgrade",
        "pre-check#test-euw1-1",
        "merge-request#upgrade#001",
        "canaries#test-euw1-1#upgrade",
    ] {
        let kept = house.store.entry(&run, name).await.unwrap();
        assert!(kept.is_some() && kept == house.store.entry(&first, name).await.unwrap(), "{name}");
    }
}

/// A live run is not gone on with, nor one whose last function may still be at work.
#[tokio::test(flavor = "current_thread")]
async fn what_lives_is_left_alone() {
    let fleet = fleet(1);
    let house = House::new(&fleet).unwrap();
    house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("Soak") && transition.kind == TransitionKind::Entered {
            let _ = service.start_execution("batch-upgrade", Some("run-2"), resume("run-1"));
        }
    });
    house.run().await;
    let all = house.service.list_executions();
    let of = |name: &str| all.iter().find(|one| one.name == name).unwrap().clone();
    assert_eq!(of("run-1").status.as_str(), "SUCCEEDED");
    assert!(of("run-2").cause.unwrap().contains("CANNOT_RESUME"), "it has not come to an end");
    assert_kept(&house, &fleet, "alive").await;
}
