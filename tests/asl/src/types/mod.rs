//! The lint that knows types: forward data flow over every machine, from the JSON Schemas of what the
//! functions take and give.
//!
//! The type of a state's input is the join over every transition that leads to it; a Choice rule narrows what
//! goes along its own edge. A machine that others start gets the join of what they pass, and gives them the
//! join of its ends. Start reading at `flow`.

mod contract;
mod effect;
mod fits;
mod flow;
mod narrow;
mod reader;
mod schema;
mod task;
mod value;
mod way;

pub use contract::{Contracts, FunctionContract};
pub use schema::SchemaError;
pub use value::Type;

use crate::lint::{LintProblem, LintRule};
use crate::machine::Machine;
use flow::Analysis;
use std::collections::BTreeMap;

/// What the types of some machines come to.
#[derive(Debug, Clone)]
pub struct TypeReport {
    /// Broken rules.
    pub problems: Vec<LintProblem>,
    /// The type of each state's input, by machine and state.
    pub inputs: BTreeMap<(String, String), Type>,
    /// The type of each machine's output; machines that never succeed have none.
    pub outputs: BTreeMap<String, Type>,
    /// How many paths were followed.
    pub paths: usize,
}

/// Follows the data through machines that may start each other.
pub fn lint_types(machines: &[Machine], contracts: &Contracts) -> TypeReport {
    let analysis = Analysis::of(machines, contracts);
    let mut problems = Vec::new();
    let mut paths = 0;
    analysis.each(|machine, state, effect| {
        paths += effect.paths;
        for note in effect.notes {
            let message = match note.way {
                None => note.message,
                Some(way) => {
                    let route = analysis.route_without(&machine.name, &state.name, &way);
                    format!("{}; it is missing on the route {route}", note.message)
                }
            };
            problems.push(LintProblem {
                rule: note.rule,
                machine: machine.name.clone(),
                state: Some(state.name.clone()),
                message,
            });
        }
    });
    for machine in machines {
        let start = (machine.name.clone(), machine.graph.start_at.clone());
        if !analysis.inputs.contains_key(&start) {
            problems.push(LintProblem {
                rule: LintRule::ContractKnown,
                machine: machine.name.clone(),
                state: None,
                message: "neither people nor another machine starts it".to_owned(),
            });
        }
    }
    problems.sort();
    problems.dedup();
    let outputs =
        analysis.outputs.iter().filter_map(|(name, of)| Some((name.clone(), of.clone()?))).collect();
    TypeReport { problems, inputs: analysis.inputs, outputs, paths }
}
