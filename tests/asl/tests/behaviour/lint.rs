//! What the lint finds, and that it finds nothing in a clean machine.

use crate::world::merge;
use guard_asl::{LintRule, LintRules, Machine, RetryPolicy, lint};
use serde_json::{Value, json};

const BRIEF: &str = r#"[{"ErrorEquals": ["Transient"], "IntervalSeconds": 5, "MaxAttempts": 4}]"#;
const BRIEF_AND_MORE: &str = r#"[
    {"ErrorEquals": ["Transient"], "IntervalSeconds": 5, "MaxAttempts": 4},
    {"ErrorEquals": ["Throttled"], "IntervalSeconds": 15}
]"#;
const ONCE_MORE: &str = r#"[{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1, "BackoffRate": 1.0}]"#;

fn rules() -> LintRules {
    let policy = |name, json| RetryPolicy::parse(name, json).expect("is a list of retriers");
    LintRules {
        error_names: ["Transient", "Throttled"].map(str::to_owned).into(),
        retry_policies: vec![
            policy("brief", BRIEF),
            policy("brief-and-more", BRIEF_AND_MORE),
            policy("once-more", ONCE_MORE),
        ],
    }
}

fn retry(policies: &[&str]) -> Value {
    let lists = policies.iter().map(|json| serde_json::from_str::<Vec<Value>>(json).expect("JSON"));
    lists.flatten().collect::<Vec<_>>().into()
}

fn clean_task() -> Value {
    json!({
        "Comment": "Works.", "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "f"}, "TimeoutSeconds": 60, "Retry": retry(&[BRIEF_AND_MORE, ONCE_MORE]),
        "Catch": [
            {"ErrorEquals": ["Transient"], "Next": "Halted"},
            {"ErrorEquals": ["States.ALL"], "Next": "Halted"}
        ],
        "Next": "Ask"
    })
}

/// Work, then ask, then wait and work again, or be done.
fn clean() -> Value {
    json!({"StartAt": "Work", "States": {
        "Work": clean_task(),
        "Ask": {"Comment": "Done?", "Type": "Choice", "Default": "Pause", "Choices": [
            {"Variable": "$.done", "BooleanEquals": true, "Next": "Done"}
        ]},
        "Pause": {"Comment": "Waits.", "Type": "Wait", "Seconds": 60, "Next": "Work"},
        "Done": {"Comment": "Is done.", "Type": "Succeed"},
        "Halted": {"Comment": "Is not.", "Type": "Fail", "Error": "Halted"}
    }})
}

fn problems(definition: &Value) -> Vec<(LintRule, Option<String>)> {
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    lint(&machine, &rules()).into_iter().map(|problem| (problem.rule, problem.state)).collect()
}

fn with_state(name: &str, more: Value) -> Value {
    let mut definition = clean();
    let state = definition["States"][name].take();
    definition["States"][name] = merge(state, more);
    definition
}

#[test]
fn a_clean_machine_has_no_problems() {
    assert_eq!(problems(&clean()), []);
}

#[test]
fn each_rule_finds_its_fault_and_nothing_else() {
    let token = json!({
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Retry": retry(&[BRIEF]),
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}
    });
    let token = |more: Value| merge(token.clone(), more);
    let catch = |names: &[&str]| {
        let catchers = names
            .iter()
            .map(|name| json!({"ErrorEquals": name.split(' ').collect::<Vec<_>>(), "Next": "Halted"}));
        json!({"Catch": catchers.collect::<Vec<_>>()})
    };
    let cases = [
        ("Work", json!({"Comment": " "}), LintRule::Comment),
        ("Work", json!({"TimeoutSeconds": null}), LintRule::Timeout),
        ("Work", json!({"TimeoutSeconds": 0}), LintRule::Timeout),
        ("Work", json!({"Catch": null, "End": null}), LintRule::CatchAll),
        ("Work", catch(&["Transient"]), LintRule::CatchAll),
        ("Work", catch(&["Transeint", "States.ALL"]), LintRule::ErrorNameKnown),
        ("Work", catch(&["States.All", "States.ALL"]), LintRule::ErrorNameKnown),
        ("Work", catch(&["States.Runtime", "States.ALL"]), LintRule::ErrorNameKnown),
        ("Work", catch(&["States.ALL", "States.ALL"]), LintRule::AllAloneAndLast),
        ("Work", json!({"Retry": null}), LintRule::RetryNamed),
        (
            "Work",
            json!({"Retry": [{"ErrorEquals": ["Transient"], "IntervalSeconds": 6, "MaxAttempts": 4}]}),
            LintRule::RetryNamed,
        ),
        ("Work", token(json!({"Retry": retry(&[ONCE_MORE])})), LintRule::TimeoutNotRetried),
        ("Work", token(json!({"Parameters": {"FunctionName": "f"}})), LintRule::TokenPassed),
        ("Work", token(json!({"HeartbeatSeconds": 60})), LintRule::HeartbeatBeforeTimeout),
        ("Work", token(json!({"HeartbeatSeconds": 0})), LintRule::HeartbeatBeforeTimeout),
        (
            "Ask",
            json!({"Choices": [{"Variable": "$.done", "IsNull": true, "Next": "Nowhere"}]}),
            LintRule::NextExists,
        ),
    ];
    for (state, more, rule) in cases {
        let definition = with_state(state, more.clone());
        // Dropping every transition to Done or Halted leaves them unreachable, which is no news here.
        let found: Vec<_> =
            problems(&definition).into_iter().filter(|(rule, _)| *rule != LintRule::Reachable).collect();
        assert_eq!(found, [(rule, Some(state.to_owned()))], "{more}");
    }
    assert_eq!(problems(&with_state("Work", token(json!({"HeartbeatSeconds": 59})))), []);
}

