//! Every state of every machine fails once, with each error name: the run still ends in a told state, with no second
//! merge request and no second restart. The graph writes the list.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_domain::ClusterStatus as S;
use guard_simulation::{Fleet, House};
use guard_tasks::ErrorName;
use guard_tests::fails_once::{FailsOnce, places};
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
}

async fn play(regresses: bool, place: Option<(&str, &str)>, error: ErrorName) -> Effects {
    // The way back needs a cluster that stays; the way up is the same for one.
    let fleet = Fleet::new(if regresses { 2 } else { 1 }, 1, None, None).unwrap();
    let house = House::wrapped(&fleet, |functions| match place {
        None => functions,
        Some((machine, state)) => Box::new(FailsOnce::new(functions, &[(machine, state)], error)),
    })
    .unwrap();
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
    let ups = effects.requests.iter().filter(|(title, _)| !title.starts_with("[ROLLBACK]")).count();
    assert!(ups <= 1 && effects.requests.len() <= 2, "{what}: {effects:?}");
    assert!(effects.restarts.iter().all(|restarts| *restarts <= 2), "{what}: {effects:?}");
    if ending == "SUCCEEDED" {
        assert!(effects.statuses.iter().all(|status| *status == S::Healthy), "{what}: {effects:?}");
    }
}

async fn every_state_fails_once(regresses: bool, error: ErrorName) {
    let whole = play(regresses, None, error).await;
    let is_retried = matches!(error, ErrorName::Transient | ErrorName::Throttled | ErrorName::Conflict);
    for (machine, state) in places().unwrap().into_iter().filter(|(machine, _)| machine != "rollout") {
        let effects = play(regresses, Some((&machine, &state)), error).await;
        let what = format!("{machine}, {state}: {error}");
        if is_retried {
            assert_eq!(effects, whole, "{what}: a retried error leaves no trace");
        }
        assert_told(&effects, &what);
    }
}

macro_rules! stories {
    ($($error:ident: $clean:ident, $rollback:ident;)*) => {$(
        #[tokio::test(flavor = "current_thread")]
        async fn $clean() {
            every_state_fails_once(false, ErrorName::$error).await;
        }

        #[tokio::test(flavor = "current_thread")]
        async fn $rollback() {
            every_state_fails_once(true, ErrorName::$error).await;
        }
    )*};
}

stories! {
    Transient: transient_in_the_clean_story, transient_in_the_rollback_story;
    Throttled: throttled_in_the_clean_story, throttled_in_the_rollback_story;
    Conflict: conflict_in_the_clean_story, conflict_in_the_rollback_story;
    Denied: denied_in_the_clean_story, denied_in_the_rollback_story;
    Rejected: rejected_in_the_clean_story, rejected_in_the_rollback_story;
    Internal: internal_in_the_clean_story, internal_in_the_rollback_story;
}
