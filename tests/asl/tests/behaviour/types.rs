//! Types: what a schema describes, what fits, and what the lint makes of it.

use guard_asl::{Contracts, FunctionContract, LintRule, Machine, Type, TypeReport, lint_types};
use serde_json::{Value, json};

pub(crate) fn of(schema: &Value) -> Type {
    Type::of_schema(schema).expect("is in the subset")
}

/// An object of these fields; a name that ends with `?` may be absent.
pub(crate) fn object(fields: &Value) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for (name, schema) in fields.as_object().expect("fields") {
        let (name, is_optional) = name.strip_suffix('?').map_or((name.as_str(), false), |name| (name, true));
        properties.insert(name.to_owned(), schema.clone());
        if !is_optional {
            required.push(name.to_owned());
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn a_schema_admits_what_it_describes() {
    let word =
        json!({"oneOf": [{"const": "pass"}, {"description": "No.", "type": "string", "const": "fail"}]});
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Answer", "type": "object",
        "$defs": {"Word": word, "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        "properties": {
            "word": {"description": "It.", "$ref": "#/$defs/Word"}, "why": {"type": ["string", "null"]},
            "count": {"type": "integer", "format": "uint32", "minimum": 0}, "delta": {"type": "integer"},
            "share": {"type": "number"}, "tree": {"$ref": "#/$defs/Tree"}, "any": true,
            "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "maybe": {"anyOf": [{"$ref": "#/$defs/Word"}, {"type": "null"}]}
        },
        "required": ["word"]
    });
    let answer = of(&schema);
    for right in [
        json!({"word": "pass"}),
        json!({"word": "fail", "why": null, "count": 3, "delta": -3, "share": 0.5, "maybe": null}),
        json!({"word": "fail", "why": "so", "share": 1, "any": [{}], "more": {"x": true}, "maybe": "pass"}),
        json!({"word": "pass", "tree": [[], [[[]]]]}),
    ] {
        assert!(answer.admits(&right), "{right}");
    }
    for wrong in [
        json!(null),
        json!({}),
        json!({"word": "halt"}),
        json!({"word": "pass", "unlisted": 1}),
        json!({"word": "pass", "why": 1}),
        json!({"word": "pass", "count": -1}),
        json!({"word": "pass", "delta": 1.5}),
        json!({"word": "pass", "more": {"x": 1}}),
        json!({"word": "pass", "tree": [1]}),
    ] {
        assert!(!answer.admits(&wrong), "{wrong}");
    }
}

#[test]
fn a_schema_outside_of_the_subset_is_refused_by_name() {
    for (schema, word) in [
        (json!({"not": {}}), "not"),
        (json!({"type": "tuple"}), "tuple"),
        (json!({"type": "object", "patternProperties": {}}), "patternProperties"),
        (json!({"$ref": "#/$defs/Nowhere"}), "Nowhere"),
        (json!({"allOf": [true, true]}), "allOf"),
        (json!({"oneOf": 3}), "array"),
        (json!(3), "no schema"),
        (json!({"type": "object", "properties": {"deep": {"if": true}}}), "if"),
    ] {
        let why = Type::of_schema(&schema).expect_err("is outside").to_string();
        assert!(why.contains(word), "{schema}: {why}");
    }
}

