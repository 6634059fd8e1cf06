//! Retry, Catch and time-outs.

use crate::world::{World, gives, merge, only, raises, start, task};
use guard_asl::{Order, Status};
use serde_json::{Value, json};

/// A Task with a Catcher that keeps the error beside the input.
fn caught(fields: Value) -> Value {
    let catch =
        json!({"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}]});
    json!({"StartAt": "Only", "States": {
        "Only": task("f", merge(catch, fields)),
        "Caught": {"Type": "Succeed"}
    }})
}

#[test]
fn a_function_error_is_caught_by_its_type() {
    let definition = json!({"StartAt": "Only", "States": {
        "Only": task("f", json!({"Catch": [
            {"ErrorEquals": ["Other"], "Next": "Wrong"},
            {"ErrorEquals": ["Denied", "Rejected"], "ResultPath": "$.error", "Next": "Right"},
            {"ErrorEquals": ["States.ALL"], "Next": "Wrong"}
        ]})),
        "Right": {"Type": "Succeed"},
        "Wrong": {"Type": "Fail"}
    }});
    let world =
        World::new().machine("m", &definition).function("f", |_, _| raises("Rejected", "bad \"input\""));
    let output = world.runs("m", json!({"a": 1})).output.expect("caught");
    assert_eq!((&output["a"], &output["error"]["Error"]), (&json!(1), &json!("Rejected")));
    let cause: Value = serde_json::from_str(output["error"]["Cause"].as_str().expect("text")).expect("JSON");
    assert_eq!(cause, json!({"errorType": "Rejected", "errorMessage": "bad \"input\""}));
}

#[test]
fn an_error_that_nothing_catches_fails_the_execution() {
    let state = task("f", json!({"Catch": [{"ErrorEquals": ["Other"], "Next": "Only"}]}));
    let world = World::new().machine("m", &only(state)).function("f", |_, _| raises("Denied", "no"));
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("Denied")));
}

#[test]
fn a_catcher_without_result_path_replaces_the_input_and_skips_output_path() {
    let definition = caught(json!({
        "OutputPath": "$.Payload",
        "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
    }));
    let world = World::new().machine("m", &definition).function("f", |_, _| raises("Denied", "no"));
    let output = world.runs("m", json!({"a": 1})).output.expect("caught");
    assert_eq!((output["Error"].as_str(), output.get("a")), (Some("Denied"), None));
}

#[test]
fn delays_grow_by_the_rate_up_to_the_cap() {
    let retry = json!([{
        "ErrorEquals": ["Transient"], "IntervalSeconds": 5, "BackoffRate": 2, "MaxAttempts": 5, "MaxDelaySeconds": 30
    }]);
    let world = World::new()
        .machine("m", &caught(json!({"Retry": retry})))
        .function("f", |_, _| raises("Transient", "again"));
    let end = world.runs("m", json!({}));
    // 5, 10, 20, then 30 twice.
    assert_eq!(world.called_at("f"), [0, 5, 15, 35, 65, 95]);
    assert_eq!(world.calls().iter().map(|call| call.attempt).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(end.output.expect("caught")["error"]["Error"], "Transient");
    assert_eq!(world.service.bill(&end.arn).transitions, 7, "two states and five retries");
}

#[test]
fn the_defaults_are_three_attempts_one_second_doubling() {
    let world = World::new()
        .machine("m", &caught(json!({"Retry": [{"ErrorEquals": ["States.ALL"]}]})))
        .function("f", |_, _| raises("Transient", "again"));
    world.runs("m", json!({}));
    assert_eq!(world.called_at("f"), [0, 1, 3, 7]);
}

#[test]
fn each_retrier_counts_for_itself() {
    let retrier = |name: &str, interval: u64, most: u64| json!({"ErrorEquals": [name], "IntervalSeconds": interval, "BackoffRate": 1, "MaxAttempts": most});
    let world = World::new()
        .machine(
            "m",
            &caught(
                json!({"Retry": [retrier("A", 1, 2), retrier("B", 10, 2), retrier("States.ALL", 100, 9)]}),
            ),
        )
        .function("f", |_, call| raises(["A", "B", "A", "B", "A"][call.attempt as usize], ""));
    let end = world.runs("m", json!({}));
    // The third A finds its Retrier used up; States.ALL after it is not asked.
    assert_eq!(world.called_at("f"), [0, 1, 11, 12, 22]);
    assert_eq!(end.output.expect("caught")["error"]["Error"], "A");
}

#[test]
fn no_attempts_means_no_retry() {
    let retry = json!([{"ErrorEquals": ["Denied"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}]);
    let world = World::new()
        .machine("m", &caught(json!({"Retry": retry})))
        .function("f", |_, _| raises("Denied", ""));
    world.runs("m", json!({}));
    assert_eq!(world.called_at("f"), [0]);
}

#[test]
fn the_counters_start_again_when_the_state_is_entered_again() {
    let retry = json!([{"ErrorEquals": ["Transient"], "MaxAttempts": 1}]);
    let definition = json!({"StartAt": "First", "States": {
        "First": task("f", json!({"Retry": retry, "Next": "Ask", "ResultPath": "$.last"})),
        "Ask": {"Type": "Choice", "Default": "First", "Choices": [
            {"Variable": "$.last.Payload", "NumericGreaterThan": 3, "Next": "Done"}
        ]},
        "Done": {"Type": "Succeed"}
    }});
    let calls = std::sync::atomic::AtomicU64::new(0);
    let world = World::new().machine("m", &definition).function("f", move |_, _| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number.is_multiple_of(2) { raises("Transient", "") } else { gives(json!(number), 0) }
    });
    assert_eq!(world.runs("m", json!({})).status, Status::Succeeded);
    assert_eq!(world.calls().iter().map(|call| call.attempt).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1]);
}

