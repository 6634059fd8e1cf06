//! Lambda is at-least-once: every function may run twice and its reply may be lost, and the world is the same.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_domain::ClusterStatus as S;
use guard_simulation::{FUNCTIONS, Fault, FaultHook, Fleet, House, Occasion, What};
use guard_world::Regression;
use serde_json::json;

/// Every first attempt at one function goes wrong; what is tried again goes well.
fn victim(name: &'static str, fault: Fault) -> impl FaultHook {
    move |occasion: &Occasion| {
        let is_it = occasion.what == What::Invocation(name.to_owned()) && occasion.attempt == 0;
        is_it.then(|| fault.clone())
    }
}

/// What must not depend on how often a function ran.
#[derive(Debug, PartialEq)]
struct Effects {
    ending: Option<String>,
    statuses: Vec<(S, String)>,
    requests: Vec<(String, String)>,
    restarts: Vec<(String, String, u32)>,
    locks: usize,
    /// What the chat room was told.
    told: Vec<String>,
}

async fn effects(name: &'static str, fault: Fault) -> Effects {
    let fleet = Fleet::new(3, 1, None, None).unwrap();
    let house = House::with_faults(&fleet, victim(name, fault)).unwrap();
    house.world.regress(
        "test-euw1-2",
        Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 },
    );
    let arn = house
        .run_one("batch-upgrade", "run-1", json!({"batch_id": "test", "target_version": "1.30.5"}))
        .await
        .unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let clusters = house.world.cluster_ids().into_iter().map(|id| house.world.cluster(&id).unwrap());
    Effects {
        ending: execution.error,
        statuses: house
            .store
            .clusters()
            .iter()
            .map(|row| (row.status, row.current_istio_version.to_string()))
            .collect(),
        requests: house
            .world
            .merge_requests()
            .into_iter()
            .map(|request| (request.title, request.state))
            .collect(),
        restarts: clusters
            .flat_map(|cluster| {
                cluster.workloads.into_iter().map(move |w| (cluster.cluster_id.clone(), w.name, w.restarts))
            })
            .collect(),
        locks: house.store.held_locks().len(),
        told: house.world.messages().into_iter().map(|message| message.text).collect(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_function_may_run_twice() {
    let once = effects("", Fault::ActsTwice).await;
    assert_eq!(
        once.ending.as_deref(),
        Some("RolledBack"),
        "the rollback story is the one that calls them all"
    );
    for victim in FUNCTIONS {
        assert_eq!(effects(victim, Fault::ActsTwice).await, once, "{victim} is not idempotent");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_functions_reply_may_be_lost_once() {
    let once = effects("", Fault::ActsTwice).await;
    for victim in FUNCTIONS {
        // A token's state has no reply to lose: what counts is the token's answer.
        if victim != "await-merge" {
            assert_eq!(
                effects(victim, Fault::LosesReply).await,
                once,
                "{victim} does not survive a lost reply"
            );
        }
    }
}