#[test]
fn an_all_beside_other_names_is_found() {
    let definition = with_state(
        "Work",
        json!({"Catch": [{"ErrorEquals": ["Transient", "States.ALL"], "Next": "Halted"}]}),
    );
    let found = problems(&definition);
    assert!(found.contains(&(LintRule::AllAloneAndLast, Some("Work".to_owned()))), "{found:?}");
}

#[test]
fn a_choice_needs_a_default() {
    let choices = json!([
        {"Variable": "$.done", "BooleanEquals": true, "Next": "Done"},
        {"Variable": "$.done", "BooleanEquals": false, "Next": "Pause"}
    ]);
    let definition = with_state("Ask", json!({"Default": null, "Choices": choices}));
    assert_eq!(problems(&definition), [(LintRule::Default, Some("Ask".to_owned()))]);
}

#[test]
fn an_unreachable_state_and_a_start_that_is_not_there_are_found() {
    let mut definition = clean();
    definition["States"]["Lost"] = json!({"Comment": "Alone.", "Type": "Succeed"});
    assert_eq!(problems(&definition), [(LintRule::Reachable, Some("Lost".to_owned()))]);
    definition["StartAt"] = json!("Nowhere");
    assert_eq!(problems(&definition)[0], (LintRule::NextExists, None));
}

#[test]
fn a_cycle_without_a_pause_is_found_once() {
    let definition = with_state("Pause", json!({"Type": "Pass", "Seconds": null}));
    assert_eq!(problems(&definition), [(LintRule::LoopPauses, Some("Ask".to_owned()))]);
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    let told = lint(&machine, &rules())[0].to_string();
    assert_eq!(told, "m, state Ask: a cycle without a pause: Ask -> Pause -> Work -> Ask (LoopPauses)");
}

#[test]
fn a_nested_start_is_pause_enough_for_a_cycle() {
    let mut definition = with_state("Pause", json!({"Type": "Pass", "Seconds": null}));
    definition["States"]["Work"] = merge(
        clean_task(),
        json!({
            "Resource": "arn:aws:states:::states:startExecution.sync:2", "Retry": retry(&[BRIEF]),
            "Parameters": {"StateMachineArn": "child"}
        }),
    );
    assert_eq!(problems(&definition), []);
}

#[test]
fn states_inside_of_a_map_are_linted_too() {
    let map = json!({
        "Comment": "Each.", "Type": "Map", "Next": "Done",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Halted"}],
        "ItemProcessor": {"StartAt": "Inside", "States": {
            "Inside": {"Type": "Pass", "Next": "Done"}
        }}
    });
    let mut definition = clean();
    definition["States"]["Each"] = map;
    definition["States"]["Ask"]["Choices"][0]["Next"] = json!("Each");
    assert_eq!(
        problems(&definition),
        [(LintRule::NextExists, Some("Inside".to_owned())), (LintRule::Comment, Some("Inside".to_owned()))]
    );
}

#[test]
fn without_policies_a_retry_is_not_checked() {
    let definition = with_state("Work", json!({"Retry": null}));
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    assert_eq!(lint(&machine, &LintRules { retry_policies: Vec::new(), ..rules() }), []);
}
