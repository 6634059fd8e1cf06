//! Each type of state by itself.

use crate::world::{World, only};
use guard_asl::{ExecutionDescription, Status};
use serde_json::{Value, json};

fn run(definition: &Value, input: Value) -> ExecutionDescription {
    World::new().machine("m", definition).runs("m", input)
}

#[test]
fn pass_gives_its_result_its_parameters_or_its_input() {
    let cases = [
        (json!({}), json!({"a": 1})),
        (json!({"Result": {"x": 9}}), json!({"x": 9})),
        (json!({"Result": 9, "ResultPath": "$.r"}), json!({"a": 1, "r": 9})),
        (json!({"Parameters": {"b.$": "$.a", "c": 2}}), json!({"b": 1, "c": 2})),
        (json!({"Parameters": {"b.$": "$.a"}, "ResultPath": "$.r"}), json!({"a": 1, "r": {"b": 1}})),
        (json!({"InputPath": "$.a"}), json!(1)),
    ];
    for (fields, output) in cases {
        let state = crate::world::merge(json!({"Type": "Pass", "End": true}), fields.clone());
        assert_eq!(run(&only(state), json!({"a": 1})).output, Some(output), "{fields}");
    }
}

#[test]
fn succeed_ends_with_its_filtered_input() {
    let end = run(
        &only(json!({"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"})),
        json!({"a": {"b": 1}}),
    );
    assert_eq!((end.status, end.output), (Status::Succeeded, Some(json!(1))));
}

#[test]
fn fail_tells_its_error_and_cause_fixed_or_by_path() {
    let input = json!({"error": {"Error": "Halted", "Cause": "no answer"}, "number": 1});
    let cases = [
        (json!({"Error": "GateFailed", "Cause": "words"}), Some("GateFailed"), Some("words")),
        (
            json!({"ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"}),
            Some("Halted"),
            Some("no answer"),
        ),
        (json!({"CausePath": "$$.StateMachine.Name"}), None, Some("m")),
        (json!({}), None, None),
    ];
    for (fields, error, cause) in cases {
        let state = crate::world::merge(json!({"Type": "Fail"}), fields.clone());
        let end = run(&only(state), input.clone());
        assert_eq!((end.error.as_deref(), end.cause.as_deref()), (error, cause), "{fields}");
        assert_eq!((end.status, end.output), (Status::Failed, None), "{fields}");
    }
    for fields in [json!({"ErrorPath": "$.missing"}), json!({"CausePath": "$.number"})] {
        let end = run(&only(crate::world::merge(json!({"Type": "Fail"}), fields)), input.clone());
        assert_eq!(end.error.as_deref(), Some("States.Runtime"));
    }
}

#[test]
fn wait_takes_exactly_its_time() {
    let cases = [
        (json!({"Seconds": 30}), 30),
        (json!({"Seconds": 0}), 0),
        (json!({"SecondsPath": "$.seconds"}), 86_400),
        (json!({"TimestampPath": "$.until"}), 3_600),
        (json!({"TimestampPath": "$.past"}), 0),
        (json!({"InputPath": "$.nested", "SecondsPath": "$.seconds"}), 5),
    ];
    let input = json!({
        "seconds": 86_400, "until": "2026-01-05T09:00:00Z", "past": "2020-01-01T00:00:00Z", "nested": {"seconds": 5}
    });
    for (fields, seconds) in cases {
        let state = crate::world::merge(json!({"Type": "Wait", "End": true}), fields.clone());
        let end = run(&only(state), input.clone());
        assert_eq!(end.status, Status::Succeeded, "{fields}");
        assert_eq!(end.stop.expect("ended").duration_since(end.start).as_secs(), seconds, "{fields}");
    }
}

#[test]
fn wait_refuses_what_is_no_time() {
    let input =
        json!({"negative": -1, "fraction": 1.5, "text": "soon", "local": "2026-01-05T09:00:00+01:00"});
    for fields in [
        json!({"SecondsPath": "$.negative"}),
        json!({"SecondsPath": "$.fraction"}),
        json!({"SecondsPath": "$.missing"}),
        json!({"TimestampPath": "$.text"}),
        json!({"TimestampPath": "$.local"}),
    ] {
        let state = crate::world::merge(json!({"Type": "Wait", "End": true}), fields.clone());
        assert_eq!(run(&only(state), input.clone()).error.as_deref(), Some("States.Runtime"), "{fields}");
    }
}

