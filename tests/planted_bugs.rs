//! The check of the checker: for each invariant a bug is planted, and the simulation finds it by that invariant's name. The
//! same story without the bug breaks nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;

use guard_asl::TransitionKind;
use guard_domain::Direction;
use guard_simulation::{Bug, Fleet, House, invariants};
use guard_world::{Answer, Person, Regression};
use serde_json::json;

/// A story in which the bug shows.
#[derive(Debug, Clone, Copy)]
enum Story {
    Clean,
    /// Two people at once.
    TwoStarts,
    /// The batch that waits for the other is started first.
    WrongOrder,
    /// A run dies in its soak; when it was swept somebody starts anew.
    StartAfterDeath,
    /// A person closes the request.
    Closed,
    /// A way back is stopped before its restarts.
    StoppedOnTheWayBack,
}

const BUGS: [(&str, Bug, Story); 10] = [
    ("one_run_a_cluster", Bug::LocksAreGivenAway, Story::TwoStarts),
    ("waves_wait", Bug::OtherBatchesLookDone, Story::WrongOrder),
    ("no_start_beside_a_failure", Bug::FailuresLookHealthy, Story::StartAfterDeath),
    ("one_request_a_change", Bug::RequestsAreOpenedTwice, Story::Clean),
    ("restarted_once", Bug::RestartsAreRepeated, Story::Clean),
    ("back_or_held", Bug::PendingIsLost, Story::Closed),
    ("no_pass_without_data", Bug::SoaksPassUnseen, Story::Clean),
    ("locks_end", Bug::LocksAreKept, Story::Clean),
    ("proxies_not_ahead", Bug::BackIsSaidEarly, Story::StoppedOnTheWayBack),
    ("moves_are_explained", Bug::AuditIsLost, Story::Clean),
];

async fn tell(story: Story, bug: Option<Bug>) -> BTreeSet<String> {
    let mut fleet = Fleet::new(2, 1, None, None).unwrap();
    fleet.config.validation.soak_period_minutes = 20;
    if matches!(story, Story::WrongOrder) {
        fleet = fleet.in_batches(2).unwrap();
    }
    if matches!(story, Story::Closed) {
        let close = Answer::Close { after: std::time::Duration::from_mins(9) };
        fleet.world.person = Person { upgrade: close, rollback: close };
    }
    let house = House::new(&fleet).unwrap();
    let plant = || bug.into_iter().for_each(|bug| house.plant(bug));
    let upgrade = |batch: &str| json!({"batch_id": batch, "target_version": "1.30.5"});
    let stop_at = |machine: &'static str, state: &'static str, direction: Option<Direction>| {
        let service = house.service.clone();
        house.observe(move |transition| {
            let is_there = transition.machine == machine && transition.state.as_deref() == Some(state);
            let is_way = direction.is_none_or(|way| transition.execution.contains(way.as_str()));
            if is_there && is_way && transition.kind == TransitionKind::Entered {
                let root = service.list_executions()[0].arn.clone();
                let _ = service.stop_execution(&root, "Stopped", "by a person");
            }
        });
    };
    match story {
        Story::Clean | Story::Closed => {
            plant();
            house.start("batch-upgrade", "run-1", upgrade("test")).unwrap();
        }
        Story::TwoStarts => {
            plant();
            house.start("batch-upgrade", "run-1", upgrade("test")).unwrap();
            house.start("batch-upgrade", "run-2", upgrade("test")).unwrap();
        }
        Story::WrongOrder => {
            plant();
            house.start("batch-upgrade", "run-1", upgrade("dev")).unwrap();
        }
        Story::StartAfterDeath => {
            stop_at("batch-upgrade", "Soak", None);
            house.run_one("batch-upgrade", "run-1", upgrade("test")).await.unwrap();
            house.sweep().await.unwrap();
            house.observe(|_| {});
            plant();
            house.start("batch-upgrade", "run-2", upgrade("test")).unwrap();
        }
        Story::StoppedOnTheWayBack => {
            let regression =
                Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
            house.world.regress("test-euw1-2", regression);
            stop_at("cluster-converge", "RestartProxies", Some(Direction::Rollback));
            plant();
            house.start("batch-upgrade", "run-1", upgrade("test")).unwrap();
        }
    }
    house.run().await;
    // Two, for what a planted bug lets the first one miss.
    for _ in 0..2 {
        let _ = house.sweep().await;
    }
    let broken = invariants::broken(&house, &fleet, false).await.unwrap();
    broken.into_iter().map(|broken| format!("{}: {}", broken.invariant, broken.what)).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn each_planted_bug_is_found_by_its_invariant() {
    for (invariant, bug, story) in BUGS {
        let sound = tell(story, None).await;
        assert!(sound.is_empty(), "{story:?} without a bug: {sound:#?}");
        let found = tell(story, Some(bug)).await;
        let start = format!("{invariant}: ");
        assert!(found.iter().any(|one| one.starts_with(&start)), "{bug:?} is not found: {found:#?}");
    }
}

/// Not only the records are asked whether there was data.
#[tokio::test(flavor = "current_thread")]
async fn a_soak_of_which_datadog_has_nothing_is_found() {
    let fleet = Fleet::quick(1, 1).unwrap();
    let house = House::new(&fleet).unwrap();
    house.plant(Bug::SoaksPassUnseen);
    let world = house.world.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("Soak") && transition.kind == TransitionKind::Entered {
            world.silence_metrics(None, true);
        }
    });
    house
        .run_one("batch-upgrade", "run-1", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let broken = invariants::broken(&house, &fleet, false).await.unwrap();
    assert!(broken.iter().any(|one| one.what.ends_with("Datadog has nothing of its soak")), "{broken:#?}");
}

#[test]
fn each_invariant_has_its_bug() {
    let names: Vec<&str> = invariants::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(BUGS.map(|(name, ..)| name).to_vec(), names);
}
