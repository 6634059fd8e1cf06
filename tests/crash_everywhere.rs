//! Every outward call and every state of the clean and the rollback journey of three clusters goes wrong once in every
//! way; after each a sweep, and every invariant holds. What fails is listed by the journeys themselves, so nothing is
//! forgotten. The journey is played once, and before each of its steps as many copies of the house go their own way as there
//! are ways to go wrong.
//!
//! A loop looks again and again, and clusters are alike: `make test` takes each kind of call and each state at its first
//! occasion in every way, and at its last once more, where a read goes wrong in two of the ways only. Of the rollback it
//! takes what the clean journey does not have.
//! `make crash` takes every call of every look at every cluster, in every way (`GUARD_CHAOS=all`).
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]
#![expect(clippy::print_stdout, reason = "the counts are what people want to see")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use guard_simulation::{FAULTS, Fault, Fleet, House, Occasion, What, Written, invariants};
use guard_world::Regression;
use serde_json::json;

/// At a state: the same of its task; the last is StopExecution.
const AT_A_STATE: [Fault; 5] =
    [Fault::Fails("Lambda.Unknown"), Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow, Fault::Dies];

/// Ways of a read at its last occasion, in `make test`.
const WAYS_OF_A_LAST_READ: usize = 2;

fn fleet() -> Fleet {
    Fleet::quick(3, 1).unwrap()
}

fn begin(fleet: &Fleet, regresses: bool) -> House {
    let house = House::with_faults(fleet, |_: &Occasion| None).unwrap();
    if regresses {
        let regression =
            Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
        house.world.regress("test-euw1-2", regression);
    }
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    house.start("batch-upgrade", "run-1", input).unwrap();
    house
}

