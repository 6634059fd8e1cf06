//! The Mermaid drawing.

use guard_asl::{Drawing, Machine, draw_mermaid};
use serde_json::json;

#[test]
fn a_drawing_shows_every_edge_maps_and_ends() {
    let definition = json!({"StartAt": "Is it so", "States": {
        "Is it so": {"Type": "Choice", "Default": "Each", "Choices": [
            {"Variable": "$.a", "IsPresent": true, "Next": "Done"}
        ]},
        "Each": {
            "Type": "Map", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Halted"}], "Next": "Done",
            "ItemProcessor": {"StartAt": "Work", "States": {"Work": {"Type": "Pass", "End": true}}}
        },
        "Done": {"Type": "Succeed"},
        "Halted": {"Type": "Fail"}
    }});
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    assert_eq!(
        draw_mermaid(&machine),
        "stateDiagram-v2\n    [*] --> Is_it_so\n    state \"Is it so?\" as Is_it_so\n    \
         Is_it_so --> Done : a is present\n    Is_it_so --> Each : otherwise\n    Each --> Done\n    \
         Each --> Halted : States.ALL\n    Done --> [*]\n    Halted --> [*]\n    state Each {\n        \
         [*] --> Work\n        Work --> [*]\n    }\n"
    );
}

#[test]
fn a_picture_of_the_main_path_folds_what_it_need_not_show() {
    let definition = json!({"StartAt": "Check", "States": {
        "Check": {
            "Type": "Map", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Halted"}], "Next": "IsGood",
            "ItemProcessor": {"StartAt": "Work", "States": {"Work": {"Type": "Pass", "End": true}}}
        },
        "IsGood": {"Type": "Choice", "Default": "Refuse", "Choices": [
            {"Variable": "$.gate.verdict", "StringEquals": "pass", "Next": "WhatNext"}
        ]},
        "WhatNext": {"Type": "Choice", "Default": "Refuse", "Choices": [
            {"Variable": "$.turn", "NumericLessThan": 3, "Next": "Pause"},
            {"And": [
                {"Variable": "$.a", "IsNull": false}, {"Not": {"Variable": "$.b", "BooleanEquals": true}}
            ], "Next": "Done"}
        ]},
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "WhatNext"},
        "Refuse": {"Type": "Fail"},
        "Done": {"Type": "Succeed"},
        "Halted": {"Type": "Fail"}
    }});
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    let drawing = Drawing {
        without_catch: true,
        leading_to: ["Done".to_owned()].into(),
        folds_choices: true,
        folds_maps: true,
        ..Drawing::default()
    };
    assert_eq!(
        drawing.draw(&machine),
        "stateDiagram-v2\n    [*] --> Check\n    Check --> WhatNext : verdict = pass\n    \
         state \"WhatNext?\" as WhatNext\n    WhatNext --> Pause : turn < 3\n    \
         WhatNext --> Done : a is not null and not b = true\n    Pause --> WhatNext\n    Done --> [*]\n"
    );
    let without = Drawing { without_states: ["WhatNext".to_owned()].into(), ..Drawing::default() };
    assert!(!without.draw(&machine).contains("Pause"), "only WhatNext leads there");
}

#[test]
fn every_loop_is_named_once() {
    let to = |next: &str| json!({"Type": "Wait", "Seconds": 1, "Next": next});
    let definition = json!({"StartAt": "A", "States": {
        "A": to("B"),
        "B": {"Type": "Choice", "Default": "End", "Choices": [
            {"Variable": "$.x", "IsPresent": true, "Next": "A"},
            {"Variable": "$.y", "IsPresent": true, "Next": "C"},
            {"Variable": "$.z", "IsPresent": true, "Next": "B"}
        ]},
        "C": to("D"), "D": to("B"), "End": {"Type": "Succeed"}
    }});
    let machine = Machine::parse("m", &definition.to_string()).expect("is in the subset");
    assert_eq!(machine.graph.cycles(), [vec!["A", "B"], vec!["B"], vec!["B", "C", "D"]]);
}
