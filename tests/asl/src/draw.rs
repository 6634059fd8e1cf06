//! A machine as a Mermaid state diagram.

use crate::machine::{EdgeKind, Graph, Machine, StateKind};
use std::fmt::Write as _;

/// Draws a machine for a Markdown page: `stateDiagram-v2`, Maps as composite states, `Catch` edges labelled.
pub fn draw_mermaid(machine: &Machine) -> String {
    let mut drawing = String::from("stateDiagram-v2\n");
    draw_graph(&machine.graph, 1, &mut drawing);
    drawing
}

fn draw_graph(graph: &Graph, depth: usize, drawing: &mut String) {
    let indent = "    ".repeat(depth);
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(drawing, "{indent}{text}");
    };
    line(format!("[*] --> {}", id(&graph.start_at)));
    for state in &graph.states {
        if id(&state.name) != state.name {
            line(format!("state \"{}\" as {}", state.name.replace('"', "'"), id(&state.name)));
        }
        if matches!(state.kind, StateKind::Choice(_)) {
            line(format!("{} : ?", id(&state.name)));
        }
        for edge in state.edges() {
            let label = match edge.kind {
                EdgeKind::Next => String::new(),
                EdgeKind::Rule(index) => format!(" : rule {}", index + 1),
                EdgeKind::Default => " : otherwise".to_owned(),
                EdgeKind::Catch(index) => {
                    let names = state.catch().get(index).map(|catcher| catcher.error_equals.join(", "));
                    format!(" : {}", names.unwrap_or_default())
                }
            };
            line(format!("{} --> {}{label}", id(&edge.from), id(&edge.to)));
        }
        let is_end = matches!(state.kind, StateKind::Succeed | StateKind::Fail(_))
            || matches!(state.after(), Some(crate::machine::After::End));
        if is_end {
            line(format!("{} --> [*]", id(&state.name)));
        }
    }
    for state in &graph.states {
        if let StateKind::Map(map) = &state.kind {
            let _ = writeln!(drawing, "{indent}state {} {{", id(&state.name));
            draw_graph(&map.processor, depth + 1, drawing);
            let _ = writeln!(drawing, "{indent}}}");
        }
    }
}

/// Mermaid's state ids are plain words.
fn id(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
