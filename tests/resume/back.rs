//! On the way back: of a run that takes its failed clusters back, and of all that one has left in the middle.

use std::time::Duration;

use guard_asl::TransitionKind;
use guard_domain::{ClusterStatus as S, FreezeWindow, RollbackScope, RunId};
use guard_simulation::{Fleet, House, Occasion};
use guard_tasks::RunRecords as _;
use guard_world::Answer;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{assert_kept, end, fleet, regress, restarts, resume, stop_at, stopped_at, upgrade};

/// States of the way back, one at least for each thing that is left undone.
const ON_THE_WAY_BACK: [(&str, &str); 12] = [
    ("batch-upgrade", "StartRollback"),
    ("batch-rollback", "PlanRollback"),
    ("batch-rollback", "OpenRollbackMergeRequest"),
    ("batch-rollback", "AwaitRollbackMerge"),
    ("batch-rollback", "IsMerged"),
    ("batch-rollback", "ConvergeBack"),
    ("batch-rollback", "Converge"),
    ("batch-rollback", "DecideConvergeBack"),
    ("batch-rollback", "PostCheck"),
    ("batch-rollback", "DecideVerified"),
    ("batch-rollback", "ReportRolledBack"),
    ("batch-upgrade", "DecideAfterRollback"),
];

/// The person comes to rollback requests only after two hours: the run has ended by then.
fn late(clusters: usize) -> Fleet {
    let mut fleet = fleet(clusters);
    fleet.world.person.rollback = Answer::Merge { after: Duration::from_hours(2) };
    fleet
}

fn back(run: &str) -> Value {
    json!({"batch_id": "test", "reason": "not worth a second try", "resume": run})
}

fn statuses(house: &House) -> Vec<S> {
    house.store.clusters().iter().map(|row| row.status).collect()
}

/// The states of the requests, in the order of their opening.
fn requests(house: &House) -> Vec<String> {
    house.world.merge_requests().into_iter().map(|request| request.state).collect()
}

async fn resumes(house: &House, machine: &str, name: &str, input: Value) -> (String, String) {
    let arn = house.run_one(machine, name, input).await.unwrap();
    end(house, &arn)
}

