//! What goes wrong while it is planned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use guard_asl::TransitionKind;
use guard_domain::{ClusterStatus as S, RunId};
use guard_simulation::{FAULTS, Fault, Fleet, House, Occasion, What};
use guard_tasks::{ErrorName, RunRecords as _};
use serde_json::json;

use crate::{assert_kept, end, regress, restarts, resume, stopped_at, upgrade};

/// Each call of the planning goes wrong in each way, and what dies there is gone on with by the next one.
#[tokio::test(flavor = "current_thread")]
async fn every_call_of_the_planning_may_go_wrong() {
    let fleet = Fleet::quick(1, 1).unwrap();
    let base = stopped_at(&fleet, false, "cluster-converge", "WaitForWorkloads").await;
    let root = base.start("batch-upgrade", "run-2", resume("run-1")).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let is_planning = |occasion: &Occasion| {
        occasion.state.as_deref() == Some("PlanBatch") && matches!(occasion.what, What::Call { .. })
    };
    let counting = base.fork(move |occasion: &Occasion| {
        counted.fetch_add(usize::from(is_planning(occasion)), Ordering::Relaxed);
        None
    });
    counting.run().await;
    let calls = calls.load(Ordering::Relaxed);
    assert!(calls > 20, "{calls} calls");
    for nth in 0..calls {
        for fault in FAULTS.into_iter().filter(|fault| *fault != Fault::IsStale) {
            let (count, planned) = (AtomicUsize::new(0), fault.clone());
            let house = base.fork(move |occasion: &Occasion| {
                let is_it = is_planning(occasion) && count.fetch_add(1, Ordering::Relaxed) == nth;
                is_it.then(|| planned.clone())
            });
            let what = format!("call {nth}, {fault:?}");
            if fault == Fault::Dies {
                // And a person stops it before it is tried again.
                let (service, arn) = (house.service.clone(), root.clone());
                house.observe(move |transition| {
                    if matches!(transition.kind, TransitionKind::Retried { .. }) {
                        service.stop_execution(&arn, "Stopped", "by a person").unwrap();
                    }
                });
            }
            house.run().await;
            house.observe(|_| {});
            house.sweep().await.unwrap();
            let is_in_the_middle = house.store.clusters()[0].status.needs_an_owner();
            assert_eq!(is_in_the_middle, !house.store.held_locks().is_empty(), "{what}");
            let mut last = "run-2".to_owned();
            if end(&house, &root).0 != "SUCCEEDED" {
                // It took over, or it did not: one of the two can be gone on with.
                let has_plan =
                    house.store.entry(&RunId::parse("run-2").unwrap(), "plan").await.unwrap().is_some();
                let of = if has_plan { "run-2" } else { "run-1" };
                let arn = house.run_one("batch-upgrade", "run-3", resume(of)).await.unwrap();
                assert_eq!(end(&house, &arn).0, "SUCCEEDED", "{what}: {:?}", end(&house, &arn));
                last = "run-3".to_owned();
            }
            assert_eq!(house.store.clusters()[0].status, S::Healthy, "{what}, {last}");
            assert!(restarts(&house).values().all(|count| *count <= 1), "{what}");
            assert_kept(&house, &fleet, &what).await;
        }
    }
}

fn is_call_in(occasion: &Occasion, state: &str) -> bool {
    occasion.state.as_deref() == Some(state) && matches!(occasion.what, What::Call { .. })
}

/// How many calls a state makes, to the end of what was begun.
async fn calls_in(base: &House, state: &'static str) -> usize {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let house = base.fork(move |occasion: &Occasion| {
        counted.fetch_add(usize::from(is_call_in(occasion, state)), Ordering::Relaxed);
        None
    });
    house.run().await;
    calls.load(Ordering::Relaxed)
}

