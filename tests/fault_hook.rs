//! The fault hook itself: everything passes it, and each fault does what its name says.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use guard_asl::TransitionKind;
use guard_domain::ClusterStatus as S;
use guard_simulation::{FUNCTIONS, Fault, Fleet, House, Occasion, Scenario, Story, What};
use guard_tasks::ErrorName;
use guard_world::RequestLog;
use serde_json::json;

const FAULTS: [Fault; 5] =
    [Fault::Fails("Transient"), Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow, Fault::Dies];

/// Everything that passed the hook in one story, and how many calls reached the world past it.
async fn seen(scenario: Scenario, batches: usize) -> (Vec<Occasion>, u64, BTreeSet<(String, String)>) {
    let occasions = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&occasions);
    let hook = move |occasion: &Occasion| {
        kept.lock().unwrap().push(occasion.clone());
        None
    };
    let fleet = Fleet::new(2, 1, None, None).unwrap().in_batches(batches).unwrap();
    let story = Story::with_faults(scenario, fleet, hook).unwrap();
    let entered = Arc::new(Mutex::new(BTreeSet::new()));
    let states = Arc::clone(&entered);
    story.observe(move |transition| {
        if let (TransitionKind::Entered, Some(state)) = (&transition.kind, &transition.state) {
            states.lock().unwrap().insert((transition.machine.clone(), state.clone()));
        }
    });
    story.house().set_webhook();
    story.play().await.unwrap();
    story.house().sweep().await.unwrap();
    let reached = story.house().world.calls().values().sum::<u64>();
    let occasions = occasions.lock().unwrap().clone();
    let entered = entered.lock().unwrap().clone();
    (occasions, reached, entered)
}

#[tokio::test(flavor = "current_thread")]
async fn every_state_invocation_and_outward_call_passes_it() {
    let (mut systems, mut functions) = (BTreeSet::new(), BTreeSet::new());
    let mut of_stores = BTreeSet::new();
    for (scenario, batches) in
        [(Scenario::Regression, 1), (Scenario::MarginalAsksAPerson, 1), (Scenario::Clean, 2)]
    {
        let (occasions, reached, entered) = seen(scenario, batches).await;
        let mut over_http = 0;
        let mut states = BTreeSet::new();
        for occasion in occasions {
            match occasion.what {
                What::State => {
                    states.insert((occasion.machine.unwrap(), occasion.state.unwrap()));
                }
                What::Invocation(name) => _ = functions.insert(name),
                What::Call { system, operation } => {
                    if system == "DynamoDB" {
                        let words: Vec<&str> = operation.split(' ').take(2).collect();
                        of_stores.insert(words.join(" "));
                    }
                    over_http += u64::from(!["DynamoDB", "Lambda", "Step Functions"].contains(&system));
                    systems.insert(system);
                }
            }
        }
        assert_eq!(over_http, reached, "a call went round the hook");
        assert_eq!(states, entered, "a state went round the hook");
    }
    let all = [
        "Datadog",
        "DynamoDB",
        "EKS",
        "GitLab",
        "Kubernetes",
        "Lambda",
        "PagerDuty",
        "STS",
        "Slack",
        "Step Functions",
    ];
    assert_eq!(systems.into_iter().collect::<Vec<_>>(), all);
    // No world counts what reaches the stores: each of their operations that tasks use is named here instead.
    let operations = [
        "acquire locks",
        "confirm lock",
        "drop token",
        "keep token",
        "list batches",
        "list leases",
        "list open",
        "move cluster",
        "note request",
        "read batch",
        "read cluster",
        "read entries",
        "read entry",
        "release locks",
        "take request",
        "write audit",
        "write entry",
    ];
    assert_eq!(of_stores.into_iter().collect::<Vec<_>>(), operations);
    assert_eq!(functions, FUNCTIONS.iter().map(|name| (*name).to_owned()).collect());
}

struct Ended {
    house: House,
    ending: String,
    retries: usize,
    /// What had reached the world when a state was tried again for the first time.
    before_retry: Option<Vec<RequestLog>>,
}

impl Ended {
    /// Requests that reached the world.
    fn requests(&self, method: &str, path_end: &str) -> usize {
        count(&self.house.world.requests(), method, path_end)
    }

    /// Those of them that did so before anything was tried again.
    fn requests_before_retry(&self, method: &str, path_end: &str) -> Option<usize> {
        self.before_retry.as_ref().map(|before| count(before, method, path_end))
    }
}

fn count(requests: &[RequestLog], method: &str, path_end: &str) -> usize {
    requests.iter().filter(|request| request.method == method && request.path.ends_with(path_end)).count()
}

