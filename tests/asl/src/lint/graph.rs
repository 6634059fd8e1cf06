//! Where transitions lead.

use super::{Found, LintRule};
use crate::machine::{Graph, Resource, State, StateKind};
use std::collections::BTreeSet;

pub(super) fn check(graph: &Graph, found: &mut Found<'_>) {
    if graph.state(&graph.start_at).is_none() {
        found.add_to_machine(
            LintRule::NextExists,
            format!("StartAt leads to {:?}, which is not there", graph.start_at),
        );
    }
    for edge in graph.states.iter().flat_map(|state| state.edges()) {
        if graph.state(&edge.to).is_none() {
            let message = format!("leads to {:?}, which is not in the same graph", edge.to);
            found.add(LintRule::NextExists, &edge.from, message);
        }
    }
    let reached = reached(graph);
    for state in &graph.states {
        if !reached.contains(state.name.as_str()) {
            found.add(LintRule::Reachable, &state.name, "no transition leads here");
        }
    }
    for state in &graph.states {
        if let Some(way) = way_back(graph, state) {
            let message = format!("a cycle without a pause: {}", way.join(" -> "));
            found.add(LintRule::LoopPauses, &state.name, message);
        }
    }
}

fn reached(graph: &Graph) -> BTreeSet<&str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![graph.start_at.as_str()];
    while let Some(name) = open.pop() {
        let Some(state) = graph.state(name) else { continue };
        if reached.insert(state.name.as_str()) {
            let next = state.edges().into_iter().filter_map(|edge| graph.state(&edge.to));
            open.extend(next.map(|state| state.name.as_str()));
        }
    }
    reached
}

fn pauses(state: &State) -> bool {
    match &state.kind {
        StateKind::Wait(_) => true,
        StateKind::Task(task) => {
            matches!(task.resource, Resource::InvokeWithToken | Resource::StartExecutionSync)
        }
        StateKind::Map(_)
        | StateKind::Choice(_)
        | StateKind::Pass(_)
        | StateKind::Succeed
        | StateKind::Fail(_) => false,
    }
}

/// A way from a state back to itself without a pause. Told once a cycle: from the state whose name comes
/// first among those on it.
fn way_back(graph: &Graph, start: &State) -> Option<Vec<String>> {
    if pauses(start) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![start.name.clone()]];
    while let Some(way) = open.pop() {
        let state = graph.state(way.last()?)?;
        for edge in state.edges() {
            if edge.to == start.name {
                let mut way = way;
                way.push(edge.to);
                return Some(way);
            }
            let Some(next) = graph.state(&edge.to) else { continue };
            if !pauses(next) && next.name > start.name && seen.insert(next.name.clone()) {
                let mut way = way.clone();
                way.push(next.name.clone());
                open.push(way);
            }
        }
    }
    None
}
