//! The Mermaid drawing.

use guard_asl::{Machine, draw_mermaid};
use serde_json::json;

#[test]
fn a_drawing_shows_every_edge_maps_and_ends() {
    let definition = json!({"StartAt": "Is it so?", "States": {
        "Is it so?": {"Type": "Choice", "Default": "Each", "Choices": [
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
        "stateDiagram-v2\n    [*] --> Is_it_so_\n    state \"Is it so?\" as Is_it_so_\n    \
         Is_it_so_ : ?\n    \
         Is_it_so_ --> Done : rule 1\n    Is_it_so_ --> Each : otherwise\n    Each --> Done\n    \
         Each --> Halted : States.ALL\n    Done --> [*]\n    Halted --> [*]\n    state Each {\n        \
         [*] --> Work\n        Work --> [*]\n    }\n"
    );
}
