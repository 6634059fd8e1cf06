//! An execution that is stopped anywhere, and the sweep after it: a told end, nothing left to be merged by mistake, locks
//! only where clusters are in the middle. Twice is as once, and what lives is left alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use guard_asl::TransitionKind;
use guard_domain::last_end::LONGEST_FUNCTION;
use guard_domain::{ClusterStatus as S, RunId};
use guard_simulation::{Fault, Fleet, House, Occasion, What};
use guard_tasks::RunRecords as _;
use guard_tasks::ledger::OutcomeEntry;
use guard_world::Regression;
use serde_json::{Value, json};

const ROOT: &str = "run-1";

fn upgrade() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

fn house(regresses: bool) -> House {
    let house = House::new(&Fleet::new(2, 1, None, None).unwrap()).unwrap();
    if regresses {
        let regression =
            Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
        house.world.regress("test-euw1-2", regression);
    }
    house
}

/// Every state that a journey enters, machine and name, in order.
async fn states(regresses: bool) -> Vec<(String, String)> {
    let house = house(regresses);
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let noted = Arc::clone(&seen);
    house.observe(move |transition| {
        if let (TransitionKind::Entered, Some(state)) = (&transition.kind, &transition.state) {
            let place = (transition.machine.clone(), state.clone());
            let mut seen = noted.lock().unwrap();
            if !seen.contains(&place) {
                seen.push(place);
            }
        }
    });
    house.run_one("batch-upgrade", ROOT, upgrade()).await.unwrap();
    seen.lock().unwrap().clone()
}

