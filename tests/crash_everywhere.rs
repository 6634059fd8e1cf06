//! Every outward call and every state of the clean and the rollback journey of three clusters goes wrong once in every
//! way; after each a sweep, and every invariant holds. What fails is listed by the journeys themselves, so nothing is
//! forgotten.
//!
//! Thousands of runs: `make test` takes a part of them, each time the same, `make chaos` takes all
//! (`GUARD_CHAOS=all`).
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]
#![expect(clippy::print_stdout, reason = "the counts are what people want to see")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use guard_simulation::{FAULTS, Fault, FaultHook, Fleet, House, Occasion, What, invariants};
use guard_world::Regression;
use serde_json::json;

/// At a state: the same of its task; the last is StopExecution.
const AT_A_STATE: [Fault; 5] =
    [Fault::Fails("Lambda.Unknown"), Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow, Fault::Dies];

/// One in so many runs, in `make test`.
const STRIDE: usize = 401;

fn fleet() -> Fleet {
    let mut fleet = Fleet::new(3, 1, None, None).unwrap();
    fleet.config.validation.soak_period_minutes = 20;
    fleet
}

async fn play(regresses: bool, hook: impl FaultHook + 'static) -> (House, Fleet) {
    let fleet = fleet();
    let house = House::with_faults(&fleet, hook).unwrap();
    if regresses {
        let regression =
            Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
        house.world.regress("test-euw1-2", regression);
    }
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    (house, fleet)
}

/// Everything that happens in a journey, in order.
async fn listed(regresses: bool) -> Vec<What> {
    let seen: Arc<Mutex<Vec<What>>> = Arc::default();
    let noted = Arc::clone(&seen);
    play(regresses, move |occasion: &Occasion| {
        noted.lock().unwrap().push(occasion.what.clone());
        None
    })
    .await;
    seen.lock().unwrap().clone()
}

/// What is wrong after this goes wrong at the n-th occasion; the run's ending.
async fn one(regresses: bool, nth: usize, fault: &Fault) -> (String, Vec<String>) {
    let (count, planned) = (AtomicUsize::new(0), fault.clone());
    let hook = move |_: &Occasion| (count.fetch_add(1, Ordering::Relaxed) == nth).then(|| planned.clone());
    let (house, fleet) = play(regresses, hook).await;
    let mut wrong = Vec::new();
    let sweep = house.sweep().await;
    if let Err(error) = &sweep {
        wrong.push(format!("the sweep failed: {error:?}"));
    }
    let root = &house.service.list_executions()[0];
    let ending = root.error.clone().unwrap_or_else(|| root.status.as_str().to_owned());
    if root.stop.is_none() {
        wrong.push("the run did not end".to_owned());
    }
    let broken = invariants::broken(&house, &fleet, false).await.unwrap();
    wrong.extend(broken.into_iter().map(|broken| format!("{}: {}", broken.invariant, broken.what)));
    (ending, wrong)
}

#[expect(clippy::disallowed_methods, reason = "the Makefile says how much is played")]
fn plays_all() -> bool {
    std::env::var("GUARD_CHAOS").is_ok_and(|word| word == "all")
}