/// A function that answers with words, one that takes a count, one that keeps a token.
fn contracts() -> Contracts {
    let word = json!({"enum": ["pass", "fail", "halt"]});
    let contract = |payload: &Value, answer: &Value, token: Option<&Value>| {
        FunctionContract::of_schemas(payload, answer, token).expect("is in the subset")
    };
    let ask = contract(
        &json!(true),
        &object(
            &json!({"verdict": word, "seconds": {"type": "integer", "minimum": 0}, "note": {"type": ["string", "null"]}}),
        ),
        None,
    );
    let tell =
        contract(&object(&json!({"verdict": word, "note?": {"type": "string"}})), &object(&json!({})), None);
    let wait = contract(
        &object(&json!({"token": {"type": "string"}})),
        &json!(true),
        Some(&object(&json!({"by": word}))),
    );
    let praise = contract(
        &object(&json!({"verdict": {"const": "pass"}})),
        &object(&json!({"ok": {"const": true}})),
        None,
    );
    let functions = [("ask", ask), ("tell", tell), ("wait", wait), ("praise", praise)];
    Contracts {
        functions: functions.map(|(name, contract)| (name.to_owned(), contract)).into(),
        started_by_people: ["parent".to_owned()].into(),
    }
}

fn call(function: &str, payload: &Value, next: &str) -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": next,
        "Parameters": {"FunctionName": function, "Payload": payload}, "OutputPath": "$.Payload"
    })
}

fn machine(name: &str, states: &Value) -> Machine {
    let start = states.as_object().and_then(|states| states.keys().next()).expect("a state");
    let definition = json!({"StartAt": start, "States": states});
    Machine::parse(name, &definition.to_string()).expect("is in the subset")
}

fn report(machines: &[Machine]) -> TypeReport {
    lint_types(machines, &contracts())
}

fn problems(states: &Value) -> Vec<(LintRule, String, String)> {
    let found = report(&[machine("parent", states)]).problems;
    found
        .into_iter()
        .map(|problem| (problem.rule, problem.state.unwrap_or_default(), problem.message))
        .collect()
}

/// The one problem there is.
fn problem(states: &Value) -> (LintRule, String, String) {
    let found = problems(states);
    let [only] = found.as_slice() else { panic!("{found:?}") };
    only.clone()
}

fn end() -> Value {
    json!({"Type": "Succeed"})
}

#[test]
fn a_field_of_one_route_only_is_missing_on_the_other() {
    let states = |default: &str| {
        json!({
            "Ask": call("ask", &json!({}), "Choose"),
            "Choose": {"Type": "Choice", "Default": default, "Choices": [
                {"Variable": "$.verdict", "StringEquals": "pass", "Next": "Mark"}
            ]},
            "Mark": {"Type": "Pass", "Result": 5, "ResultPath": "$.mark", "Next": "Pause"},
            "Pause": {"Type": "Wait", "SecondsPath": "$.mark", "Next": "Done"},
            "Done": end()
        })
    };
    assert_eq!(problems(&states("Done")), []);
    let (rule, state, message) = problem(&states("Pause"));
    assert_eq!((rule, state.as_str()), (LintRule::PathProduced, "Pause"));
    assert_eq!(
        message,
        "SecondsPath reads $.mark: mark is not there on every route; it is missing on the route Ask -> Choose -> Pause"
    );
}

#[test]
fn a_rule_narrows_what_goes_along_its_edge() {
    let states = |choices: &Value, note: &Value| {
        json!({
            "Ask": call("ask", &json!({}), "Choose"),
            "Choose": {"Type": "Choice", "Default": "Done", "Choices": choices},
            "Tell": call("tell", note, "Done"),
            "Done": end()
        })
    };
    let both = json!({"verdict.$": "$.verdict", "note.$": "$.note"});
    let is_string = json!([{"Variable": "$.note", "IsString": true, "Next": "Tell"}]);
    let is_not_null = json!([{"Not": {"Variable": "$.note", "IsNull": true}, "Next": "Tell"}]);
    let both_rules = json!([{"And": [
        {"Variable": "$.note", "IsNull": false}, {"Variable": "$.verdict", "StringEquals": "pass"}
    ], "Next": "Tell"}]);
    let null_first = json!([
        {"Variable": "$.note", "IsNull": true, "Next": "Done"},
        {"Variable": "$.seconds", "NumericLessThan": 5, "Next": "Tell"}
    ]);
    for choices in [is_string, is_not_null, both_rules, null_first] {
        assert_eq!(problems(&states(&choices, &both)), [], "{choices}");
    }
    let unguarded = json!([{"Variable": "$.verdict", "StringEquals": "pass", "Next": "Tell"}]);
    let (rule, state, message) = problem(&states(&unguarded, &both));
    assert_eq!((rule, state.as_str()), (LintRule::PayloadFits, "Tell"));
    assert_eq!(message, "Parameters.Payload.note ($.note): is a string or null, and must be a string");
}