#[test]
fn retry_count_is_in_the_context_when_parameters_are_read_again() {
    let parameters = json!({"FunctionName": "f", "Payload": {"attempt.$": "$$.State.RetryCount"}});
    let retry = json!([{"ErrorEquals": ["Transient"]}]);
    let world = World::new()
        .machine("m", &only(task("f", json!({"Parameters": parameters, "Retry": retry}))))
        .function("f", |_, call| if call.attempt < 2 { raises("Transient", "") } else { gives(json!(1), 0) });
    assert_eq!(world.runs("m", json!({})).status, Status::Succeeded);
    assert_eq!(
        world.calls().iter().map(|call| call.payload["attempt"].clone()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn full_jitter_stays_below_the_delay_and_follows_the_seed() {
    let retry = json!([{"ErrorEquals": ["Transient"], "IntervalSeconds": 1000, "MaxAttempts": 4, "BackoffRate": 1, "JitterStrategy": "FULL"}]);
    let delays = |seed| {
        let world = World::seeded(seed, Order::Fifo)
            .machine("m", &caught(json!({"Retry": retry})))
            .function("f", |_, _| raises("Transient", ""));
        world.runs("m", json!({}));
        let at =
            world.calls().iter().map(|call| call.at.duration_since(start()).as_millis()).collect::<Vec<_>>();
        at.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    let seen = delays(1);
    assert_eq!((seen.len(), &seen), (4, &delays(1)));
    assert_ne!(seen, delays(2));
    assert!(seen.iter().all(|delay| (0..=1_000_000).contains(delay)), "{seen:?}");
    assert!(seen.iter().any(|delay| *delay < 900_000), "jitter must show: {seen:?}");
}

#[test]
fn a_slow_function_times_out_and_its_late_reply_is_dropped() {
    let world = World::new()
        .machine("m", &caught(json!({"TimeoutSeconds": 10, "ResultPath": "$.result"})))
        .function("f", |_, _| gives(json!("late"), 11));
    let end = world.runs("m", json!({}));
    let output = end.output.expect("caught");
    assert_eq!(output, json!({"error": {"Error": "States.Timeout", "Cause": ""}}));
    assert_eq!(end.stop.expect("ended").duration_since(start()).as_secs(), 10);
    assert!(world.kinds(&end.arn).contains(&"TaskTimedOut".to_owned()));
    assert_eq!(world.elapsed(), 10, "a dropped reply does not move the clock");
}

#[test]
fn a_reply_just_in_time_counts_and_one_at_the_very_time_out_does_not() {
    for (took, expected) in [(9, Status::Succeeded), (10, Status::Failed)] {
        let world = World::new()
            .machine("m", &only(task("f", json!({"TimeoutSecondsPath": "$.limit"}))))
            .function("f", move |_, _| gives(json!(1), took));
        assert_eq!(world.runs("m", json!({"limit": 10})).status, expected, "{took}");
    }
}

#[test]
fn each_attempt_has_its_own_time_out() {
    let retry = json!([{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 30, "MaxAttempts": 1}]);
    let world = World::new()
        .machine("m", &caught(json!({"TimeoutSeconds": 10, "Retry": retry})))
        .function("f", |_, call| gives(json!(1), if call.attempt == 0 { 99 } else { 9 }));
    let end = world.runs("m", json!({}));
    assert_eq!(world.called_at("f"), [0, 40]);
    assert_eq!(end.stop.expect("ended").duration_since(start()).as_secs(), 49);
    assert_eq!(
        end.output.expect("succeeded")["Payload"],
        1,
        "the reply of the first attempt (at 99 s) is dropped"
    );
}

#[test]
fn the_machine_itself_may_time_out() {
    let definition =
        merge(only(json!({"Type": "Wait", "Seconds": 100, "End": true})), json!({"TimeoutSeconds": 60}));
    let world = World::new().machine("m", &definition);
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::TimedOut, Some("States.Timeout")));
    assert_eq!(world.elapsed(), 60);
    assert_eq!(world.kinds(&end.arn).last().map(String::as_str), Some("ExecutionTimedOut"));
}

#[test]
fn a_task_time_out_that_nothing_catches_is_a_failed_execution() {
    let world = World::new()
        .machine("m", &only(task("f", json!({"TimeoutSeconds": 1}))))
        .function("f", |_, _| gives(json!(1), 5));
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("States.Timeout")));
}
