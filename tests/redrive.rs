//! A person lets an old execution go on (RedriveExecution), at every point of its life and after it: before the sweep it goes
//! on, after it or beside a newer run it is refused by its fence, and changes nothing of that run.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_asl::TransitionKind;
use guard_domain::ClusterStatus as S;
use guard_simulation::{Fleet, House, invariants};
use serde_json::{Value, json};

fn upgrade() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

/// The clean journey of one batch, stopped by a person when it first enters a state.
async fn stopped_at(fleet: &Fleet, machine: &'static str, state: &'static str) -> (House, String) {
    let house = House::new(fleet).unwrap();
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let (service, arn) = (house.service.clone(), root.clone());
    house.observe(move |transition| {
        let is_there = transition.machine == machine && transition.state.as_deref() == Some(state);
        if is_there && transition.kind == TransitionKind::Entered {
            service.stop_execution(&arn, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house.observe(|_| {});
    (house, root)
}

fn end(house: &House, arn: &str) -> String {
    let ended = house.service.describe_execution(arn).unwrap();
    ended.error.unwrap_or_else(|| ended.status.as_str().to_owned())
}

async fn assert_kept(house: &House, fleet: &Fleet, what: &str) {
    for _ in 0..2 {
        house.sweep().await.unwrap();
    }
    let broken = invariants::broken(house, fleet, false).await.unwrap();
    assert_eq!(broken, [], "{what}");
}

/// Where a run was stopped.
const STATES: [(&str, &str); 9] = [
    ("batch-upgrade", "PreCheckClusters"),
    ("batch-upgrade", "DecidePreCheck"),
    ("batch-upgrade", "OpenUpgradeMergeRequest"),
    ("batch-upgrade", "AwaitUpgradeMerge"),
    ("batch-upgrade", "ConvergeClusters"),
    ("cluster-converge", "WatchRollout"),
    ("cluster-converge", "RestartProxies"),
    ("batch-upgrade", "JudgeSoak"),
    ("batch-upgrade", "PostCheckClusters"),
];

#[tokio::test(flavor = "current_thread")]
async fn before_the_sweep_it_goes_on() {
    let fleet = Fleet::quick(2, 1).unwrap();
    for (machine, state) in STATES {
        let (house, root) = stopped_at(&fleet, machine, state).await;
        house.service.redrive_execution(&root).unwrap();
        house.run().await;
        // Children that were stopped with it are not started again under their names: no answer, and a person is told.
        let expected = if machine == "cluster-converge" { "Halted" } else { "SUCCEEDED" };
        assert_eq!(end(&house, &root), expected, "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn after_the_sweep_it_is_refused() {
    let fleet = Fleet::quick(2, 1).unwrap();
    for (machine, state) in STATES {
        let (house, root) = stopped_at(&fleet, machine, state).await;
        house.sweep().await.unwrap();
        let statuses =
            |house: &House| house.store.clusters().iter().map(|row| row.status).collect::<Vec<_>>();
        let before = statuses(&house);
        house.service.redrive_execution(&root).unwrap();
        house.run().await;
        assert_ne!(end(&house, &root), "SUCCEEDED", "{state}");
        assert_eq!(statuses(&house), before, "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn beside_a_newer_run_it_is_refused_and_changes_nothing() {
    let fleet = Fleet::quick(2, 1).unwrap();
    for (machine, state) in STATES.into_iter().take(4) {
        let (house, root) = stopped_at(&fleet, machine, state).await;
        house.sweep().await.unwrap();
        let newer = house.start("batch-upgrade", "run-2", upgrade()).unwrap();
        let (service, old) = (house.service.clone(), root.clone());
        house.observe(move |transition| {
            let is_there =
                transition.execution == "run-2" && transition.state.as_deref() == Some("AwaitUpgradeMerge");
            if is_there && transition.kind == TransitionKind::Entered {
                service.redrive_execution(&old).unwrap();
            }
        });
        house.run().await;
        assert_ne!(end(&house, &root), "SUCCEEDED", "{state}");
        assert_eq!(end(&house, &newer), "SUCCEEDED", "{state}");
        assert!(house.store.clusters().iter().all(|row| row.status == S::Healthy), "{state}");
        assert_kept(&house, &fleet, state).await;
    }
}
