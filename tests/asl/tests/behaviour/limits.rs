//! The service's limits, and the bill.

use crate::world::{World, gives, only, task};
use guard_asl::{ApiError, Bill, MAX_EVENTS, MAX_STATE_BYTES, Status};
use serde_json::{Value, json};

/// A function that gives `size` bytes, in a state that catches by these names.
fn oversized(size: usize, names: &Value, fields: Value) -> guard_asl::ExecutionDescription {
    let catch = json!({"Catch": [{"ErrorEquals": names, "Next": "Caught"}]});
    let state = task("f", crate::world::merge(catch, fields));
    let world = World::new()
        .machine("m", &json!({"StartAt": "Only", "States": {"Only": state, "Caught": {"Type": "Succeed"}}}))
        .function("f", move |_, _| gives(json!("x".repeat(size)), 1));
    world.runs("m", json!({"kept": "y".repeat(1000)}))
}

#[test]
fn a_result_above_the_limit_is_caught_by_its_own_name_only() {
    let end = oversized(MAX_STATE_BYTES, &json!(["States.ALL"]), json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("States.DataLimitExceeded")));
    let end = oversized(MAX_STATE_BYTES, &json!(["States.DataLimitExceeded"]), json!({}));
    assert_eq!(end.status, Status::Succeeded);
}

#[test]
fn a_result_below_the_limit_may_pass_it_together_with_the_input() {
    let size = MAX_STATE_BYTES - 500;
    let select = json!({"ResultSelector": {"p.$": "$.Payload"}});
    assert_eq!(oversized(size, &json!(["States.ALL"]), select.clone()).status, Status::Succeeded);
    let beside = crate::world::merge(select, json!({"ResultPath": "$.result"}));
    let end = oversized(size, &json!(["States.ALL"]), beside);
    assert_eq!(end.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[test]
fn the_limit_is_exact_and_counts_bytes() {
    let world = World::new().machine("m", &only(json!({"Type": "Succeed"})));
    let start = |text: String| world.service.start_execution("m", None, json!(text));
    // Two quotes; "é" is two bytes.
    assert!(start("é".repeat((MAX_STATE_BYTES - 2) / 2)).is_ok());
    let refused = start("é".repeat(MAX_STATE_BYTES / 2));
    assert_eq!(refused, Err(ApiError::InvalidExecutionInput(MAX_STATE_BYTES + 2)));
}

#[test]
fn a_state_may_give_exactly_the_limit_and_not_a_byte_more() {
    for (size, expected) in [(MAX_STATE_BYTES, Status::Succeeded), (MAX_STATE_BYTES + 1, Status::Failed)] {
        let state = json!({"Type": "Pass", "Result": "x".repeat(size - 2), "End": true});
        let end = World::new().machine("m", &only(state)).runs("m", json!({}));
        assert_eq!(end.status, expected, "{size}");
    }
}

#[test]
fn a_machine_that_spins_is_ended_by_its_history() {
    let definition = json!({"StartAt": "Spin", "States": {"Spin": {"Type": "Pass", "Next": "Spin"}}});
    let world = World::new().machine("m", &definition);
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    assert!(end.cause.expect("told").contains("maximum number of history events"));
    let history = world.service.history(&end.arn);
    assert_eq!(history.len(), MAX_EVENTS);
    assert_eq!(
        history.last().map(|event| (event.id, event.kind.as_str())),
        Some((25_000, "ExecutionFailed"))
    );
}

#[test]
fn the_bill_counts_transitions_events_bytes_and_calls() {
    let definition = json!({"StartAt": "Go", "States": {
        "Go": task("f", json!({"Next": "Stay", "OutputPath": "$.Payload"})),
        "Stay": {"Type": "Wait", "Seconds": 5, "Next": "Done"},
        "Done": {"Type": "Succeed"}
    }});
    let world = World::new().machine("m", &definition).function("f", |_, _| gives(json!("x".repeat(500)), 1));
    let end = world.runs("m", json!({}));
    // Started, task entered/scheduled/started/succeeded/exited, wait 2, succeed 2, succeeded. The result is
    // the payload of 502 bytes with the envelope around it.
    let envelope = json!({
        "ExecutedVersion": "$LATEST", "Payload": "", "SdkHttpMetadata": {"HttpStatusCode": 200}, "StatusCode": 200
    });
    let bytes = envelope.to_string().len() + 500;
    let bill = Bill { transitions: 3, events: 11, peak_state_bytes: bytes, lambda_invocations: 1 };
    assert_eq!(world.service.bill(&end.arn), bill);
    assert_eq!(world.service.history(&end.arn).len(), 11);
    world.runs("m", json!({}));
    world.service.schedule_invocation(world.service.now(), "f", json!({}));
    world.settle();
    let twice = Bill { transitions: 6, events: 22, peak_state_bytes: bytes, lambda_invocations: 2 };
    assert_eq!(world.service.bill("m"), twice);
    assert_eq!(world.service.bill_of_all(), Bill { lambda_invocations: 3, ..twice });
    assert_eq!(world.service.bill("unknown"), Bill::default());
}
