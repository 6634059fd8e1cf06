//! Whatever the interpreter does not run is refused, by machine, state and field.

use crate::world::{merge, only, task};
use guard_asl::{Machine, ParseError};
use serde_json::{Value, json};

fn refused(definition: &Value) -> ParseError {
    Machine::parse("m", &definition.to_string()).expect_err(&definition.to_string())
}

fn map(more: Value) -> Value {
    let processor = json!({"StartAt": "Each", "States": {"Each": {"Type": "Succeed"}}});
    merge(json!({"Type": "Map", "ItemProcessor": processor, "End": true}), more)
}

#[expect(clippy::needless_pass_by_value, reason = "a literal reads better without a borrow")]
fn choice(rule: Value) -> Value {
    json!({"Type": "Choice", "Choices": [rule]})
}

/// Each state is refused for this field of its own.
fn are_refused(cases: &[(Value, &str)]) {
    for (state, field) in cases {
        let error = refused(&only(state.clone()));
        assert_eq!(
            (error.machine.as_str(), error.state.as_deref(), error.field.as_str()),
            ("m", Some("Only"), *field),
            "{state}: {error}"
        );
    }
}

#[test]
fn states_and_fields_outside_of_the_subset_are_named() {
    let pass = |more| merge(json!({"Type": "Pass", "End": true}), more);
    let wait = |more| merge(json!({"Type": "Wait", "End": true}), more);
    are_refused(&[
        (json!({"Type": "Parallel", "Branches": [], "End": true}), "Type"),
        (json!({"Type": "Oops", "End": true}), "Type"),
        (json!({"End": true}), "Type"),
        (pass(json!({"Assign": {"x": 1}})), "Assign"),
        (pass(json!({"QueryLanguage": "JSONata"})), "QueryLanguage"),
        (pass(json!({"Output": "x"})), "Output"),
        (pass(json!({"Retry": []})), "Retry"),
        (pass(json!({"Parameters": {"a": {"b.$": "States.UUID()"}}})), "Parameters.a.b.$"),
        (pass(json!({"Parameters": {"a.$": "$.b[*]"}})), "Parameters.a.$"),
        (pass(json!({"Parameters": "$.a"})), "Parameters"),
        (pass(json!({"InputPath": "$..a"})), "InputPath"),
        (pass(json!({"InputPath": 1})), "InputPath"),
        (pass(json!({"ResultPath": "$$.a"})), "ResultPath"),
        (pass(json!({"ResultPath": "$.a[0]"})), "ResultPath"),
        (pass(json!({"InputPath": "$$.Task.Token"})), "InputPath"),
        (pass(json!({"Next": "Only", "End": true})), "End"),
        (json!({"Type": "Pass", "End": false}), "End"),
        (json!({"Type": "Pass"}), "Next"),
        (json!({"Type": "Succeed", "End": true}), "End"),
        (json!({"Type": "Fail", "Next": "Only"}), "Next"),
        (json!({"Type": "Fail", "InputPath": "$.a"}), "InputPath"),
        (json!({"Type": "Fail", "Error": "E", "ErrorPath": "$.e"}), "ErrorPath"),
        (json!({"Type": "Fail", "CausePath": "States.Format('{}', $.a)"}), "CausePath"),
        (wait(json!({})), "Seconds"),
        (wait(json!({"Seconds": 1.5})), "Seconds"),
        (wait(json!({"Seconds": 100_000_000})), "Seconds"),
        (wait(json!({"Seconds": 1, "SecondsPath": "$.a"})), "SecondsPath"),
        (wait(json!({"Seconds": 1, "TimestampPath": "$.a"})), "TimestampPath"),
        (wait(json!({"Seconds": 1, "Timestamp": "2026-01-05T08:00:00Z"})), "Timestamp"),
        (
            choice(json!({"Variable": "$.a", "StringMatches": "x*", "Next": "Only"})),
            "Choices[0].StringMatches",
        ),
        (choice(json!({"Variable": "$.a", "StringEquals": 1, "Next": "Only"})), "Choices[0].StringEquals"),
        (
            choice(json!({"Variable": "$.a", "BooleanLessThan": true, "Next": "Only"})),
            "Choices[0].BooleanLessThan",
        ),
        (choice(json!({"Variable": "$.a", "Next": "Only"})), "Choices[0].Variable"),
        (
            choice(json!({"Variable": "$.a", "IsNull": true, "IsString": true, "Next": "Only"})),
            "Choices[0].Variable",
        ),
        (choice(json!({"Variable": "$.a", "IsNull": true})), "Choices[0].Next"),
        (choice(json!({"Condition": "{% true %}", "Next": "Only"})), "Choices[0].Variable"),
        (
            choice(json!({"And": [{"Variable": "$.*", "IsNull": true}], "Next": "Only"})),
            "Choices[0].And[0].Variable",
        ),
        (
            choice(json!({"Not": {"Variable": "$.a", "IsNull": true, "Next": "Only"}, "Next": "Only"})),
            "Choices[0].Not.Variable",
        ),
        (json!({"Type": "Choice", "Choices": []}), "Choices"),
    ]);
}