/// Whether a rule with this condition is taken; `None` when the execution fails with `States.Runtime`.
fn holds(condition: Value, input: &Value) -> Option<bool> {
    let definition = json!({"StartAt": "Ask", "States": {
        "Ask": {"Type": "Choice", "Choices": [crate::world::merge(condition, json!({"Next": "Yes"}))], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": true, "End": true},
        "No": {"Type": "Pass", "Result": false, "End": true}
    }});
    let end = run(&definition, input.clone());
    if end.status == Status::Succeeded {
        end.output.as_ref().and_then(Value::as_bool)
    } else {
        assert_eq!(end.error.as_deref(), Some("States.Runtime"));
        None
    }
}

#[test]
fn choice_operators_compare_by_type() {
    let input = json!({
        "s": "b", "t": "b", "n": 2, "m": 2.5, "yes": true, "null": null,
        "early": "2026-01-05T08:00:00Z", "late": "2026-01-05T08:00:00.5Z"
    });
    let is = |variable: &str, operator: &str, value: Value| {
        let mut condition = json!({"Variable": variable});
        condition[operator] = value;
        condition
    };
    let cases = [
        (is("$.s", "StringEquals", json!("b")), Some(true)),
        (is("$.s", "StringEquals", json!("a")), Some(false)),
        (is("$.n", "StringEquals", json!("2")), Some(false)),
        (is("$.s", "StringEqualsPath", json!("$.t")), Some(true)),
        (is("$.s", "StringGreaterThan", json!("a")), Some(true)),
        (is("$.s", "StringLessThanEquals", json!("b")), Some(true)),
        (is("$.n", "NumericEquals", json!(2.0)), Some(true)),
        (is("$.n", "NumericGreaterThan", json!(2)), Some(false)),
        (is("$.n", "NumericGreaterThanEquals", json!(2)), Some(true)),
        (is("$.n", "NumericLessThanPath", json!("$.m")), Some(true)),
        (is("$.n", "NumericLessThanEquals", json!(1)), Some(false)),
        (is("$.s", "NumericEquals", json!(2)), Some(false)),
        (is("$.yes", "BooleanEquals", json!(true)), Some(true)),
        (is("$.yes", "BooleanEqualsPath", json!("$.yes")), Some(true)),
        (is("$.s", "BooleanEquals", json!(false)), Some(false)),
        (is("$.early", "TimestampLessThan", json!("2026-01-05T08:00:00.001Z")), Some(true)),
        (is("$.early", "TimestampLessThanPath", json!("$.late")), Some(true)),
        (is("$.early", "TimestampGreaterThanEqualsPath", json!("$.late")), Some(false)),
        (is("$.early", "TimestampLessThanPath", json!("$$.State.EnteredTime")), Some(false)),
        (is("$.s", "TimestampLessThanPath", json!("$.late")), Some(false)),
        (is("$.null", "IsPresent", json!(true)), Some(true)),
        (is("$.missing", "IsPresent", json!(true)), Some(false)),
        (is("$.missing", "IsPresent", json!(false)), Some(true)),
        (is("$.null", "IsNull", json!(true)), Some(true)),
        (is("$.s", "IsNull", json!(false)), Some(true)),
        (is("$.s", "IsString", json!(true)), Some(true)),
        (is("$.n", "IsNumeric", json!(true)), Some(true)),
        (is("$.yes", "IsBoolean", json!(true)), Some(true)),
        (is("$.early", "IsTimestamp", json!(true)), Some(true)),
        (is("$.s", "IsTimestamp", json!(true)), Some(false)),
        // Only IsPresent may ask for what is not there.
        (is("$.missing", "IsNull", json!(true)), None),
        (is("$.missing", "StringEquals", json!("b")), None),
        (is("$.s", "StringEqualsPath", json!("$.missing")), None),
    ];
    for (condition, expected) in cases {
        assert_eq!(holds(condition.clone(), &input), expected, "{condition}");
    }
}

#[test]
fn and_or_stop_early_so_that_a_guard_protects() {
    let present = json!({"Variable": "$.missing", "IsPresent": true});
    let reads = json!({"Variable": "$.missing", "NumericEquals": 1});
    let yes = json!({"Variable": "$.a", "NumericEquals": 1});
    let input = json!({"a": 1});
    assert_eq!(holds(json!({"And": [present, reads]}), &input), Some(false));
    assert_eq!(holds(json!({"And": [reads, present]}), &input), None);
    assert_eq!(holds(json!({"And": [yes, yes]}), &input), Some(true));
    assert_eq!(holds(json!({"Or": [yes, reads]}), &input), Some(true));
    assert_eq!(holds(json!({"Or": [present, {"Not": yes}]}), &input), Some(false));
    assert_eq!(holds(json!({"Not": present}), &input), Some(true));
}

#[test]
fn choice_takes_the_first_rule_and_without_a_default_fails() {
    let rule =
        |next: &str, least: u64| json!({"Variable": "$.n", "NumericGreaterThanEquals": least, "Next": next});
    let definition = json!({"StartAt": "Ask", "States": {
        "Ask": {"Type": "Choice", "Choices": [rule("High", 10), rule("Low", 5)]},
        "High": {"Type": "Pass", "Result": "high", "End": true},
        "Low": {"Type": "Pass", "Result": "low", "End": true}
    }});
    assert_eq!(run(&definition, json!({"n": 12})).output, Some(json!("high")));
    assert_eq!(run(&definition, json!({"n": 7})).output, Some(json!("low")));
    assert_eq!(run(&definition, json!({"n": 1})).error.as_deref(), Some("States.NoChoiceMatched"));
}
