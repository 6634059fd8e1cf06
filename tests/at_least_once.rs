//! Lambda is at-least-once: every function may run twice and its reply may be lost, and the world is the same.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use guard_asl::{FunctionError, Invocation, Reply, TaskRunner};
use guard_domain::ClusterStatus as S;
use guard_simulation::{FUNCTIONS, Fleet, House};
use guard_world::Regression;
use serde_json::json;

/// What goes wrong with the invocations of one function.
#[derive(Clone, Copy)]
enum Fault {
    /// It runs twice; the second answer counts.
    Twice,
    /// It runs, and the first answer from each state of each execution is lost: `Lambda.Unknown` is retried once.
    LostReply,
}

struct Faulty {
    functions: Box<dyn TaskRunner>,
    victim: &'static str,
    fault: Fault,
    /// States whose reply was lost already.
    lost: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl TaskRunner for Faulty {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        if !invocation.function.ends_with(&format!(":guard-{}", self.victim)) {
            return self.functions.invoke(invocation).await;
        }
        let first = self.functions.invoke(invocation.clone()).await;
        match self.fault {
            Fault::Twice => self.functions.invoke(invocation).await,
            Fault::LostReply => {
                let place =
                    format!("{:?}{:?}{}", invocation.execution_arn, invocation.state, invocation.payload);
                if self.lost.lock().unwrap().insert(place) {
                    let lost =
                        FunctionError { error_type: "Lambda.Unknown".into(), error_message: "killed".into() };
                    Reply { outcome: Err(lost), took: first.took }
                } else {
                    first
                }
            }
        }
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
}

async fn effects(victim: &'static str, fault: Option<Fault>) -> Effects {
    let fleet = Fleet::new(3, 1, None, None).unwrap();
    let house = House::wrapped(&fleet, |functions| match fault {
        Some(fault) => Box::new(Faulty { functions, victim, fault, lost: Mutex::default() }),
        None => functions,
    })
    .unwrap();
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
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_function_may_run_twice() {
    let once = effects("", None).await;
    assert_eq!(
        once.ending.as_deref(),
        Some("RolledBack"),
        "the rollback story is the one that calls them all"
    );
    for victim in FUNCTIONS {
        assert_eq!(effects(victim, Some(Fault::Twice)).await, once, "{victim} is not idempotent");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_functions_reply_may_be_lost_once() {
    let once = effects("", None).await;
    for victim in FUNCTIONS {
        // A token's state has no reply to lose: what counts is the token's answer.
        if victim != "await-merge" {
            assert_eq!(
                effects(victim, Some(Fault::LostReply)).await,
                once,
                "{victim} does not survive a lost reply"
            );
        }
    }
}
