//! A machine as a Mermaid state diagram.

use crate::machine::{After, Edge, EdgeKind, Graph, Machine, State, StateKind};
use crate::path::{Path, PathStep};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What of a machine is drawn. The default draws all of it.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    /// Leaves out `Catch` edges, and the states that only they lead to.
    pub without_catch: bool,
    /// Leaves out these states, and those that only they lead to.
    pub without_states: BTreeSet<String>,
    /// Keeps only states from which one of these is reached. Empty keeps all.
    pub leading_to: BTreeSet<String>,
    /// Draws a Choice that one state leads to as labels on the edges of that state.
    pub folds_choices: bool,
    /// Draws a Map as one state.
    pub folds_maps: bool,
}

/// Draws a whole machine for a Markdown page: `stateDiagram-v2`, Maps as composite states, the edges of rules
/// and Catchers labelled with what they ask for.
pub fn draw_mermaid(machine: &Machine) -> String {
    Drawing::default().draw(machine)
}

impl Drawing {
    /// Draws what it keeps of a machine.
    pub fn draw(&self, machine: &Machine) -> String {
        let mut lines = vec!["stateDiagram-v2".to_owned()];
        self.draw_graph(&machine.graph, 1, &mut lines);
        lines.iter().fold(String::new(), |mut text, line| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
            text
        })
    }

    fn draw_graph(&self, graph: &Graph, depth: usize, lines: &mut Vec<String>) {
        let picture = Picture::of(graph, self);
        let indent = "    ".repeat(depth);
        let mut line = |text: String| lines.push(format!("{indent}{text}"));
        line(format!("[*] --> {}", id(&graph.start_at)));
        for state in &picture.states {
            let name = state.name.replace('"', "'");
            match state.kind {
                StateKind::Choice(_) => line(format!("state \"{name}?\" as {}", id(&state.name))),
                _ if id(&state.name) != state.name => {
                    line(format!("state \"{name}\" as {}", id(&state.name)));
                }
                _ => {}
            }
            for (edge, label) in picture.edges.get(state.name.as_str()).into_iter().flatten() {
                let label = if label.is_empty() { String::new() } else { format!(" : {label}") };
                line(format!("{} --> {}{label}", id(&state.name), id(&edge.to)));
            }
            let is_end = matches!(state.kind, StateKind::Succeed | StateKind::Fail(_))
                || matches!(state.after(), Some(After::End));
            if is_end {
                line(format!("{} --> [*]", id(&state.name)));
            }
        }
        for state in &picture.states {
            if let StateKind::Map(map) = &state.kind
                && !self.folds_maps
            {
                lines.push(format!("{indent}state {} {{", id(&state.name)));
                self.draw_graph(&map.processor, depth + 1, lines);
                lines.push(format!("{indent}}}"));
            }
        }
    }
}

/// The states and edges of one graph that are drawn, with the labels of the edges.
struct Picture<'m> {
    states: Vec<&'m State>,
    edges: BTreeMap<&'m str, Vec<(Edge, String)>>,
}

impl<'m> Picture<'m> {
    fn of(graph: &'m Graph, drawing: &Drawing) -> Self {
        let mut picture = Self { states: Vec::new(), edges: BTreeMap::new() };
        for state in &graph.states {
            if drawing.without_states.contains(&state.name) {
                continue;
            }
            picture.states.push(state);
            let mut edges = Vec::new();
            for edge in state.edges() {
                let is_left_out = drawing.without_catch && matches!(edge.kind, EdgeKind::Catch(_));
                if !is_left_out && !drawing.without_states.contains(&edge.to) {
                    let label = label(state, edge.kind);
                    edges.push((edge, label));
                }
            }
            picture.edges.insert(&state.name, edges);
        }
        if !drawing.leading_to.is_empty() {
            picture.keep(&picture.leading_to(&drawing.leading_to));
        }
        if drawing.folds_choices {
            picture.fold_choices();
        }
        picture.keep(&picture.reached(&graph.start_at));
        picture
    }

    fn keep(&mut self, names: &BTreeSet<String>) {
        self.states.retain(|state| names.contains(&state.name));
        self.edges.retain(|from, _| names.contains(*from));
        for edges in self.edges.values_mut() {
            edges.retain(|(edge, _)| names.contains(&edge.to));
        }
    }

    fn reached(&self, start: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start.to_owned()];
        while let Some(name) = open.pop() {
            let edges = self.edges.get(name.as_str()).into_iter().flatten();
            open.extend(edges.map(|(edge, _)| edge.to.clone()).filter(|to| !reached.contains(to)));
            reached.insert(name);
        }
        reached
    }

    fn leading_to(&self, ends: &BTreeSet<String>) -> BTreeSet<String> {
        let mut leading = ends.clone();
        loop {
            let is_leading =
                |edges: &[(Edge, String)]| edges.iter().any(|(edge, _)| leading.contains(&edge.to));
            let more: Vec<String> = self
                .edges
                .iter()
                .filter(|(from, edges)| !leading.contains(**from) && is_leading(edges))
                .map(|(from, _)| (*from).to_owned())
                .collect();
            if more.is_empty() {
                return leading;
            }
            leading.extend(more);
        }
    }

    fn fold_choices(&mut self) {
        let choices: Vec<&'m State> =
            self.states.iter().copied().filter(|state| matches!(state.kind, StateKind::Choice(_))).collect();
        for choice in choices {
            let leading: Vec<&'m str> = self
                .edges
                .iter()
                .filter(|(_, edges)| edges.iter().any(|(edge, _)| edge.to == choice.name))
                .map(|(from, _)| *from)
                .collect();
            let [before] = leading.as_slice() else { continue };
            if *before == choice.name {
                continue;
            }
            let folded = self.edges.remove(choice.name.as_str()).unwrap_or_default();
            if let Some(edges) = self.edges.get_mut(before) {
                edges.retain(|(edge, _)| edge.to != choice.name);
                edges.extend(
                    folded
                        .into_iter()
                        .map(|(edge, label)| (Edge { from: (*before).to_owned(), ..edge }, label)),
                );
            }
            self.states.retain(|state| state.name != choice.name);
        }
    }
}

fn label(state: &State, kind: EdgeKind) -> String {
    let label = match (kind, &state.kind) {
        (EdgeKind::Rule(index), StateKind::Choice(choice)) => {
            choice.rules.get(index).map(|rule| rule.condition.words(&last_name)).unwrap_or_default()
        }
        (EdgeKind::Default, _) => "otherwise".to_owned(),
        (EdgeKind::Catch(index), _) => {
            state.catch().get(index).map(|catcher| catcher.error_equals.join(", ")).unwrap_or_default()
        }
        (EdgeKind::Next | EdgeKind::Rule(_), _) => String::new(),
    };
    // Mermaid ends a label at these.
    label.replace([':', ';', '#', '\n'], " ")
}

/// `$.gate.decision` is called `decision`.
fn last_name(path: &Path) -> String {
    match path.steps.last() {
        Some(PathStep::Field(name)) => name.clone(),
        Some(PathStep::Index(_)) | None => path.to_string(),
    }
}

/// Mermaid's state ids are plain words.
fn id(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