#[test]
fn a_constant_is_all_that_goes_along_its_edge_and_the_others_are_left() {
    let states = |rule: &Value, next: &str, default: &str| {
        let mut rule = rule.clone();
        rule["Next"] = json!(next);
        json!({
            "Ask": call("ask", &json!({}), "Choose"),
            "Choose": {"Type": "Choice", "Default": default, "Choices": [rule]},
            "Praise": call("praise", &json!({"verdict.$": "$.verdict"}), "Done"),
            "Done": end()
        })
    };
    let is = |word: &str| json!({"Variable": "$.verdict", "StringEquals": word});
    assert_eq!(problems(&states(&is("pass"), "Praise", "Done")), []);
    assert_eq!(problem(&states(&is("fail"), "Praise", "Done")).0, LintRule::PayloadFits);
    let is_bad = json!({"Or": [is("fail"), is("halt")]});
    assert_eq!(problems(&states(&is_bad, "Done", "Praise")), []);
    assert_eq!(problem(&states(&is("fail"), "Done", "Praise")).0, LintRule::PayloadFits);
    assert_eq!(problems(&states(&json!({"Not": is_bad}), "Praise", "Done")), []);
}

#[test]
fn results_and_errors_go_where_their_paths_say() {
    let states = |more: Value, read: &str| {
        let mut work = json!({
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Done",
            "Parameters": {"FunctionName": "praise", "Payload": {"verdict": "pass"}},
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Done"}]
        });
        work.as_object_mut().expect("a state").extend(more.as_object().expect("fields").clone());
        json!({
            "Begin": {"Type": "Pass", "Result": {"kept": 1, "text": "x"}, "Next": "Work"},
            "Work": work,
            "Done": {"Type": "Succeed", "OutputPath": read}
        })
    };
    assert_eq!(problems(&states(json!({"ResultPath": null}), "$.kept")), []);
    assert_eq!(problems(&states(json!({"ResultPath": "$.a.b"}), "$.kept")), []);
    let (rule, _, message) = problem(&states(json!({}), "$.kept"));
    assert_eq!(rule, LintRule::PathProduced);
    assert!(message.ends_with("on the route Work -> Done"), "{message}");
    assert_eq!(problem(&states(json!({"ResultPath": "$.a.b"}), "$.a.b")).0, LintRule::PathProduced);
    assert_eq!(problem(&states(json!({"ResultPath": "$.text.b"}), "$.kept")).0, LintRule::ResultPlaced);
    assert_eq!(
        problem(&states(json!({"ResultPath": null, "InputPath": "$.none"}), "$")).0,
        LintRule::PathProduced
    );
    let selector = |path: &str| json!({"ResultPath": "$.kept", "ResultSelector": {"ok.$": path}});
    assert_eq!(problems(&states(selector("$.Payload.ok"), "$.kept")), []);
    let (_, state, message) = problem(&states(selector("$.Payload.okay"), "$.kept"));
    assert_eq!(
        (state.as_str(), message.as_str()),
        ("Work", "ResultSelector.ok reads $.Payload.okay: Payload has no okay, but ok")
    );
}

