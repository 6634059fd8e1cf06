//! Every Task state that the clean and the rollback story enter goes wrong once in every way: it fails with each error name, acts twice, loses its
//! result, outlasts its time-out. The run still ends in a told state, unlocked or held on purpose, with no second merge
//! request and no second restart. The graph writes the list.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use guard_asl::{Resource, StateKind};
use guard_domain::ClusterStatus as S;
use guard_simulation::{Fault, FaultHook, Fleet, House, Occasion, What, machines};
use guard_tasks::ErrorName;
use guard_tests::hooks::{once_at, task_states};
use guard_world::Regression;
use serde_json::json;

/// What the world and the registry look like afterwards.
#[derive(Debug, PartialEq)]
struct Effects {
    ending: String,
    statuses: Vec<S>,
    requests: Vec<(String, String)>,
    restarts: Vec<u32>,
    locks: usize,
    /// What the chat room was told.
    told: Vec<String>,
}

async fn play(regresses: bool, hook: impl FaultHook + 'static) -> Effects {
    // The way back needs a cluster that stays; the way up is the same for one.
    let fleet = Fleet::new(if regresses { 2 } else { 1 }, 1, None, None).unwrap();
    let house = House::with_faults(&fleet, hook).unwrap();
    if regresses {
        let regression =
            Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
        house.world.regress("test-euw1-2", regression);
    }
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let clusters = house.world.cluster_ids().into_iter().map(|id| house.world.cluster(&id).unwrap());
    Effects {
        ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        statuses: house.store.clusters().iter().map(|row| row.status).collect(),
        requests: house
            .world
            .merge_requests()
            .into_iter()
            .map(|request| (request.title, request.state))
            .collect(),
        restarts: clusters.flat_map(|cluster| cluster.workloads).map(|workload| workload.restarts).collect(),
        locks: house.store.held_locks().len(),
        told: house.world.messages().into_iter().map(|message| message.text).collect(),
    }
}

/// What must hold however a run ended.
fn assert_told(effects: &Effects, what: &str) {
    let released =
        ["SUCCEEDED", "RolledBack", "GateFailed", "MergeRequestClosed", "MergeRequestExpired", "Rejected"];
    let held = ["Halted", "RollbackFailed"];
    let ending = effects.ending.as_str();
    assert!(released.contains(&ending) || held.contains(&ending), "{what}: ended in {ending}");
    if released.contains(&ending) {
        assert_eq!(effects.locks, 0, "{what}: {effects:?}");
    }
    let once: BTreeSet<&String> = effects.told.iter().collect();
    assert_eq!(once.len(), effects.told.len(), "{what}: told twice: {effects:?}");
    let ups = effects.requests.iter().filter(|(title, _)| !title.starts_with("[ROLLBACK]")).count();
    assert!(ups <= 1 && effects.requests.len() <= 2, "{what}: {effects:?}");
    assert!(effects.restarts.iter().all(|restarts| *restarts <= 2), "{what}: {effects:?}");
    if ending == "SUCCEEDED" {
        assert!(effects.statuses.iter().all(|status| *status == S::Healthy), "{what}: {effects:?}");
    }
}

/// What the machines are told to try again.
fn is_retried(machine: &str, state: &str, error: &str) -> bool {
    let machines = machines().unwrap();
    let machine = machines.iter().find(|one| one.name == machine).unwrap();
    let StateKind::Task(task) = &machine.state(state).unwrap().kind else { return false };
    let names = task.retry.iter().filter(|retrier| retrier.max_attempts > 0).flat_map(|r| &r.error_equals);
    names.into_iter().any(|name| name == error)
}

fn starts_a_child(machine: &str, state: &str) -> bool {
    let machines = machines().unwrap();
    let machine = machines.iter().find(|one| one.name == machine).unwrap();
    matches!(&machine.state(state).unwrap().kind, StateKind::Task(task) if task.resource == Resource::StartExecutionSync)
}

/// Each state once in one story, this going wrong. Rollout is a loop around the others, with a test of its own.
async fn every_state(regresses: bool, fault: &Fault) {
    let visited: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
    let noted = Arc::clone(&visited);
    let whole = play(regresses, move |occasion: &Occasion| {
        if let (What::State, Some(machine), Some(state)) =
            (&occasion.what, &occasion.machine, &occasion.state)
        {
            noted.lock().unwrap().insert((machine.clone(), state.clone()));
        }
        None
    })
    .await;
    let visited = visited.lock().unwrap().clone();
    // States that this story never enters have nothing to go wrong in it; tests/edge_coverage.rs sends others there.
    let places: Vec<_> = task_states().unwrap().into_iter().filter(|place| visited.contains(place)).collect();
    assert!(places.len() >= if regresses { 20 } else { 11 }, "{places:?}");
    for (machine, state) in places {
        let effects = play(regresses, once_at(&[(&machine, &state)], fault.clone())).await;
        let what = format!("{machine}, {state}: {fault:?}");
        let leaves_no_trace = match fault {
            Fault::Fails(name) => is_retried(&machine, &state, name),
            Fault::ActsTwice => true,
            Fault::LosesReply | Fault::IsSlow | Fault::IsStale | Fault::Dies => false,
        };
        if leaves_no_trace {
            assert_eq!(effects, whole, "{what}: it leaves no trace");
        }
        assert_told(&effects, &what);
    }
}