/// A copy in which the function of a state dies at its n-th call, and a person stops the run before it is tried again.
async fn died_in(base: &House, root: &str, state: &'static str, nth: usize) -> House {
    let count = AtomicUsize::new(0);
    let house = base.fork(move |occasion: &Occasion| {
        let is_it = is_call_in(occasion, state) && count.fetch_add(1, Ordering::Relaxed) == nth;
        is_it.then_some(Fault::Dies)
    });
    let (service, arn) = (house.service.clone(), root.to_owned());
    house.observe(move |transition| {
        if matches!(transition.kind, TransitionKind::Retried { .. }) {
            service.stop_execution(&arn, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house.observe(|_| {});
    house
}

/// The gate that says no dies at each of its calls. A no that was written down by then stands; without one it is asked anew.
#[tokio::test(flavor = "current_thread")]
async fn a_no_that_was_written_down_stands() {
    let fleet = Fleet::quick(1, 1).unwrap();
    let base = House::with_faults(&fleet, |_: &Occasion| None).unwrap();
    regress(&base, "test-euw1-1");
    let root = base.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let calls = calls_in(&base, "JudgeSoak").await;
    let mut stood = 0;
    // The last look is the one that says no.
    for nth in calls.saturating_sub(24)..calls {
        let house = died_in(&base, &root, "JudgeSoak", nth).await;
        house.sweep().await.unwrap();
        let run = RunId::parse("run-1").unwrap();
        let progress = house.store.entry(&run, "progress").await.unwrap().unwrap();
        let says_no = progress["test-euw1-1"] == "failed";
        let followed = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&followed);
        house.observe(move |transition| {
            let is_asked = transition.state.as_deref() == Some("ConvergeClusters");
            seen.fetch_add(usize::from(is_asked), Ordering::Relaxed);
        });
        let resumed = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
        house.observe(|_| {});
        assert_eq!(end(&house, &resumed).0, "RolledBack", "call {nth}: {:?}", end(&house, &resumed));
        assert_eq!(says_no, followed.load(Ordering::Relaxed) == 0, "call {nth}");
        stood += usize::from(says_no);
        assert_eq!(house.store.clusters()[0].status, S::FailedUpgradeRolledBack, "call {nth}");
        assert_kept(&house, &fleet, &format!("call {nth}")).await;
    }
    assert!((1..24).contains(&stood), "{stood} of 24");
}

/// A rollback by hand dies while it moves its clusters: one that nobody has touched since goes back with the others.
#[tokio::test(flavor = "current_thread")]
async fn a_rollback_that_died_half_planned_takes_all_of_its_clusters_back() {
    let fleet = Fleet::quick(2, 1).unwrap();
    let base = House::with_faults(&fleet, |_: &Occasion| None).unwrap();
    base.run_one("batch-upgrade", "run-1", upgrade()).await.unwrap();
    let by_hand = json!({"batch_id": "test", "reason": "slower"});
    let root = base.start("batch-rollback", "back-1", by_hand.clone()).unwrap();
    let calls = calls_in(&base, "PlanRollback").await;
    let mut halves = 0;
    for nth in 0..calls {
        let house = died_in(&base, &root, "PlanRollback", nth).await;
        house.sweep().await.unwrap();
        let statuses: Vec<S> = house.store.clusters().iter().map(|row| row.status).collect();
        halves += usize::from(statuses == [S::RollbackRequired, S::Healthy]);
        let mut input = by_hand.clone();
        if statuses.contains(&S::RollbackRequired) {
            input["resume"] = json!("back-1");
        }
        let arn = house.run_one("batch-rollback", "back-2", input).await.unwrap();
        assert_eq!(end(&house, &arn).0, "SUCCEEDED", "call {nth}, {statuses:?}: {:?}", end(&house, &arn));
        let all_back = house.store.clusters().iter().all(|row| row.status == S::FailedUpgradeRolledBack);
        assert!(all_back, "call {nth}, {statuses:?}: {:?}", house.store.clusters());
        assert_kept(&house, &fleet, &format!("call {nth}")).await;
    }
    assert!(halves > 0, "of {calls} calls");
}

/// The watcher never comes from noting that the request landed to writing which commit brought each cluster its change.
#[tokio::test(flavor = "current_thread")]
async fn what_landed_is_gathered_anew() {
    let fleet = Fleet::quick(1, 1).unwrap();
    let (has_failed, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (failed, over) = (Arc::clone(&has_failed), Arc::clone(&is_over));
    let house = House::with_faults(&fleet, move |occasion: &Occasion| {
        let is_it = matches!(&occasion.what, What::Call { operation, .. } if operation == "write entry landed#upgrade");
        failed.fetch_or(is_it, Ordering::Relaxed);
        (is_it && !over.load(Ordering::Relaxed)).then(|| Fault::fails(ErrorName::Transient))
    })
    .unwrap();
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    while !has_failed.load(Ordering::Relaxed) {
        house.step().await.unwrap();
    }
    house.service.stop_execution(&root, "Stopped", "by a person").unwrap();
    house.run().await;
    house.sweep().await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    assert_eq!(house.store.clusters()[0].status, S::Upgrading);
    let of = async |run| house.store.entry(&RunId::parse(run).unwrap(), "landed#upgrade").await.unwrap();
    assert_eq!(of("run-1").await, None);
    let resumed = house.run_one("batch-upgrade", "run-2", resume("run-1")).await.unwrap();
    assert_eq!(end(&house, &resumed).0, "SUCCEEDED", "{:?}", end(&house, &resumed));
    assert!(of("run-2").await.is_some());
    assert_kept(&house, &fleet, "gathered").await;
}