async fn everywhere(regresses: bool) {
    let listed = listed(regresses).await;
    let all = plays_all();
    let mut cases = Vec::new();
    for (nth, what) in listed.iter().enumerate() {
        match what {
            What::Call { system, operation } => {
                let can_be_stale = operation.starts_with("GET ");
                let faults = FAULTS.iter().filter(|fault| can_be_stale || **fault != Fault::IsStale);
                cases.extend(faults.map(|fault| (nth, format!("{system}, {operation}"), fault)));
            }
            What::State => cases.extend(AT_A_STATE.iter().map(|fault| (nth, "a state".to_owned(), fault))),
            What::Invocation(_) => {}
        }
    }
    let stride = if all { 1 } else { STRIDE };
    let (mut ends, mut failures, mut runs) = (BTreeMap::<String, usize>::new(), Vec::new(), 0);
    for (nth, place, fault) in cases.iter().step_by(stride) {
        let (ending, wrong) = one(regresses, *nth, fault).await;
        *ends.entry(ending).or_default() += 1;
        runs += 1;
        if !wrong.is_empty() {
            failures.push(format!("occasion {nth} ({place}), {fault:?}:\n    {}", wrong.join("\n    ")));
        }
    }
    let name = if regresses { "rollback" } else { "clean" };
    println!(
        "{name}: {} occasions, {} cases, {runs} runs, {} invariants; ends {ends:?}",
        listed.len(),
        cases.len(),
        invariants::ALL.len()
    );
    assert!(runs >= if all { 5_000 } else { 50 }, "{runs} runs");
    let shown: Vec<&String> = failures.iter().take(20).collect();
    assert!(failures.is_empty(), "{} of {runs} runs broke something:\n{shown:#?}", failures.len());
}

#[tokio::test(flavor = "current_thread")]
async fn the_clean_journey_survives_every_fault_at_every_call() {
    everywhere(false).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_rollback_journey_survives_every_fault_at_every_call() {
    everywhere(true).await;
}

/// Every write of a store, of one cluster's upgrade and of its way back by hand: the reply is lost, or the function dies
/// before it. What belongs to the write, a line of the audit log or the next status, comes all the same.
#[tokio::test(flavor = "current_thread")]
async fn what_belongs_to_a_write_is_not_lost_with_its_reply() {
    async fn play(nth: Option<(usize, Fault)>) -> (usize, Vec<String>) {
        let mut fleet = Fleet::new(1, 1, None, None).unwrap();
        fleet.config.validation.soak_period_minutes = 20;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let hook = move |occasion: &Occasion| {
            let What::Call { system: "DynamoDB", operation } = &occasion.what else { return None };
            let writes = ["write entry", "move cluster", "acquire", "release", "keep token", "drop token"];
            if !writes.iter().any(|start| operation.starts_with(start)) {
                return None;
            }
            let at = counted.fetch_add(1, Ordering::Relaxed);
            nth.as_ref().filter(|(wanted, _)| *wanted == at).map(|(_, fault)| fault.clone())
        };
        let house = House::with_faults(&fleet, hook).unwrap();
        let up = json!({"batch_id": "test", "target_version": "1.30.5"});
        house.run_one("batch-upgrade", "up", up).await.unwrap();
        let back = json!({"batch_id": "test", "reason": "customer complaint"});
        house.run_one("batch-rollback", "back", back).await.unwrap();
        let mut wrong = Vec::new();
        for name in ["up", "back"] {
            let end = ending(&house, name);
            wrong.extend((end != "SUCCEEDED").then(|| format!("{name} ended as {end}")));
        }
        house.sweep().await.unwrap();
        let broken = invariants::broken(&house, &fleet, false).await.unwrap();
        wrong.extend(broken.into_iter().map(|broken| format!("{}: {}", broken.invariant, broken.what)));
        (count.load(Ordering::Relaxed), wrong)
    }
    let (writes, wrong) = play(None).await;
    assert!(writes > 50 && wrong.is_empty(), "{writes} writes: {wrong:?}");
    let mut failures = Vec::new();
    let faults = [Fault::LosesReply, Fault::Dies];
    for nth in 0..writes {
        // In turn, unless there is time for both.
        let some = if plays_all() { &faults[..] } else { &faults[nth % 2..=nth % 2] };
        for fault in some {
            let (_, wrong) = play(Some((nth, fault.clone()))).await;
            failures.extend((!wrong.is_empty()).then(|| format!("write {nth}, {fault:?}: {wrong:?}")));
        }
    }
    println!("{writes} writes");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// How an execution that somebody started ended.
fn ending(house: &House, name: &str) -> String {
    let all = house.service.list_executions();
    let execution = all.into_iter().find(|execution| execution.name == name).unwrap();
    execution.error.unwrap_or_else(|| execution.status.as_str().to_owned())
}
