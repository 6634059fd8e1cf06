//! A fresh start goes on with a run that ended in the middle: nothing is proposed twice, nobody is restarted twice, and all
//! that follows from the merge is asked anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

mod back;
mod planning;
mod up;

use std::collections::BTreeMap;

use guard_asl::TransitionKind;
use guard_simulation::{Fleet, House, Occasion, invariants};
use guard_world::Regression;
use serde_json::{Value, json};

fn upgrade() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

fn resume(run: &str) -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5", "resume": run, "reason": "Datadog is back"})
}

/// Small clusters with days of a past: what is gone on with is judged at another time of the day.
fn fleet(clusters: usize) -> Fleet {
    let mut fleet = Fleet::quick(clusters, 1).unwrap();
    fleet.world.metrics_since = Some(fleet.world.start - jiff::SignedDuration::from_hours(10 * 24));
    fleet
}

/// Stops the execution when it first enters a state.
fn stop_at(house: &House, root: String, machine: &'static str, state: &'static str) {
    let service = house.service.clone();
    house.observe(move |transition| {
        let is_there = transition.machine == machine && transition.state.as_deref() == Some(state);
        if is_there && transition.kind == TransitionKind::Entered {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
}

/// The new version does worse there.
fn regress(house: &House, cluster: &str) {
    let regression = Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
    house.world.regress(cluster, regression);
}

/// The journey, stopped and swept.
async fn stopped_at(fleet: &Fleet, regresses: bool, machine: &'static str, state: &'static str) -> House {
    let house = House::with_faults(fleet, |_: &Occasion| None).unwrap();
    if regresses {
        regress(&house, "test-euw1-2");
    }
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    stop_at(&house, root, machine, state);
    house.run().await;
    house.observe(|_| {});
    house.sweep().await.unwrap();
    house
}

fn end(house: &House, arn: &str) -> (String, String) {
    let ended = house.service.describe_execution(arn).unwrap();
    (ended.error.unwrap_or_else(|| ended.status.as_str().to_owned()), ended.cause.unwrap_or_default())
}

fn restarts(house: &House) -> BTreeMap<String, u64> {
    let clusters = house.world.cluster_ids().into_iter().map(|id| (house.world.cluster(&id).unwrap(), id));
    let all = clusters.flat_map(|(cluster, id)| {
        cluster
            .workloads
            .into_iter()
            .map(move |one| (format!("{id} {}/{}", one.namespace, one.name), u64::from(one.restarts)))
    });
    all.collect()
}

async fn assert_kept(house: &House, fleet: &Fleet, what: &str) {
    house.sweep().await.unwrap();
    let broken = invariants::broken(house, fleet, false).await.unwrap();
    assert_eq!(broken, [], "{what}");
}