#[test]
fn fields_of_tasks_and_maps_outside_of_the_subset_are_named() {
    let retry = |more| task("f", json!({"Retry": [merge(json!({"ErrorEquals": ["A"]}), more)]}));
    are_refused(&[
        (task("f", json!({"Resource": "arn:aws:lambda:eu-west-1:123456789012:function:f"})), "Resource"),
        (task("f", json!({"Resource": "arn:aws:states:::states:startExecution.sync"})), "Resource"),
        (task("f", json!({"Parameters": null})), "Parameters"),
        (task("f", json!({"Parameters": {"Payload": 1}})), "Parameters.FunctionName"),
        (
            task("f", json!({"Parameters": {"FunctionName": "f", "InvocationType": "Event"}})),
            "Parameters.InvocationType",
        ),
        (
            task("f", json!({"Parameters": {"FunctionName": "f", "Payload": {"t.$": "$$.Task.Token"}}})),
            "Parameters",
        ),
        (task("f", json!({"HeartbeatSeconds": 5})), "HeartbeatSeconds"),
        (task("f", json!({"TimeoutSeconds": 5, "TimeoutSecondsPath": "$.a"})), "TimeoutSecondsPath"),
        (task("f", json!({"Credentials": {}})), "Credentials"),
        (task("f", json!({"Retry": [{}]})), "Retry[0].ErrorEquals"),
        (task("f", json!({"Catch": [{"ErrorEquals": ["A"]}]})), "Catch[0].Next"),
        (
            task("f", json!({"Catch": [{"ErrorEquals": ["A"], "Next": "Only", "Assign": {}}]})),
            "Catch[0].Assign",
        ),
        (retry(json!({"IntervalSeconds": 0})), "Retry[0].IntervalSeconds"),
        (retry(json!({"BackoffRate": 0.5})), "Retry[0].BackoffRate"),
        (retry(json!({"MaxDelaySeconds": 1})), "Retry[0].MaxDelaySeconds"),
        (retry(json!({"JitterStrategy": "HALF"})), "Retry[0].JitterStrategy"),
        (retry(json!({"MaxAttempts": -1})), "Retry[0].MaxAttempts"),
        (map(json!({"ItemProcessor": null})), "ItemProcessor"),
        (map(json!({"Parameters": {}})), "Parameters"),
        (map(json!({"Iterator": {}})), "Iterator"),
        (map(json!({"ItemReader": {}})), "ItemReader"),
        (map(json!({"ItemBatcher": {}})), "ItemBatcher"),
        (map(json!({"ResultWriter": {}})), "ResultWriter"),
        (map(json!({"ToleratedFailurePercentage": 5})), "ToleratedFailurePercentage"),
        (
            map(json!({"ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "Each", "States": {"Each": {"Type": "Succeed"}}
            }})),
            "ItemProcessor.ProcessorConfig.Mode",
        ),
    ]);
}

#[test]
fn fields_of_the_machine_outside_of_the_subset_are_named() {
    let whole = only(json!({"Type": "Succeed"}));
    for (more, field) in [
        (json!({"QueryLanguage": "JSONata"}), "QueryLanguage"),
        (json!({"Version": "2.0"}), "Version"),
        (json!({"TimeoutSeconds": 0}), "TimeoutSeconds"),
        (json!({"StartAt": null}), "StartAt"),
        (json!({"States": {}}), "States"),
        (json!({"Processor": {}}), "Processor"),
    ] {
        let error = refused(&merge(whole.clone(), more));
        assert_eq!((error.state.as_deref(), error.field.as_str()), (None, field), "{error}");
    }
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let error = refused(&only(json!({"Type": "Parallel", "End": true})));
    assert_eq!(error.to_string(), "m, state Only: Type: Parallel is outside of the subset");
}

#[test]
fn names_are_unique_in_the_whole_machine() {
    let processor = json!({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}});
    assert!(refused(&only(map(json!({"ItemProcessor": processor})))).reason.contains("unique"));
    let doubled = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "A": {"Type": "Fail"}}}"#;
    assert!(Machine::parse("m", doubled).is_err_and(|error| error.reason.contains("given twice")));
}

#[test]
fn what_is_in_the_subset_is_kept() {
    let definition = json!({
        "Comment": "The machine.", "TimeoutSeconds": 60, "QueryLanguage": "JSONPath", "Version": "1.0",
        "StartAt": "Only", "States": {"Only": {"Comment": "The state.", "Type": "Succeed"}}
    });
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    assert_eq!((machine.comment.as_deref(), machine.timeout_seconds), (Some("The machine."), Some(60)));
    assert_eq!(machine.state("Only").and_then(|state| state.comment.as_deref()), Some("The state."));
}