/// One clean batch of one cluster, in which the first occasion of a kind goes wrong.
async fn first(is_it: impl Fn(&Occasion) -> bool + Send + Sync + 'static, fault: Fault) -> Ended {
    let is_over = AtomicBool::new(false);
    let hook = move |occasion: &Occasion| {
        (is_it(occasion) && !is_over.swap(true, Ordering::Relaxed)).then(|| fault.clone())
    };
    let house = House::with_faults(&Fleet::new(1, 1, None, None).unwrap(), hook).unwrap();
    let seen = Arc::new(Mutex::new((0, None)));
    let (noted, world) = (Arc::clone(&seen), house.world.clone());
    house.observe(move |transition| {
        if matches!(transition.kind, TransitionKind::Retried { .. }) {
            let (retries, before) = &mut *noted.lock().unwrap();
            *retries += 1;
            before.get_or_insert_with(|| world.requests());
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    let ending = ended.error.unwrap_or_else(|| ended.status.as_str().to_owned());
    let (retries, before_retry) = seen.lock().unwrap().clone();
    Ended { house, ending, retries, before_retry }
}

fn is_call(occasion: &Occasion, wanted: &str, text: &str) -> bool {
    matches!(&occasion.what, What::Call { system, operation } if *system == wanted && operation.contains(text))
}

/// The request that opens the merge request: how often it reached GitLab, how often of that before the state was tried
/// again, and how often it was.
#[tokio::test(flavor = "current_thread")]
async fn a_call_acts_as_often_as_its_fault_says() {
    for (fault, before_retry, reached, retries) in [
        // Refused at the door; the second try is the first that arrives.
        (Fault::Fails("Transient"), Some(0), 1, 1),
        // It arrived; whoever looks again finds it and does not ask a second time.
        (Fault::LosesReply, Some(1), 1, 1),
        (Fault::IsSlow, Some(1), 1, 1),
        // The second time GitLab answers that it is there already, which the adapter takes for its own.
        (Fault::ActsTwice, None, 2, 0),
        // The dead ask nobody.
        (Fault::Dies, Some(0), 1, 1),
    ] {
        let opens = |occasion: &Occasion| {
            is_call(occasion, "GitLab", "POST ") && is_call(occasion, "GitLab", "/merge_requests")
        };
        let ended = first(opens, fault.clone()).await;
        assert_eq!(ended.ending, "SUCCEEDED", "{fault:?}");
        assert_eq!(ended.house.world.merge_requests().len(), 1, "{fault:?}");
        let (method, path) = ("POST", "/merge_requests");
        assert_eq!(ended.requests_before_retry(method, path), before_retry, "{fault:?}");
        assert_eq!((ended.requests(method, path), ended.retries), (reached, retries), "{fault:?}");
    }
}

/// A write of a store that is applied twice, or whose reply is lost, is found done.
#[tokio::test(flavor = "current_thread")]
async fn a_store_is_called_through_the_hook_too() {
    for fault in FAULTS {
        let ended = first(
            |occasion| is_call(occasion, "DynamoDB", "move cluster test-euw1-1 to upgrading"),
            fault.clone(),
        )
        .await;
        assert_eq!((ended.ending.as_str(), ended.retries), ("SUCCEEDED", 1), "{fault:?}");
        assert!(ended.house.store.clusters().iter().all(|row| row.status == S::Healthy), "{fault:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn each_error_name_reaches_the_state_from_a_call() {
    for name in ErrorName::ALL {
        let is_pod_list = |occasion: &Occasion| is_call(occasion, "Kubernetes", "/pods");
        let ended = first(is_pod_list, Fault::fails(name)).await;
        let is_retried = matches!(name, ErrorName::Transient | ErrorName::Throttled | ErrorName::Conflict);
        // The first list of pods is the pre-check's: without an answer nothing is changed.
        let expected = if is_retried { ("SUCCEEDED", 1) } else { ("Halted", 0) };
        assert_eq!((ended.ending.as_str(), ended.retries), expected, "{name}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_invocation_may_fail_lose_its_reply_run_twice_be_slow_or_die() {
    for fault in FAULTS {
        let is_settle = |occasion: &Occasion| occasion.what == What::Invocation("settle".to_owned());
        let ended = first(is_settle, fault.clone()).await;
        let retries = usize::from(fault != Fault::ActsTwice);
        assert_eq!((ended.ending.as_str(), ended.retries), ("SUCCEEDED", retries), "{fault:?}");
        assert_eq!(ended.house.store.held_locks(), [], "{fault:?}");
    }
}

/// An execution that dies at a state is aborted there, and what it held is still held by it.
#[tokio::test(flavor = "current_thread")]
async fn an_execution_may_die_at_any_state() {
    for state in ["IsPreCheckPassed", "ConvergeClusters", "Soak", "SettleHealthy"] {
        let is_there = move |occasion: &Occasion| {
            occasion.what == What::State && occasion.state.as_deref() == Some(state)
        };
        let ended = first(is_there, Fault::Dies).await;
        let execution = ended.house.service.list_executions().remove(0);
        assert_eq!(execution.status.as_str(), "ABORTED", "{state}");
        assert_eq!(ended.house.store.held_locks().len(), 2, "{state}");
    }
}

/// The first call to each system, in every way: a told end, one merge request, one restart.
#[tokio::test(flavor = "current_thread")]
async fn the_first_call_to_each_system_may_go_wrong_in_every_way() {
    for system in ["Datadog", "DynamoDB", "EKS", "GitLab", "Kubernetes", "STS", "Slack", "Step Functions"] {
        for fault in FAULTS {
            let ended = first(move |occasion| is_call(occasion, system, ""), fault.clone()).await;
            assert_eq!(ended.ending, "SUCCEEDED", "{system}: {fault:?}");
            assert_eq!(ended.house.world.merge_requests().len(), 1, "{system}: {fault:?}");
            let cluster = ended.house.world.cluster("test-euw1-1").unwrap();
            assert!(cluster.workloads.iter().all(|workload| workload.restarts <= 1), "{system}: {fault:?}");
        }
    }
}