#[test]
fn a_rule_that_cannot_hold_is_found() {
    let choose = |choices: Value| {
        json!({
            "Ask": call("ask", &json!({}), "Choose"),
            "Choose": {"Type": "Choice", "Default": "Done", "Choices": choices}, "Done": end()
        })
    };
    for (rule, says) in [
        (
            json!({"Variable": "$.verdict", "StringEquals": "pas"}),
            "it can never hold; $.verdict is \"fail\" or ",
        ),
        (json!({"Variable": "$.none", "IsPresent": true}), "it can never hold"),
        (json!({"Variable": "$.verdict", "IsNull": true}), "it can never hold"),
    ] {
        let mut rule = rule;
        rule["Next"] = json!("Done");
        let (found, state, message) = problem(&choose(json!([rule])));
        assert_eq!((found, state.as_str()), (LintRule::RuleCanHold, "Choose"));
        assert!(message.contains(says), "{message}");
    }
    let twice = json!([
        {"Or": [{"Variable": "$.verdict", "StringEquals": "pass"}, {"Variable": "$.verdict", "StringEquals": "fail"}],
         "Next": "Done"},
        {"Variable": "$.verdict", "StringEquals": "fail", "Next": "Done"}
    ]);
    assert!(problem(&choose(twice)).2.contains("an earlier rule takes it"));
    let all = json!([
        {"Variable": "$.verdict", "StringEquals": "pass", "Next": "Done"},
        {"Variable": "$.verdict", "StringEquals": "fail", "Next": "Done"},
        {"Variable": "$.verdict", "StringEquals": "halt", "Next": "Done"}
    ]);
    assert_eq!(problems(&choose(all)), [], "a Default that nothing reaches is fine");
}

#[test]
fn what_people_give_may_only_be_asked_for() {
    let asked = json!({
        "Choose": {"Type": "Choice", "Default": "Done", "Choices": [
            {"Variable": "$.seconds", "IsPresent": true, "Next": "Done"},
            {"Variable": "$$.Execution.Input.x", "IsPresent": true, "Next": "Done"}
        ]}, "Done": end()
    });
    assert_eq!(problems(&asked), []);
    let read = json!({"Pause": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Done"}, "Done": end()});
    let found = problems(&read);
    assert_eq!(
        found[0].2,
        "SecondsPath reads $.seconds: the data may be anything, so nothing below it is sure; \
         it is missing on the route what people give -> Pause"
    );
    let guarded = json!({
        "Choose": {"Type": "Choice", "Default": "Done", "Choices": [{"And": [
            {"Variable": "$.seconds", "IsPresent": true}, {"Variable": "$.seconds", "NumericGreaterThan": 0}
        ], "Next": "Done"}]}, "Done": end()
    });
    assert_eq!(problems(&guarded), []);
}

#[test]
fn a_child_gets_what_its_callers_pass_and_gives_what_its_ends_hold() {
    let start = |input: &Value, next: &str| {
        json!({
            "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "Next": next,
            "Parameters": {"StateMachineArn": "child", "Input": input},
            "ResultSelector": {"verdict.$": "$.Output.verdict"}
        })
    };
    let child = |end: &Value| {
        machine(
            "child",
            &json!({
                "Pause": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Choose"},
                "Choose": {"Type": "Choice", "Default": "Done", "Choices": [
                    {"Variable": "$.fast", "BooleanEquals": true, "Next": "Other"}
                ]},
                "Done": {"Type": "Pass", "Parameters": {"verdict": "pass"}, "End": true},
                "Other": {"Type": "Pass", "Parameters": end, "End": true}
            }),
        )
    };
    let parent = |first: &Value, second: &Value| {
        machine(
            "parent",
            &json!({
                "First": start(first, "Second"),
                "Second": start(second, "Tell"),
                "Tell": call("tell", &json!({"verdict.$": "$.verdict"}), "Done"),
                "Done": end()
            }),
        )
    };
    let whole = json!({"seconds": 5, "fast": true});
    let found =
        report(&[parent(&whole, &json!({"seconds": 6, "fast": false})), child(&json!({"verdict": "fail"}))]);
    assert_eq!(found.problems, []);
    assert!(found.outputs["child"].admits(&json!({"verdict": "fail"})));
    assert!(!found.outputs["child"].admits(&json!({"verdict": "halt"})));

    let short =
        report(&[parent(&whole, &json!({"seconds": 6})), child(&json!({"verdict": "fail"}))]).problems;
    let told: Vec<String> = short.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "child, state Choose: Choices[0] reads $.fast: fast is not there on every route; it is missing on the \
          route parent, state Second -> Pause -> Choose (PathProduced)"
        ]
    );
    let other = report(&[parent(&whole, &whole), child(&json!({"verdict": "perhaps"}))]).problems;
    assert_eq!(other.len(), 1, "{other:?}");
    assert_eq!((other[0].rule, other[0].state.as_deref()), (LintRule::PayloadFits, Some("Tell")));
    let none = report(&[parent(&whole, &whole), child(&json!({"result": "fail"}))]).problems;
    assert!(none.iter().all(|problem| problem.rule == LintRule::PathProduced), "{none:?}");
    assert_eq!(none.len(), 2, "both read what one end does not give");
    let lonely = report(&[child(&json!({"verdict": "fail"}))]).problems;
    assert_eq!((lonely[0].rule, &lonely[0].state), (LintRule::ContractKnown, &None));
}

