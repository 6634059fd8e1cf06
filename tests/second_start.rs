//! A request that is delivered twice: the second start ends well, says which execution was the first, touches nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_asl::ExecutionDescription as Execution;
use guard_simulation::{Fault, Fleet, House, Occasion, What};
use serde_json::{Value, json};

fn upgrade(request_id: Option<&str>) -> Value {
    let mut input = json!({"batch_id": "test", "target_version": "1.30.5"});
    if let Some(id) = request_id {
        input["request_id"] = json!(id);
    }
    input
}

fn house() -> House {
    House::new(&Fleet::new(2, 1, None, None).unwrap()).unwrap()
}

async fn run(house: &House, machine: &str, name: &str, input: Value) -> Execution {
    let arn = house.run_one(machine, name, input).await.unwrap();
    house.service.describe_execution(&arn).unwrap()
}

/// Everything that a start could have touched.
fn touched(house: &House) -> Value {
    let requests: Vec<_> = house.world.merge_requests().into_iter().map(|r| (r.title, r.state)).collect();
    json!({
        "rows": house.store.clusters(), "locks": house.store.held_locks(), "runs": house.store.runs(),
        "requests": requests, "branches": house.world.branches(),
    })
}

fn assert_already_started(second: &Execution, first: &Execution, request_id: &str) {
    assert_eq!(second.status.as_str(), "SUCCEEDED", "{:?}", second.cause);
    let output = second.output.as_ref().unwrap();
    assert_eq!(
        (&output["outcome"], &output["first_execution"]),
        (&json!("AlreadyStarted"), &json!(first.arn))
    );
    let summary = output["summary"].as_str().unwrap();
    assert!(summary.contains(request_id) && summary.contains(&first.arn), "{summary}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_that_is_over_is_not_started_again_by_the_same_request() {
    let house = house();
    let first = run(&house, "batch-upgrade", "run-1", upgrade(Some("2026-11-28T03:00:00Z"))).await;
    assert_eq!(first.status.as_str(), "SUCCEEDED", "{:?}", first.cause);
    let before = touched(&house);
    let second = run(&house, "batch-upgrade", "run-2", upgrade(Some("2026-11-28T03:00:00Z"))).await;
    assert_already_started(&second, &first, "2026-11-28T03:00:00Z");
    assert_eq!(touched(&house), before);
    // Another request, or none, is looked at by itself.
    for (name, id) in [("run-3", Some("2026-11-29T03:00:00Z")), ("run-4", None), ("run-5", None)] {
        let other = run(&house, "batch-upgrade", name, upgrade(id)).await;
        assert!(other.output.unwrap().as_str().unwrap().contains("is at 1.30.5 already"), "{name}");
    }
}

/// Without a request the second of two starts at the same moment is refused at the lock, which raises an alarm.
#[tokio::test(flavor = "current_thread")]
async fn of_two_deliveries_at_once_one_runs_and_the_other_ends_well() {
    let house = house();
    let arns =
        ["run-1", "run-2"].map(|name| house.start("batch-upgrade", name, upgrade(Some("r-1"))).unwrap());
    house.run().await;
    let ends = arns.map(|arn| house.service.describe_execution(&arn).unwrap());
    let is_second = |end: &Execution| end.output.as_ref().is_some_and(|o| o["outcome"] == "AlreadyStarted");
    let (second, first) = if is_second(&ends[0]) { (&ends[0], &ends[1]) } else { (&ends[1], &ends[0]) };
    assert_already_started(second, first, "r-1");
    assert_eq!(first.status.as_str(), "SUCCEEDED");
    assert!(!is_second(first));
    assert_eq!((house.world.merge_requests().len(), house.store.held_locks().len()), (1, 0));
}

/// What was refused by a gate was started: the same request again raises no second alarm.
#[tokio::test(flavor = "current_thread")]
async fn a_request_that_a_gate_refused_is_not_tried_again() {
    let house = house();
    house.world.fire_monitor("test-euw1-1", "mesh 5xx");
    let first = run(&house, "batch-upgrade", "run-1", upgrade(Some("r-1"))).await;
    assert_eq!(first.error.as_deref(), Some("GateFailed"));
    let second = run(&house, "batch-upgrade", "run-2", upgrade(Some("r-1"))).await;
    assert_already_started(&second, &first, "r-1");
}

#[tokio::test(flavor = "current_thread")]
async fn a_rejected_input_uses_no_request_up() {
    let house = house();
    let mut wrong = upgrade(Some("r-1"));
    wrong["batch_id"] = json!("tset");
    let rejected = run(&house, "batch-upgrade", "run-1", wrong).await;
    assert_eq!(rejected.error.as_deref(), Some("Rejected"));
    let corrected = run(&house, "batch-upgrade", "run-2", upgrade(Some("r-1"))).await;
    assert_eq!(corrected.status.as_str(), "SUCCEEDED", "{:?}", corrected.cause);
    assert_eq!(house.world.merge_requests().len(), 1);
}

/// The task is retried by its own execution, wherever its first attempt stopped.
#[tokio::test(flavor = "current_thread")]
async fn a_retried_task_is_no_second_start() {
    for fault in [Fault::ActsTwice, Fault::LosesReply, Fault::Dies] {
        for nth in 0..8 {
            let calls = std::sync::atomic::AtomicUsize::new(0);
            let planned = fault.clone();
            let hook = move |occasion: &Occasion| {
                let is_call = matches!(occasion.what, What::Call { .. });
                let in_plan = occasion.state.as_deref() == Some("PlanBatch");
                let count = || calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                (is_call && in_plan && count() == nth).then(|| planned.clone())
            };
            let house = House::with_faults(&Fleet::new(1, 1, None, None).unwrap(), hook).unwrap();
            let only = run(&house, "batch-upgrade", "run-1", upgrade(Some("r-1"))).await;
            assert_eq!(only.status.as_str(), "SUCCEEDED", "{fault:?} {nth}: {:?}", only.cause);
            assert_eq!(house.world.merge_requests().len(), 1, "{fault:?} {nth}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_notes_no_request() {
    let house = house();
    let mut dry = upgrade(Some("r-1"));
    dry["dry_run"] = json!(true);
    for name in ["dry-1", "dry-2"] {
        let shown = run(&house, "batch-upgrade", name, dry.clone()).await;
        assert!(shown.output.unwrap()["summary"].as_str().unwrap().contains("1.30.5"), "{name}");
    }
    let real = run(&house, "batch-upgrade", "run-1", upgrade(Some("r-1"))).await;
    assert_eq!(real.output.unwrap()["outcome"], "healthy");
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollout_delivered_twice_runs_once_and_each_batch_once() {
    let house = House::new(&Fleet::new(2, 1, None, None).unwrap().in_batches(2).unwrap()).unwrap();
    let input = json!({"target_version": "1.30.5", "request_id": "2026-11-28T03:00:00Z"});
    let first = run(&house, "rollout", "night-1", input.clone()).await;
    assert_eq!(first.status.as_str(), "SUCCEEDED", "{:?}", first.cause);
    let before = touched(&house);
    let second = run(&house, "rollout", "night-2", input).await;
    assert_already_started(&second, &first, "2026-11-28T03:00:00Z");
    assert_eq!(touched(&house), before);
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollback_by_hand_delivered_twice_goes_back_once() {
    let house = house();
    run(&house, "batch-upgrade", "up", upgrade(Some("r-1"))).await;
    let back = json!({"batch_id": "test", "reason": "slow", "request_id": "r-1"});
    let first = run(&house, "batch-rollback", "back-1", back.clone()).await;
    assert_eq!(first.status.as_str(), "SUCCEEDED", "{:?}", first.cause);
    let before = touched(&house);
    let second = run(&house, "batch-rollback", "back-2", back).await;
    assert_already_started(&second, &first, "r-1");
    assert_eq!(touched(&house), before);
}
