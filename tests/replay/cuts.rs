//! A run of an older release that died at any point of it, found by today's: swept, looked after, started anew, or taken back.
//!
//! `make test` takes a part of the points, each time the same; `make crash` takes all (`GUARD_CHAOS=all`).
#![expect(clippy::print_stdout, reason = "the counts are what people want to see")]

use std::collections::BTreeMap;

use guard_domain::{ClusterRecord, ClusterStatus};
use guard_simulation::{Event, Fleet, House, Journey, Occasion, invariants};
use serde_json::{Value, json};

use crate::person::{in_the_middle, looks_after};
use crate::{Kept, kept};

/// The run of the recordings.
const OLD: &str = "run-1";

/// One in so many points, in `make test`.
pub(crate) const STRIDE: usize = 9;

#[expect(clippy::disallowed_methods, reason = "the Makefile says how much is played")]
pub(crate) fn plays_all() -> bool {
    std::env::var("GUARD_CHAOS").is_ok_and(|word| word == "all")
}

/// What happened before the change after the n-th: the function that would have made it has died.
fn before_change(events: &[Event], n: usize) -> &[Event] {
    let mut changes = events.iter().enumerate().filter(|(_, event)| event.deed.is_change());
    changes.nth(n).map_or(events, |(index, _)| &events[..index])
}

/// The house as the run left it when it died after its n-th change.
async fn died_after(kept: &Kept, n: usize) -> (House, Fleet) {
    let (house, fleet) = kept.recording.scene.house().unwrap();
    let events = before_change(&kept.recording.events, n);
    for event in events {
        house.replay(event, &fleet.world).await.unwrap_or_else(|error| panic!("{}: {error}", kept.name));
    }
    house.end_executions(events).unwrap();
    (house, fleet)
}

/// How a run of today ended: in a word, and why.
async fn run(house: &House, machine: &str, name: &str, input: Value) -> (String, String) {
    let arn = house.run_one(machine, name, input).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    let word = ended.error.unwrap_or_else(|| ended.status.as_str().to_owned());
    (word, ended.cause.unwrap_or_default())
}

async fn broken(house: &House, fleet: &Fleet, when: &str) -> Vec<String> {
    let broken = invariants::broken(house, fleet, false).await.unwrap();
    broken.into_iter().map(|broken| format!("{when}: {}: {}", broken.invariant, broken.what)).collect()
}

/// What is wrong where today's code goes on with it by its name, from the record that the older release wrote.
async fn goes_on(house: &House, fleet: &Fleet, kept: &Kept) -> Vec<String> {
    let copy = house.fork(|_: &Occasion| None);
    let on = json!({"batch_id": fleet.batches[0], "target_version": fleet.target, "resume": OLD});
    let (end, why) = run(&copy, "batch-upgrade", "on", on).await;
    let expected = if kept.recording.scene.regresses.is_some() { "RolledBack" } else { "SUCCEEDED" };
    let mut wrong = broken(&copy, fleet, "gone on with").await;
    if end != expected || !in_the_middle(&copy).is_empty() {
        wrong.push(format!("going on ended as {end}: {why}"));
    }
    wrong
}

/// One point: what became of it, and what is wrong.
async fn cut(kept: &Kept, n: usize) -> (String, Vec<String>) {
    let (house, fleet) = died_after(kept, n).await;
    let mut wrong = Vec::new();
    if let Err(error) = house.sweep().await {
        wrong.push(format!("the sweep failed: {error:?}"));
    }
    wrong.extend(broken(&house, &fleet, "swept").await);

    let was_in_the_middle = !in_the_middle(&house).is_empty();
    if was_in_the_middle {
        wrong.extend(goes_on(&house, &fleet, kept).await);
        looks_after(&house, &fleet, OLD).await;
    }
    let is_at_target = |row: &ClusterRecord| {
        row.status == ClusterStatus::Healthy && row.current_istio_version == fleet.target
    };
    let goes_back = was_in_the_middle && house.store.clusters().iter().all(is_at_target);
    let end = if goes_back {
        let back = json!({"batch_id": fleet.batches[0], "reason": "the run before stopped in the middle"});
        let (end, why) = run(&house, "batch-rollback", "back", back).await;
        let is_back = |row: &ClusterRecord| row.current_istio_version == fleet.start;
        if end != "SUCCEEDED" || !house.store.clusters().iter().all(is_back) {
            wrong.push(format!("the way back ended as {end}: {why}"));
        }
        format!("looked after, taken back: {end}")
    } else {
        let up = json!({"batch_id": fleet.batches[0], "target_version": fleet.target});
        let (end, why) = run(&house, "batch-upgrade", "run-2", up).await;
        let expected = if kept.recording.scene.regresses.is_some() { "RolledBack" } else { "SUCCEEDED" };
        if end != expected {
            wrong.push(format!("the fresh start ended as {end}: {why}"));
        }
        format!("{}started anew: {end}", if was_in_the_middle { "looked after, " } else { "" })
    };
    let still: Vec<String> = in_the_middle(&house).iter().map(|row| row.cluster_id.to_string()).collect();
    if !still.is_empty() {
        wrong.push(format!("still in the middle: {still:?}"));
    }
    // What a person sets is in the registry and not in the history of writes.
    let mut at_the_end = broken(&house, &fleet, "at the end").await;
    at_the_end.retain(|words| !(was_in_the_middle && words.contains(" no_start_beside_a_failure: ")));
    wrong.extend(at_the_end);
    (end, wrong)
}

async fn everywhere(journey: Journey) {
    for (index, kept) in kept(journey).into_iter().enumerate() {
        let changes = kept.recording.events.iter().filter(|event| event.deed.is_change()).count();
        let stride = if plays_all() { 1 } else { STRIDE };
        let (mut ends, mut failures) = (BTreeMap::<String, usize>::new(), Vec::new());
        // Each release at other points than the one before.
        for n in (0..=changes).rev().skip(index * 3 % stride).step_by(stride) {
            let (end, wrong) = cut(&kept, n).await;
            *ends.entry(end).or_default() += 1;
            failures.extend((!wrong.is_empty()).then(|| format!("after change {n}: {wrong:#?}")));
        }
        println!("{}: {changes} changes, {} runs; {ends:?}", kept.name, ends.values().sum::<usize>());
        assert!(failures.is_empty(), "{}: {} points: {}", kept.name, failures.len(), failures.join("\n"));
        assert!(ends.len() >= 2, "{}: {ends:?}", kept.name);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_clean_run_of_an_older_release_may_die_anywhere() {
    everywhere(Journey::Clean).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_rolled_back_run_of_an_older_release_may_die_anywhere() {
    everywhere(Journey::Regression).await;
}