/// The journey, stopped by a person when it first enters a state; what runs inside of it is stopped with it.
async fn stopped_at(regresses: bool, machine: &str, state: &str) -> House {
    let house = house(regresses);
    let root = house.start("batch-upgrade", ROOT, upgrade()).unwrap();
    let (service, place) = (house.service.clone(), (machine.to_owned(), state.to_owned()));
    house.observe(move |transition| {
        let is_there = transition.machine == place.0 && transition.state.as_ref() == Some(&place.1);
        if is_there && transition.kind == TransitionKind::Entered {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house
}

/// Everything that a sweep could touch.
async fn told(house: &House) -> Value {
    let run = RunId::parse(ROOT).unwrap();
    let requests: Vec<_> = house.world.merge_requests().into_iter().map(|r| (r.title, r.state)).collect();
    let lines: Vec<String> =
        house.store.audit_log(&run).await.unwrap().into_iter().map(|line| line.what).collect();
    json!({
        "rows": house.store.clusters(), "locks": house.store.held_locks(), "requests": requests,
        "record": house.store.entries(&run, "").await.unwrap(), "audit": lines,
        "branches": house.world.branches(), "messages": texts(house), "pages": house.world.open_incidents(),
    })
}

fn assert_same(now: &Value, before: &Value, what: &str) {
    for (key, value) in before.as_object().unwrap() {
        assert_eq!(&now[key], value, "{what}: {key}");
    }
}

fn texts(house: &House) -> Vec<String> {
    house.world.messages().into_iter().map(|message| message.text).collect()
}

fn statuses(house: &House) -> Vec<S> {
    house.store.clusters().iter().map(|row| row.status).collect()
}

fn open_requests(house: &House) -> usize {
    house.world.merge_requests().iter().filter(|request| request.state == "opened").count()
}

async fn outcome(house: &House) -> Option<OutcomeEntry> {
    let entry = house.store.entry(&RunId::parse(ROOT).unwrap(), "outcome").await.unwrap();
    entry.map(|value| serde_json::from_value(value).unwrap())
}

async fn every_state(regresses: bool) {
    let mut ends: BTreeSet<String> = BTreeSet::new();
    for (machine, state) in states(regresses).await {
        let what = format!("{machine}, {state}");
        let house = stopped_at(regresses, &machine, &state).await;
        let before = told(&house).await;
        let had_outcome = outcome(&house).await.is_some();
        let swept = house.sweep().await.unwrap();
        let after = told(&house).await;
        assert_eq!(swept["running"], 0, "{what}");

        let is_in_the_middle = statuses(&house).iter().any(|status| status.needs_an_owner());
        for status in statuses(&house) {
            assert!(![S::MrCreated, S::PreCheckRunning].contains(&status), "{what}: {status} tells nothing");
        }
        let merged = house.world.merge_requests().iter().any(|request| request.state == "merged");
        if !merged {
            assert_eq!(open_requests(&house), 0, "{what}: a request of a dead run can be merged");
            assert_eq!(house.world.branches().len(), 1, "{what}: {:?}", house.world.branches());
        }
        assert_eq!(is_in_the_middle, !house.store.held_locks().is_empty(), "{what}: {:?}", statuses(&house));
        let is_planned = after["record"].as_array().unwrap().iter().any(|entry| entry[0] == "plan");
        if let Some(end) = outcome(&house).await {
            assert!(is_planned, "{what}");
            assert_eq!(is_in_the_middle, end.outcome == "stopped", "{what}: {end:?}");
            let halted = texts(&house).iter().filter(|text| text.starts_with("Halted")).count();
            assert_eq!(halted, usize::from(["halted", "stopped"].contains(&end.outcome.as_str())), "{what}");
            ends.insert(end.outcome);
        } else {
            assert!(!is_planned, "{what}: a run that planned something has an end");
        }
        if had_outcome {
            assert_eq!(before["messages"], after["messages"], "{what}");
        }

        let again = house.sweep().await.unwrap();
        assert_eq!(again["swept"], 0, "{what}");
        let mut same = after;
        if merged {
            // A person goes on to merge the way back.
            same.as_object_mut().unwrap().retain(|key, _| !["requests", "branches"].contains(&key.as_str()));
        }
        assert_same(&told(&house).await, &same, &format!("{what}, swept twice"));
        if !merged {
            let fresh = house.run_one("batch-upgrade", "run-2", upgrade()).await.unwrap();
            let ended = house.service.describe_execution(&fresh).unwrap();
            let expected = if regresses { Some("RolledBack") } else { None };
            assert_eq!(ended.error.as_deref(), expected, "{what}: {:?}", ended.cause);
        }
    }
    let expected: &[&str] =
        if regresses { &["halted", "rolled_back", "stopped"] } else { &["halted", "healthy", "stopped"] };
    assert_eq!(ends.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "current_thread")]
async fn the_clean_journey_may_be_stopped_anywhere() {
    every_state(false).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_rollback_journey_may_be_stopped_anywhere() {
    every_state(true).await;
}

/// Stopped while it waits for its merge, and a person merges before the sweep comes: then it is not before the merge.
#[tokio::test(flavor = "current_thread")]
async fn a_merge_between_the_death_and_the_sweep_is_seen() {
    for (machine, state, status) in [
        ("batch-upgrade", "AwaitUpgradeMerge", S::MrCreated),
        // The request is there, and the status did not follow.
        ("", "mark", S::PreCheckPassed),
    ] {
        let house = if machine.is_empty() {
            dies_at("OpenUpgradeMergeRequest", "move cluster test-euw1-1 to mr-created").await
        } else {
            stopped_at(false, machine, state).await
        };
        assert_eq!(statuses(&house)[0], status);
        assert!(house.world.merge_request_by_person(1, true));
        let swept = house.sweep().await.unwrap();
        assert_eq!(swept["swept"], 1);
        assert_eq!(statuses(&house), [S::Upgrading; 2], "the change is under way");
        assert_eq!(outcome(&house).await.unwrap().outcome, "stopped");
        assert_eq!(house.store.held_locks().len(), 3);
    }
}

/// The function dies at a call of one state, and a person stops the run before it is tried again.
async fn dies_at(state: &'static str, call: &'static str) -> House {
    let hook = move |occasion: &Occasion| {
        let is_it = matches!(&occasion.what, What::Call { operation, .. } if operation == call);
        (is_it && occasion.state.as_deref() == Some(state)).then_some(Fault::Dies)
    };
    let house = House::with_faults(&Fleet::new(2, 1, None, None).unwrap(), hook).unwrap();
    let root = house.start("batch-upgrade", ROOT, upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if matches!(transition.kind, TransitionKind::Retried { .. }) {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house
}

/// Every state of a run that goes on as if nobody had swept.
#[tokio::test(flavor = "current_thread")]
async fn a_sweep_beside_a_run_changes_nothing() {
    async fn end(sweeps: bool) -> Value {
        let house = house(true);
        house.start("batch-upgrade", ROOT, upgrade()).unwrap();
        if sweeps {
            // Each is asked for at a time of its own while the run is under way.
            let mut seen = 0;
            for minute in 1..40 {
                let at = house.service.now() + jiff::SignedDuration::from_mins(minute % 7);
                let answer = house.sweep_at(at).await.unwrap();
                seen += usize::from(answer["running"] == 1);
                assert_eq!((&answer["swept"], &answer["freed"]), (&json!(0), &json!(0)));
            }
            assert!(seen >= 10, "{seen} sweeps saw it run");
        }
        house.run().await;
        let requests: Vec<_> = house.world.merge_requests().into_iter().map(|r| (r.title, r.state)).collect();
        json!({"statuses": statuses(&house), "requests": requests, "messages": texts(&house)})
    }
    assert_eq!(end(true).await["statuses"], end(false).await["statuses"]);
    assert_eq!(end(true).await["requests"], end(false).await["requests"]);
}

/// What has just ended may have left a function at work.
#[tokio::test(flavor = "current_thread")]
async fn what_ended_lately_is_left_alone_and_not_taken_over() {
    let house = stopped_at(false, "batch-upgrade", "AwaitUpgradeMerge").await;
    let ended = house.service.now();
    let before = told(&house).await;
    let early = house.sweep_at(ended).await.unwrap();
    assert_eq!((&early["fading"], &early["swept"]), (&json!(1), &json!(0)));
    assert_eq!(told(&house).await, before);

    let refused = house.run_one("batch-upgrade", "run-2", upgrade()).await.unwrap();
    let refused = house.service.describe_execution(&refused).unwrap();
    let cause = refused.cause.unwrap();
    assert_eq!(refused.error.as_deref(), Some("GateFailed"));
    assert!(cause.contains("LOCK_HELD") && cause.contains("may be at work until"), "{cause}");

    // Quiet by now, and still not swept: its request can be merged, so nobody takes over.
    house.wait_until(ended + LONGEST_FUNCTION).await;
    let refused = house.run_one("batch-upgrade", "run-3", upgrade()).await.unwrap();
    let cause = house.service.describe_execution(&refused).unwrap().cause.unwrap();
    assert!(cause.contains("LOCK_HELD") && cause.contains("was not swept yet"), "{cause}");
    assert_eq!(told(&house).await, before);

    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    let fresh = house.run_one("batch-upgrade", "run-4", upgrade()).await.unwrap();
    assert_eq!(house.service.describe_execution(&fresh).unwrap().status.as_str(), "SUCCEEDED");
}

/// Step Functions stops children with their parent as far as it gets: one that runs on keeps the lock, to its end.
#[tokio::test(flavor = "current_thread")]
async fn a_run_whose_child_runs_on_is_alive() {
    let whole = house(false);
    whole.run_one("batch-upgrade", ROOT, upgrade()).await.unwrap();
    let children = whole.service.list_executions();
    let child = children.iter().find(|execution| execution.machine == "cluster-converge").unwrap();

    let house = stopped_at(false, "batch-upgrade", "ConvergeClusters").await;
    house.service.start_execution(&child.machine, Some(&child.name), child.input.clone()).unwrap();
    let before = told(&house).await;
    let beside = house.sweep().await.unwrap();
    assert_eq!((&beside["running"], &beside["swept"]), (&json!(1), &json!(0)));
    assert_eq!(outcome(&house).await, None);
    let refused = house.start("batch-upgrade", "run-2", upgrade()).unwrap();
    house.run().await;
    let cause = house.service.describe_execution(&refused).unwrap().cause.unwrap();
    assert!(cause.contains(&format!(", of which {} still runs", child.arn)), "{cause}");
    assert_eq!(told(&house).await["locks"], before["locks"]);
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    assert_eq!(outcome(&house).await.unwrap().outcome, "stopped");
}

/// An old run whose batch belongs to a newer one is not even seen; its own lease opens nothing any more.
#[tokio::test(flavor = "current_thread")]
async fn a_sweep_of_an_old_run_beside_a_newer_one_changes_nothing() {
    let house = stopped_at(false, "batch-upgrade", "DecidePreCheck").await;
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
    house.start("batch-upgrade", "run-2", upgrade()).unwrap();
    let old = told(&house).await["record"].clone();
    for _ in 0..6 {
        let answer = house.sweep().await.unwrap();
        assert_eq!((&answer["held"], &answer["swept"]), (&answer["running"], &json!(0)));
    }
    house.run().await;
    assert_eq!(told(&house).await["record"], old);
    assert_eq!(statuses(&house), [S::Healthy; 2]);
}

/// Where nobody can say who lives, nothing is done, and it is told.
#[tokio::test(flavor = "current_thread")]
async fn without_step_functions_nothing_is_swept() {
    let is_out = Arc::new(Mutex::new(false));
    let hooked = Arc::clone(&is_out);
    let hook = move |occasion: &Occasion| {
        let asks = matches!(&occasion.what, What::Call { system: "Step Functions", .. });
        (asks && *hooked.lock().unwrap()).then_some(Fault::Fails("Transient"))
    };
    let house = House::with_faults(&Fleet::new(2, 1, None, None).unwrap(), hook).unwrap();
    let root = house.start("batch-upgrade", ROOT, upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("AwaitUpgradeMerge") {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    let before = told(&house).await;
    *is_out.lock().unwrap() = true;
    let error = house.sweep().await.unwrap_err();
    assert_eq!(error.error_type, "Transient");
    assert!(error.error_message.contains("run run-1: ask for the lock's holder"), "{error:?}");
    assert_eq!(told(&house).await, before);
    *is_out.lock().unwrap() = false;
    assert_eq!(house.sweep().await.unwrap()["swept"], 1);
}