#[test]
fn a_map_gives_an_array_of_what_its_iterations_end_with() {
    let states = |verdict: &Value, path: &str| {
        json!({
            "Begin": {"Type": "Pass", "Parameters": {"items": [{"id": "a"}, {"id": "b"}], "word": "pass"}, "Next": "Each"},
            "Each": {
                "Type": "Map", "ItemsPath": path, "ResultPath": "$.results", "Next": "Done",
                "ItemSelector": {"id.$": "$$.Map.Item.Value.id", "at.$": "$$.Map.Item.Index", "word.$": "$.word"},
                "ItemProcessor": {"StartAt": "Tell", "States": {
                    "Tell": call("tell", verdict, "Inside"),
                    "Inside": {"Type": "Pass", "Parameters": {"index.$": "$$.Map.Item.Index"}, "End": true}
                }}
            },
            "Done": {"Type": "Succeed", "OutputPath": "$.results"}
        })
    };
    let right = report(&[machine("parent", &states(&json!({"verdict.$": "$.word"}), "$.items"))]);
    assert_eq!(right.problems, []);
    assert!(right.outputs["parent"].admits(&json!([{"index": 0}, {"index": 1}])));
    assert!(!right.outputs["parent"].admits(&json!([{"index": "0"}])));
    let (rule, state, _) = problem(&states(&json!({"verdict.$": "$.id"}), "$.items"));
    assert_eq!((rule, state.as_str()), (LintRule::PayloadFits, "Tell"));
    let found = problems(&states(&json!({"verdict.$": "$.word"}), "$.word"));
    assert_eq!(found[0].0, LintRule::ItemsAreArray, "{found:?}");
}

#[test]
fn a_token_is_answered_with_what_its_task_promises() {
    let wait = |function: &str, by: &str| {
        json!({
            "Wait": {
                "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Next": "Tell",
                "Parameters": {"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Halted"}]
            },
            "Tell": call("tell", &json!({"verdict.$": by}), "Done"),
            "Done": end(),
            "Halted": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}
        })
    };
    assert_eq!(problems(&wait("wait", "$.by")), []);
    assert_eq!(problem(&wait("wait", "$.Payload.by")).0, LintRule::PathProduced);
    assert_eq!(problem(&wait("ask", "$")).0, LintRule::ContractKnown);
}

#[test]
fn a_loop_that_nests_its_own_input_comes_to_an_end() {
    let states = json!({
        "Nest": {"Type": "Pass", "Parameters": {"inner.$": "$", "other.$": "$"}, "Next": "Nest"}
    });
    assert_eq!(problems(&states), []);
}