/// What the house's next step does, seen on a copy of it.
async fn ahead(house: &House) -> Vec<Occasion> {
    let seen: Arc<Mutex<Vec<Occasion>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let copy = house.fork(move |occasion: &Occasion| {
        noted.lock().unwrap().push(occasion.clone());
        None
    });
    copy.step().await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// Everything that happens in a journey, in order, step by step.
async fn listed(fleet: &Fleet, regresses: bool) -> Vec<Vec<Occasion>> {
    let house = begin(fleet, regresses);
    let mut steps = Vec::new();
    loop {
        steps.push(ahead(&house).await);
        if house.step().await.is_none() {
            return steps;
        }
    }
}

fn is_read(what: &What) -> bool {
    let What::Call { operation, .. } = what else { return false };
    ["GET ", "read ", "list ", "confirm ", "DescribeExecution"]
        .iter()
        .any(|start| operation.starts_with(start))
}

/// In how many ways something can go wrong.
fn faults(what: &What) -> Vec<Fault> {
    match what {
        What::State => AT_A_STATE.to_vec(),
        // A read that happens twice is a read; nothing else than a read over HTTP can be stale.
        What::Call { operation, .. } => FAULTS
            .into_iter()
            .filter(|fault| operation.starts_with("GET ") || *fault != Fault::IsStale)
            .filter(|fault| !is_read(what) || *fault != Fault::ActsTwice)
            .collect(),
        What::Invocation(_) => Vec::new(),
    }
}

/// What is the same but for the cluster and for how often it was done before.
fn kind(occasion: &Occasion) -> String {
    let what = match &occasion.what {
        What::Call { system, operation } => {
            // API servers have names of their own, and paths the names of pods; the last words name clusters.
            let words = operation.split(['/', ' ', '#', ':']);
            let words = words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
            format!("{system} {}", words.collect::<Vec<_>>().join(" "))
        }
        What::State => "state".to_owned(),
        What::Invocation(_) => "invocation".to_owned(),
    };
    let way = occasion.execution.as_deref().is_some_and(|name| name.contains("rollback"));
    format!("{:?} {:?} {way} {what}", occasion.machine, occasion.state)
}

/// Which faults are played at which occasion. Without all, those of the kinds that another journey has are left to it.
fn chosen(steps: &[Vec<Occasion>], others: &[Vec<Occasion>]) -> BTreeMap<usize, Vec<Fault>> {
    let all: Vec<&Occasion> = steps.iter().flatten().collect();
    let everything = all.iter().enumerate().map(|(n, occasion)| (n, faults(&occasion.what)));
    if plays_all() {
        return everything.filter(|(_, faults)| !faults.is_empty()).collect();
    }
    let known: BTreeSet<String> = others.iter().flatten().map(kind).collect();
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (n, occasion) in all.iter().enumerate() {
        kinds.entry(kind(occasion)).or_default().push(n);
    }
    kinds.retain(|kind, _| !known.contains(kind));
    let mut some = BTreeMap::new();
    for (turn, of_a_kind) in kinds.values().enumerate() {
        let (first, last) = (of_a_kind[0], of_a_kind[of_a_kind.len() - 1]);
        let mut ways = faults(&all[last].what);
        if is_read(&all[last].what) {
            let start = turn * WAYS_OF_A_LAST_READ % ways.len();
            ways.rotate_left(start);
            ways.truncate(WAYS_OF_A_LAST_READ);
        }
        some.insert(last, ways);
        some.insert(first, faults(&all[first].what));
    }
    some
}

/// What is wrong after the house has gone its way; the run's ending.
async fn finish(house: &House, fleet: &Fleet) -> (String, Vec<String>) {
    house.run().await;
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
    let broken = invariants::broken(house, fleet, false).await.unwrap();
    wrong.extend(broken.into_iter().map(|broken| format!("{}: {}", broken.invariant, broken.what)));
    (ending, wrong)
}

#[expect(clippy::disallowed_methods, reason = "the Makefile says how much is played")]
fn plays_all() -> bool {
    std::env::var("GUARD_CHAOS").is_ok_and(|word| word == "all")
}

/// One of `parts` shares of a journey, so that both cores have something to do.
async fn everywhere(regresses: bool, part: usize, parts: usize) {
    let fleet = fleet();
    let steps = listed(&fleet, regresses).await;
    let others = if regresses { listed(&fleet, false).await } else { Vec::new() };
    let chosen = chosen(&steps, &others);
    let house = begin(&fleet, regresses);
    let (mut ends, mut failures, mut runs, mut before) = (BTreeMap::<String, usize>::new(), Vec::new(), 0, 0);
    for step in &steps {
        for (nth, occasion) in step.iter().enumerate() {
            for fault in chosen.get(&(before + nth)).into_iter().flatten() {
                runs += 1;
                if runs % parts != part {
                    continue;
                }
                let (count, planned) = (AtomicUsize::new(0), fault.clone());
                let copy = house.fork(move |_: &Occasion| {
                    (count.fetch_add(1, Ordering::Relaxed) == nth).then(|| planned.clone())
                });
                let (ending, wrong) = finish(&copy, &fleet).await;
                *ends.entry(ending).or_default() += 1;
                if !wrong.is_empty() {
                    let at = before + nth;
                    let place = format!("{:?}/{:?}, {:?}", occasion.machine, occasion.state, occasion.what);
                    failures
                        .push(format!("occasion {at} ({place}), {fault:?}:\n    {}", wrong.join("\n    ")));
                }
            }
        }
        before += step.len();
        house.step().await;
    }
    let name = if regresses { "rollback" } else { "clean" };
    let cases: usize = steps.iter().flatten().map(|occasion| faults(&occasion.what).len()).sum();
    let played: usize = ends.values().sum();
    println!(
        "{name}, part {part} of {parts}: {before} occasions, {cases} cases, {played} of {runs} runs, {} invariants; \
         ends {ends:?}",
        invariants::ALL.len()
    );
    assert!(runs > 500, "{runs} runs");
    let shown: Vec<&String> = failures.iter().take(20).collect();
    assert!(failures.is_empty(), "{} of {played} runs broke something:\n{shown:#?}", failures.len());
}

#[tokio::test(flavor = "current_thread")]
async fn the_clean_journey_survives_every_fault_at_every_call_first_half() {
    everywhere(false, 0, 2).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_clean_journey_survives_every_fault_at_every_call_second_half() {
    everywhere(false, 1, 2).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_rollback_journey_survives_every_fault_at_every_call_first_half() {
    everywhere(true, 0, 2).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_rollback_journey_survives_every_fault_at_every_call_second_half() {
    everywhere(true, 1, 2).await;
}

/// A copy goes the way that the house goes from there, to the last write.
#[tokio::test(flavor = "current_thread")]
async fn a_copy_that_nothing_happens_to_ends_as_the_house_does() {
    let fleet = fleet();
    let house = begin(&fleet, true);
    let mut copies = Vec::new();
    let mut steps = 0;
    while house.step().await.is_some() {
        steps += 1;
        if steps % 150 == 0 {
            copies.push(house.fork(|_: &Occasion| None));
        }
    }
    assert!(copies.len() > 2, "{steps} steps");
    for copy in copies {
        copy.run().await;
        assert_eq!(told(&copy, &fleet), told(&house, &fleet));
    }
}

/// What came of it, without the times: the copy's functions ask for credentials once more, which takes its milliseconds.
fn told(house: &House, fleet: &Fleet) -> Vec<String> {
    let history = house.history();
    let mut told = Vec::new();
    for row in &fleet.rows {
        let moves = history.iter().filter_map(|written| match written {
            Written::Moved { change, .. } if change.cluster_id == row.cluster_id => Some(change),
            _ => None,
        });
        let moves: Vec<String> = moves.map(|change| format!("{} {:?}", change.to, change.version)).collect();
        told.push(format!("{}: {}", row.cluster_id, moves.join(", ")));
    }
    let entries: BTreeSet<&str> = history
        .iter()
        .filter_map(|written| match written {
            Written::Noted { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    told.push(format!("{entries:?}"));
    let requests = house.world.merge_requests();
    told.extend(requests.iter().map(|one| format!("{} {} {:?}", one.title, one.state, one.diffs)));
    let ended = house.service.list_executions();
    told.extend(ended.iter().map(|one| format!("{} {:?} {:?}", one.name, one.status, one.error)));
    told
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