macro_rules! stories {
    ($($fault:expr => $clean:ident, $rollback:ident;)*) => {$(
        #[tokio::test(flavor = "current_thread")]
        async fn $clean() {
            every_state(false, &$fault).await;
        }

        #[tokio::test(flavor = "current_thread")]
        async fn $rollback() {
            every_state(true, &$fault).await;
        }
    )*};
}

stories! {
    Fault::fails(ErrorName::Transient) => transient_in_the_clean_story, transient_in_the_rollback_story;
    Fault::fails(ErrorName::Throttled) => throttled_in_the_clean_story, throttled_in_the_rollback_story;
    Fault::fails(ErrorName::Conflict) => conflict_in_the_clean_story, conflict_in_the_rollback_story;
    Fault::fails(ErrorName::Denied) => denied_in_the_clean_story, denied_in_the_rollback_story;
    Fault::fails(ErrorName::Rejected) => rejected_in_the_clean_story, rejected_in_the_rollback_story;
    Fault::fails(ErrorName::Internal) => internal_in_the_clean_story, internal_in_the_rollback_story;
    Fault::Fails("Lambda.Unknown") => a_killed_function_in_the_clean_story, a_killed_function_in_the_rollback_story;
    Fault::Fails("Lambda.TooManyRequestsException") =>
        lambda_throttles_in_the_clean_story, lambda_throttles_in_the_rollback_story;
    Fault::Fails("States.TaskFailed") => an_unnamed_failure_in_the_clean_story, an_unnamed_failure_in_the_rollback_story;
    Fault::ActsTwice => twice_in_the_clean_story, twice_in_the_rollback_story;
    Fault::LosesReply => a_lost_result_in_the_clean_story, a_lost_result_in_the_rollback_story;
    Fault::IsSlow => slow_in_the_clean_story, slow_in_the_rollback_story;
}

/// The only errors of a nested start that are tried again are those of a start that did not happen.
#[test]
fn a_nested_start_is_never_repeated_after_a_time_out() {
    for (machine, state) in task_states().unwrap() {
        if starts_a_child(&machine, &state) {
            assert!(is_retried(&machine, &state, "StepFunctions.ExecutionLimitExceededException"), "{state}");
            for name in ["States.Timeout", "States.TaskFailed", "Lambda.Unknown"] {
                assert!(!is_retried(&machine, &state, name), "{machine}, {state}: {name}");
            }
        }
    }
}

/// The rollout over two batches: whatever goes wrong in it, the second batch never begins before the first is healthy.
#[tokio::test(flavor = "current_thread")]
async fn the_rollout_never_runs_ahead_of_a_batch_that_is_not_healthy() {
    let mut faults: Vec<Fault> = ErrorName::ALL.into_iter().map(Fault::fails).collect();
    faults.extend([Fault::Fails("Lambda.Unknown"), Fault::ActsTwice, Fault::LosesReply, Fault::IsSlow]);
    for state in ["NextBatch", "StartBatch"] {
        for fault in &faults {
            let fleet = Fleet::new(2, 1, None, None).unwrap().in_batches(2).unwrap();
            let house = House::with_faults(&fleet, once_at(&[("rollout", state)], fault.clone())).unwrap();
            let input = json!({"target_version": "1.30.5"});
            let arn = house.run_one("rollout", "all", input).await.unwrap();
            let ended = house.service.describe_execution(&arn).unwrap();
            let rows = house.store.clusters();
            let what = format!("rollout, {state}: {fault:?}: {:?} {:?}", ended.error, ended.cause);
            let is_done = |n: usize| rows[n].current_istio_version.to_string() == "1.30.5";
            assert!(!is_done(1) || is_done(0), "{what}");
            match ended.error.as_deref() {
                None => assert!(is_done(0) && is_done(1), "{what}"),
                Some(name) => assert!(["Halted", "Rejected"].contains(&name), "{what}"),
            }
            assert!(house.world.merge_requests().len() <= 2, "{what}");
        }
    }
}

/// What a check says that found no answer is told: the record holds nothing of it.
#[tokio::test(flavor = "current_thread")]
async fn a_check_without_an_answer_is_told_with_its_cause() {
    let hook = |occasion: &Occasion| {
        let is_refused =
            matches!(&occasion.what, What::Call { operation, .. } if operation == "read entry plan");
        (is_refused && occasion.state.as_deref() == Some("PreCheck")).then_some(Fault::Fails("Denied"))
    };
    let fleet = Fleet::new(1, 1, None, None).unwrap();
    let house = House::with_faults(&fleet, hook).unwrap();
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    let cause = ended.cause.unwrap();
    assert_eq!(ended.error.as_deref(), Some("Halted"));
    assert!(
        cause.contains("pre-check found no answer for test-euw1-1; nothing was changed: pre-check: read"),
        "{cause}"
    );
    assert!(!cause.contains('{'), "{cause}");
}