fn assert_restarted_once_each_way(house: &House, what: &str) {
    for (workload, count) in restarts(house) {
        let most = if workload.starts_with("test-euw1-2 ") { 2 } else { 1 };
        assert!(count <= most, "{what}: {workload} was restarted {count} times");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn wherever_the_way_back_was_stopped_it_is_gone_on_with() {
    for fleet in [fleet(2), late(2)] {
        for (machine, state) in ON_THE_WAY_BACK {
            let house = stopped_at(&fleet, true, machine, state).await;
            let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
            assert_eq!(ended, "RolledBack", "{state}: {cause}");
            assert_eq!(statuses(&house), [S::Healthy, S::FailedUpgradeRolledBack], "{state}");
            // One that was open or merged is followed; none is opened beside it.
            assert_eq!(requests(&house), ["merged", "merged"], "{state}");
            assert_restarted_once_each_way(&house, state);
            assert!(house.store.held_locks().is_empty(), "{state}");
            assert_kept(&house, &fleet, state).await;
        }
    }
}

/// Stopped in its restarts on the way back, again and again.
#[tokio::test(flavor = "current_thread")]
async fn a_chain_of_runs_restarts_nobody_twice_on_the_way_back() {
    let fleet = fleet(2);
    let house = stopped_at(&fleet, true, "batch-rollback", "Converge").await;
    for n in 2..5 {
        let arn = house.start("batch-upgrade", &format!("run-{n}"), resume(&format!("run-{}", n - 1)));
        let arn = arn.unwrap();
        let (service, root) = (house.service.clone(), arn.clone());
        house.observe(move |transition| {
            let is_back = transition.execution.contains("-rollback-");
            let is_there = is_back && transition.state.as_deref() == Some("WaitForWorkloads");
            if is_there && transition.kind == TransitionKind::Entered {
                service.stop_execution(&root, "Stopped", "by a person").unwrap();
            }
        });
        house.run().await;
        house.observe(|_| {});
        assert_eq!(end(&house, &arn).0, "Stopped");
        house.sweep().await.unwrap();
    }
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-5", resume("run-4")).await;
    assert_eq!(ended, "RolledBack", "{cause}");
    assert_eq!(requests(&house), ["merged", "merged"]);
    assert_restarted_once_each_way(&house, "chain");
    assert_kept(&house, &fleet, "chain").await;
}

/// Whom an earlier run of the chain took back is no part of the later ones, and their end tells it all the same.
#[tokio::test(flavor = "current_thread")]
async fn who_is_back_is_told_at_the_end_of_a_chain() {
    let fleet = fleet(2);
    let house = stopped_at(&fleet, true, "batch-upgrade", "DecideAfterRollback").await;
    assert_eq!(statuses(&house), [S::Upgrading, S::FailedUpgradeRolledBack]);
    let root = house.start("batch-upgrade", "run-2", resume("run-1")).unwrap();
    stop_at(&house, root, "batch-upgrade", "Soak");
    house.run().await;
    house.observe(|_| {});
    house.sweep().await.unwrap();
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-3", resume("run-2")).await;
    assert!(ended == "RolledBack" && cause.contains("test-euw1-2"), "{ended}: {cause}");
    assert_eq!(statuses(&house), [S::Healthy, S::FailedUpgradeRolledBack]);
    assert!(house.store.held_locks().is_empty());
    assert_kept(&house, &fleet, "chain").await;
}

/// What is merged meanwhile, or closed, is seen when it is gone on with.
#[tokio::test(flavor = "current_thread")]
async fn a_request_that_was_closed_is_opened_anew() {
    let fleet = late(2);
    let house = stopped_at(&fleet, true, "batch-rollback", "AwaitRollbackMerge").await;
    let [_, rollback] = &house.world.merge_requests()[..] else { panic!("{:?}", requests(&house)) };
    house.world.merge_request_by_person(rollback.iid, false);
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
    assert_eq!(ended, "RolledBack", "{cause}");
    let [_, closed, again] = &house.world.merge_requests()[..] else { panic!("{:?}", requests(&house)) };
    assert_eq!((closed.state.as_str(), again.state.as_str()), ("closed", "merged"));
    assert_ne!(closed.source_branch, again.source_branch);
    // Whoever is to merge it reads why, although another run saw it.
    assert!(again.description.contains("p95 latency is worse"), "{}", again.description);
    assert_kept(&house, &fleet, "closed").await;
}

/// A way back that failed waits for a person, who says go on.
#[tokio::test(flavor = "current_thread")]
async fn a_way_back_that_failed_is_gone_on_with() {
    let mut fleet = fleet(2);
    fleet.world.person.rollback = Answer::Close { after: Duration::from_mins(5) };
    let house = House::with_faults(&fleet, |_: &Occasion| None).unwrap();
    regress(&house, "test-euw1-2");
    let first = house.run_one("batch-upgrade", "run-1", upgrade()).await.unwrap();
    assert_eq!(end(&house, &first).0, "RollbackFailed");
    assert_eq!(statuses(&house)[1], S::RollbackRequired);
    let merged = Answer::Merge { after: Duration::from_mins(5) };
    house.world.set_person(guard_world::Person { upgrade: merged, rollback: merged });
    // Once its last function cannot be at work any more.
    house.sweep().await.unwrap();
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
    assert_eq!(ended, "RolledBack", "{cause}");
    assert_eq!(statuses(&house), [S::Healthy, S::FailedUpgradeRolledBack]);
    assert_eq!(requests(&house), ["merged", "closed", "merged"]);
    assert_kept(&house, &fleet, "failed").await;
}

/// A rollback goes on with an upgrade too: all that is in the middle goes back, whatever was said about it.
#[tokio::test(flavor = "current_thread")]
async fn all_that_is_in_the_middle_goes_back_if_a_person_asks() {
    for (fleet, regresses, machine, state, opened) in [
        (fleet(2), false, "cluster-converge", "WatchRollout", 2),
        (fleet(2), false, "cluster-converge", "WaitForWorkloads", 2),
        (fleet(2), false, "batch-upgrade", "Soak", 2),
        (fleet(2), false, "batch-upgrade", "PostCheck", 2),
        // Of one cluster it is merged, or open, already: the other gets one of its own.
        (fleet(2), true, "batch-rollback", "ConvergeBack", 3),
        (late(2), true, "batch-rollback", "AwaitRollbackMerge", 3),
        (fleet(2), true, "batch-rollback", "PlanRollback", 2),
    ] {
        let house = stopped_at(&fleet, regresses, machine, state).await;
        let (ended, cause) = resumes(&house, "batch-rollback", "back-2", back("run-1")).await;
        assert_eq!(ended, "SUCCEEDED", "{state}: {cause}");
        assert_eq!(statuses(&house), [S::FailedUpgradeRolledBack; 2], "{state}");
        assert_eq!(requests(&house), vec!["merged"; opened], "{state}");
        for (workload, count) in restarts(&house) {
            assert!(count <= 2, "{state}: {workload} was restarted {count} times");
        }
        assert!(house.store.held_locks().is_empty(), "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}

/// A rollback by hand that ended in the middle.
#[tokio::test(flavor = "current_thread")]
async fn a_rollback_by_hand_is_gone_on_with() {
    for fleet in [fleet(2), late(2)] {
        for (machine, state) in ON_THE_WAY_BACK {
            // Its last gate has moved the statuses when it is entered: what is left is settled by sweep.
            if machine == "batch-upgrade" || ["ReportRolledBack", "DecideVerified"].contains(&state) {
                continue;
            }
            let house = House::with_faults(&fleet, |_: &Occasion| None).unwrap();
            house.run_one("batch-upgrade", "run-1", upgrade()).await.unwrap();
            let by_hand = json!({"batch_id": "test", "reason": "slower"});
            let root = house.start("batch-rollback", "back-1", by_hand).unwrap();
            stop_at(&house, root, machine, state);
            house.run().await;
            house.observe(|_| {});
            house.sweep().await.unwrap();
            let refused = resumes(&house, "batch-upgrade", "up", resume("back-1")).await;
            let why = "run back-1 was a rollback: start batch-rollback with resume";
            assert!(refused.0 == "Rejected" && refused.1.contains(why), "{state}: {refused:?}");
            let (ended, cause) = resumes(&house, "batch-rollback", "back-2", back("back-1")).await;
            assert_eq!(ended, "SUCCEEDED", "{state}: {cause}");
            assert_eq!(statuses(&house), [S::FailedUpgradeRolledBack; 2], "{state}");
            assert_eq!(requests(&house), ["merged", "merged"], "{state}");
            assert_kept(&house, &fleet, state).await;
        }
    }
}

/// The request that is open would take a cluster back that a person has seen to meanwhile.
#[tokio::test(flavor = "current_thread")]
async fn a_request_that_reaches_others_is_withdrawn() {
    let mut fleet = late(3);
    fleet.config.policy.rollback_scope = RollbackScope::Batch;
    let house = stopped_at(&fleet, true, "batch-rollback", "AwaitRollbackMerge").await;
    assert_eq!(statuses(&house), [S::RollbackRequired; 3]);
    let third = house.store.clusters()[2].cluster_id.clone();
    house.edit_by_hand(&third, Some(|row: &mut guard_domain::ClusterRecord| row.status = S::Healthy));
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
    assert_eq!(ended, "RolledBack", "{cause}");
    let back = S::FailedUpgradeRolledBack;
    assert_eq!(statuses(&house), [back, back, S::Healthy]);
    let all = house.world.merge_requests();
    let [_, whole, rest] = &all[..] else { panic!("{:?}", requests(&house)) };
    assert_eq!((whole.state.as_str(), rest.state.as_str()), ("closed", "merged"));
    for (id, is_of_both) in [("test-euw1-1", true), ("test-euw1-2", true), ("test-euw1-3", false)] {
        let reaches = |description: &str| description.contains(&format!("| {id} |"));
        assert!(reaches(&whole.description), "{id}");
        assert_eq!(reaches(&rest.description), is_of_both, "{id}");
    }
    let log = house.store.audit_log(&RunId::parse("run-2").unwrap()).await.unwrap();
    assert!(log.iter().any(|line| line.what.starts_with("withdrew ")), "{log:?}");
    assert_kept(&house, &fleet, "withdrawn").await;
}

/// One cluster is on its way back, another on its way up: the first goes first.
#[tokio::test(flavor = "current_thread")]
async fn the_way_back_goes_first() {
    let fleet = fleet(2);
    let house = stopped_at(&fleet, true, "batch-rollback", "ConvergeBack").await;
    assert_eq!(statuses(&house), [S::Upgrading, S::RollbackRequired]);
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = order.clone();
    house.observe(move |transition| {
        let state = transition.state.clone().unwrap_or_default();
        if transition.kind == TransitionKind::Entered && transition.machine == "batch-upgrade" {
            seen.lock().unwrap().push(state);
        }
    });
    house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
    house.observe(|_| {});
    let order = order.lock().unwrap().clone();
    let place = |state: &str| order.iter().position(|one| one == state).unwrap();
    assert!(place("StartRollback") < place("ConvergeClusters"), "{order:?}");
    assert!(place("ConvergeClusters") < place("Soak"), "{order:?}");
    // Why it goes back was found by the first run, and is not asked again.
    let run = RunId::parse("run-2").unwrap();
    let look = house.store.entry(&run, "soak#test-euw1-2").await.unwrap();
    assert!(
        look.is_some()
            && look == house.store.entry(&RunId::parse("run-1").unwrap(), "soak#test-euw1-2").await.unwrap()
    );
}

/// A freeze window holds what goes up, and nothing that goes back.
#[tokio::test(flavor = "current_thread")]
async fn nothing_holds_the_way_back() {
    let frozen = |clusters| {
        let mut fleet = fleet(clusters);
        let from = fleet.world.start + SignedDuration::from_mins(30);
        fleet.config.policy.freeze_windows = vec![FreezeWindow {
            from: Some(from),
            to: Some(from + SignedDuration::from_hours(1_000)),
            reason: "sale".to_owned(),
            ..FreezeWindow::default()
        }];
        fleet
    };
    let fleet = frozen(2);
    let house = stopped_at(&fleet, true, "batch-rollback", "ConvergeBack").await;
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
    assert!(ended == "GateFailed" && cause.contains("FREEZE_WINDOW"), "{ended}: {cause}");
    let mut knowingly = resume("run-1");
    knowingly["overrides"] = json!({"FREEZE_WINDOW": "agreed with the shop team"});
    for (machine, input) in [("batch-rollback", back("run-1")), ("batch-upgrade", knowingly)] {
        let copy = house.fork(|_: &Occasion| None);
        let (ended, cause) = resumes(&copy, machine, "run-3", input).await;
        assert!(ended == "SUCCEEDED" || ended == "RolledBack", "{machine}: {ended}: {cause}");
        let log = copy.store.audit_log(&RunId::parse("run-3").unwrap()).await.unwrap();
        let is_told = log.iter().any(|line| line.what.contains("FREEZE_WINDOW overridden: agreed"));
        assert_eq!(is_told, machine == "batch-upgrade", "{log:?}");
        assert_kept(&copy, &fleet, machine).await;
    }
    // Where all of it goes back, an upgrade is not held either.
    let mut fleet = frozen(2);
    fleet.config.policy.rollback_scope = RollbackScope::Batch;
    let house = stopped_at(&fleet, true, "batch-rollback", "ConvergeBack").await;
    let (ended, cause) = resumes(&house, "batch-upgrade", "run-2", resume("run-1")).await;
    assert_eq!(ended, "RolledBack", "{cause}");
    assert_eq!(statuses(&house), [S::FailedUpgradeRolledBack; 2]);
}

/// Neither another batch's run nor one that has nothing in the middle is taken back.
#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_taken_back_is_refused() {
    let fleet = fleet(1);
    let house = House::with_faults(&fleet, |_: &Occasion| None).unwrap();
    house.run_one("batch-upgrade", "run-1", upgrade()).await.unwrap();
    let rows = house.store.clusters();
    for (n, (input, word, why)) in [
        (back("nobody"), "Rejected", "input.resume: no run nobody has planned anything"),
        (back("run-1"), "GateFailed", "it ended as healthy, with nothing to go on with"),
        (back("a b"), "Rejected", "input.resume"),
    ]
    .into_iter()
    .enumerate()
    {
        let (ended, cause) = resumes(&house, "batch-rollback", &format!("try-{n}"), input).await;
        assert!(ended == word && cause.contains(why), "{ended}: {cause}");
        assert_eq!(house.store.clusters(), rows);
    }
    assert!(house.store.held_locks().is_empty());
    assert_eq!(requests(&house), ["merged"]);
}
