//! What a sweep finds beside a run that ended in the middle: a branch whose request was never opened, people who could not
//! be reached, a lock that cannot be read.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guard_asl::TransitionKind;
use guard_domain::{ClusterStatus as S, RunId};
use guard_simulation::{Fault, Fleet, House, Occasion, What};
use guard_tasks::{RunRecords as _, TokenStore as _};
use guard_world::Regression;
use serde_json::{Value, json};

fn upgrade() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

async fn lines(house: &House) -> Vec<String> {
    let log = house.store.audit_log(&RunId::parse("run-1").unwrap()).await.unwrap();
    log.into_iter().map(|line| line.what).collect()
}

/// The function dies between the branch and its request, and a person stops the run before it is tried again.
async fn without_a_request() -> House {
    let hook = |occasion: &Occasion| {
        let What::Call { system: "GitLab", operation } = &occasion.what else { return None };
        (operation.starts_with("POST ") && operation.ends_with("/merge_requests")).then_some(Fault::Dies)
    };
    let house = House::with_faults(&Fleet::quick(2, 1).unwrap(), hook).unwrap();
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if matches!(transition.kind, TransitionKind::Retried { .. }) {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    assert!(house.world.merge_requests().is_empty());
    assert_eq!(house.world.branches().len(), 2, "main, and the one that was pushed");
    house
}

fn pushed(house: &House) -> String {
    house.world.branches().into_keys().find(|name| name != "main").unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_branch_without_a_request_is_deleted() {
    let house = without_a_request().await;
    let branch = pushed(&house);
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    assert_eq!(house.world.branches().len(), 1);
    let line = format!("deleted branch {branch} of platform/fleet: its request was never opened");
    assert!(lines(&house).await.contains(&line), "{:?}", lines(&house).await);
    assert!(house.store.held_locks().is_empty());
}

/// The same on the way back: the branch would be in the way of the rollback that a person starts next.
#[tokio::test(flavor = "current_thread")]
async fn a_branch_of_the_way_back_without_a_request_is_deleted() {
    let hook = |occasion: &Occasion| {
        let What::Call { system: "GitLab", operation } = &occasion.what else { return None };
        let opens = operation.starts_with("POST ") && operation.ends_with("/merge_requests");
        (opens && occasion.machine.as_deref() == Some("batch-rollback")).then_some(Fault::Dies)
    };
    let house = House::with_faults(&Fleet::quick(1, 1).unwrap(), hook).unwrap();
    let regression = Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
    house.world.regress("test-euw1-1", regression);
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.machine == "batch-rollback" && matches!(transition.kind, TransitionKind::Retried { .. })
        {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    let branch = pushed(&house);
    assert_eq!(house.world.merge_requests().len(), 1, "{branch}");
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    assert_eq!(house.world.branches().len(), 1, "{:?}", house.world.branches());
    assert!(lines(&house).await.iter().any(|line| line.starts_with(&format!("deleted branch {branch} "))));
    assert_eq!(house.store.clusters()[0].status, S::RollbackRequired);
    assert_eq!(house.store.held_locks().len(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_branch_that_somebody_works_on_is_left_and_told() {
    let house = without_a_request().await;
    let branch = pushed(&house);
    let path = "clusters/test-euw1-1/istio/istiod.yaml";
    let theirs = format!("{}# mine\n", house.world.file(&branch, path).unwrap());
    house.world.push(&branch, path, Some(&theirs), "I go on here").unwrap();
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    assert_eq!(house.world.file(&branch, path), Some(theirs));
    let start = format!("left branch {branch} of platform/fleet: ");
    assert!(lines(&house).await.iter().any(|line| line.starts_with(&start)), "{:?}", lines(&house).await);
    assert!(house.store.held_locks().is_empty(), "it is in nobody's way");
}

/// Nobody waits for a dead run's token any more, and nobody is reminded by it.
#[tokio::test(flavor = "current_thread")]
async fn the_tokens_of_a_dead_run_are_dropped() {
    let house = House::new(&Fleet::quick(1, 1).unwrap()).unwrap();
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    while house.store.open_tokens().await.unwrap().is_empty() {
        house.step().await.unwrap();
    }
    house.service.stop_execution(&root, "Stopped", "by a person").unwrap();
    house.run().await;
    assert_eq!(house.store.open_tokens().await.unwrap().len(), 1);
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    assert_eq!(house.store.open_tokens().await.unwrap(), []);
}

/// Chat and pager are out when the run stops in the middle: the next sweep tells both, and the one after it nobody.
#[tokio::test(flavor = "current_thread")]
async fn people_who_could_not_be_reached_are_told_later() {
    let is_out = Arc::new(AtomicBool::new(true));
    let hooked = Arc::clone(&is_out);
    let hook = move |occasion: &Occasion| match &occasion.what {
        What::Call { system: "Slack" | "PagerDuty", .. } if hooked.load(Ordering::Relaxed) => {
            Some(Fault::Fails("Denied"))
        }
        What::Call { system: "Kubernetes", .. } if occasion.state.as_deref() == Some("RestartProxies") => {
            Some(Fault::Fails("Denied"))
        }
        _ => None,
    };
    let house = House::with_faults(&Fleet::quick(1, 1).unwrap(), hook).unwrap();
    house.run_one("batch-upgrade", "run-1", upgrade()).await.unwrap();
    assert_eq!(house.store.clusters()[0].status, S::Upgrading);
    let halted = |house: &House| {
        house.world.messages().iter().filter(|message| message.text.starts_with("Halted")).count()
    };
    assert_eq!((halted(&house), house.world.open_incidents().len()), (0, 0));

    assert_eq!(house.sweep().await.unwrap()["waiting"], 1);
    assert_eq!((halted(&house), house.world.open_incidents().len()), (0, 0), "still out");
    is_out.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(house.sweep().await.unwrap()["waiting"], 1);
        assert_eq!((halted(&house), house.world.open_incidents().len()), (1, 1));
    }
}

/// One row that does not decode is told, and keeps no other run waiting.
#[tokio::test(flavor = "current_thread")]
async fn a_lock_that_cannot_be_read_does_not_keep_the_others() {
    let house = House::new(&Fleet::quick(1, 1).unwrap()).unwrap();
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("AwaitUpgradeMerge") {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house.store.write_lock(
        "batch#another",
        "no name: of a run",
        "arn:aws:states:::execution:batch-upgrade:x",
    );
    let error = house.sweep().await.unwrap_err();
    assert!(error.error_message.contains("batch#another"), "{error:?}");
    assert_eq!(house.store.held_locks().len(), 1, "the other run's locks are free");
    assert_eq!(house.world.merge_requests()[0].state, "closed");
}
