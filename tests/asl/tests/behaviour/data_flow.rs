//! InputPath -> Parameters -> task -> ResultSelector -> ResultPath -> OutputPath.

use crate::world::{World, gives, merge, only, task};
use guard_asl::Status;
use serde_json::{Value, json};

/// Output of one Task state whose function gives `{"y": 2, "z": 3}`, and the payload the function saw.
fn flow(fields: Value, input: Value) -> (Value, Value) {
    let world = World::new()
        .machine("m", &only(task("f", fields)))
        .function("f", |_, _| gives(json!({"y": 2, "z": 3}), 1));
    let end = world.runs("m", input);
    assert_eq!(end.status, Status::Succeeded, "{end:?}");
    (end.output.expect("succeeded"), world.calls().remove(0).payload)
}

#[test]
fn each_field_does_its_part() {
    let payload = json!({"ResultSelector": {"y.$": "$.Payload.y"}});
    let cases = [
        // (fields, input, payload seen, output)
        (json!({}), json!({"a": 1}), json!({"a": 1}), json!({"y": 2})),
        (json!({"InputPath": "$.a"}), json!({"a": {"b": 1}}), json!({"b": 1}), json!({"y": 2})),
        (json!({"InputPath": null}), json!({"a": 1}), json!({}), json!({"y": 2})),
        (json!({"ResultPath": "$.r"}), json!({"a": 1}), json!({"a": 1}), json!({"a": 1, "r": {"y": 2}})),
        (
            json!({"ResultPath": "$.r.s"}),
            json!({"a": 1}),
            json!({"a": 1}),
            json!({"a": 1, "r": {"s": {"y": 2}}}),
        ),
        (json!({"ResultPath": null}), json!({"a": 1}), json!({"a": 1}), json!({"a": 1})),
        // ResultPath works on the raw input, not on what InputPath selected.
        (
            json!({"InputPath": "$.a", "ResultPath": "$.r"}),
            json!({"a": {"b": 1}, "c": 4}),
            json!({"b": 1}),
            json!({"a": {"b": 1}, "c": 4, "r": {"y": 2}}),
        ),
        (json!({"ResultPath": "$.r", "OutputPath": "$.r.y"}), json!({"a": 1}), json!({"a": 1}), json!(2)),
        (json!({"OutputPath": null}), json!({"a": 1}), json!({"a": 1}), json!({})),
    ];
    for (fields, input, seen, output) in cases {
        assert_eq!(flow(merge(payload.clone(), fields.clone()), input), (output, seen), "{fields}");
    }
}

#[test]
fn a_lambda_result_has_the_shape_of_the_service() {
    let (output, _) = flow(json!({}), json!({}));
    assert_eq!(
        output,
        json!({
            "ExecutedVersion": "$LATEST", "Payload": {"y": 2, "z": 3},
            "SdkHttpMetadata": {"HttpStatusCode": 200}, "StatusCode": 200
        })
    );
}

#[test]
fn the_context_object_tells_execution_state_and_machine() {
    let parameters = json!({"FunctionName": "f", "Payload": {
        "execution.$": "$$.Execution", "state.$": "$$.State", "machine.$": "$$.StateMachine",
        "name.$": "$$.Execution.Input.who"
    }});
    let world = World::new()
        .machine(
            "m",
            &json!({"StartAt": "Pause", "States": {
                "Pause": {"Type": "Wait", "Seconds": 90, "Next": "Only"},
                "Only": task("f", json!({"Parameters": parameters}))
            }}),
        )
        .function("f", |_, _| gives(json!({}), 0));
    let arn = world.service.start_execution("m", Some("run-1"), json!({"who": "me"})).expect("starts");
    world.settle();
    assert_eq!(arn, "arn:aws:states:eu-west-1:123456789012:execution:m:run-1");
    assert_eq!(
        world.calls().remove(0).payload,
        json!({
            "execution": {
                "Id": arn, "Input": {"who": "me"}, "Name": "run-1",
                "RoleArn": "arn:aws:iam::123456789012:role/local-step-functions",
                "StartTime": "2026-01-05T08:00:00.000Z"
            },
            "state": {"EnteredTime": "2026-01-05T08:01:30.000Z", "Name": "Only", "RetryCount": 0},
            "machine": {"Id": "arn:aws:states:eu-west-1:123456789012:stateMachine:m", "Name": "m"},
            "name": "me"
        })
    );
}

#[test]
fn a_path_that_selects_nothing_loses_the_execution_whatever_is_caught() {
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]);
    let retry = json!([{"ErrorEquals": ["States.ALL"]}]);
    for fields in [
        json!({"InputPath": "$.missing"}),
        json!({"OutputPath": "$.missing"}),
        json!({"Parameters": {"FunctionName": "f", "Payload.$": "$.missing"}}),
        json!({"Parameters": {"FunctionName.$": "$.a"}}),
        json!({"ResultSelector": {"x.$": "$.missing"}}),
        json!({"TimeoutSecondsPath": "$.missing"}),
        json!({"TimeoutSecondsPath": "$.a.b"}),
    ] {
        let state = merge(task("f", fields.clone()), json!({"Catch": catch, "Retry": retry}));
        let world = World::new()
            .machine(
                "m",
                &json!({"StartAt": "Only", "States": {"Only": state, "Caught": {"Type": "Succeed"}}}),
            )
            .function("f", |_, _| gives(json!({}), 0));
        let end = world.runs("m", json!({"a": {"b": 0}}));
        assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("States.Runtime")), "{fields}");
    }
}

#[test]
fn a_result_path_through_a_scalar_can_be_caught() {
    let state = task(
        "f",
        json!({"ResultPath": "$.a.b", "Catch": [{"ErrorEquals": ["States.ResultPathMatchFailure"], "Next": "Caught"}]}),
    );
    let definition = json!({"StartAt": "Only", "States": {"Only": state, "Caught": {"Type": "Succeed"}}});
    let world = World::new().machine("m", &definition).function("f", |_, _| gives(json!({}), 0));
    let end = world.runs("m", json!({"a": 1}));
    assert_eq!(end.status, Status::Succeeded);
    assert_eq!(end.output.expect("succeeded")["Error"], "States.ResultPathMatchFailure");
}
