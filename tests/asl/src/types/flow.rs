//! Types along every transition of every machine, to a fixed point.

use super::contract::Contracts;
use super::effect::{Effect, Known, effect};
use super::value::{DEPTH, Type};
use crate::machine::{Graph, Machine, State, StateKind};
use crate::path::PathStep;
use std::collections::{BTreeMap, BTreeSet};

/// A state: machine and name.
pub(super) type Place = (String, String);

/// Who may hand data to a state.
#[derive(Debug, Clone)]
pub(super) enum Giver {
    State(String),
    Caller(Place),
    People,
}

pub(super) struct Analysis<'m> {
    machines: &'m [Machine],
    contracts: &'m Contracts,
    /// What comes in, state by state.
    pub(super) inputs: BTreeMap<Place, Type>,
    /// What each machine ends with; `None` as long as it is not known to end.
    pub(super) outputs: BTreeMap<String, Option<Type>>,
    starts: BTreeMap<String, Type>,
    items: BTreeMap<Place, Type>,
    iteration_outputs: BTreeMap<Place, Type>,
    givers: BTreeMap<Place, Vec<(Giver, Type)>>,
}

impl<'m> Analysis<'m> {
    pub(super) fn of(machines: &'m [Machine], contracts: &'m Contracts) -> Self {
        let mut analysis = Self {
            machines,
            contracts,
            inputs: BTreeMap::new(),
            outputs: machines.iter().map(|machine| (machine.name.clone(), None)).collect(),
            starts: BTreeMap::new(),
            items: BTreeMap::new(),
            iteration_outputs: BTreeMap::new(),
            givers: BTreeMap::new(),
        };
        for machine in machines.iter().filter(|machine| contracts.started_by_people.contains(&machine.name)) {
            analysis.begin(&machine.name, &Type::anything());
        }
        while analysis.go_round() {}
        analysis.note_givers();
        analysis
    }

    /// Every state once; whether anything was learnt.
    fn go_round(&mut self) -> bool {
        let mut is_new = false;
        for machine in self.machines {
            for graph in graphs(machine) {
                for state in &graph.graph.states {
                    if let Some(effect) = self.effect(machine, &graph, state) {
                        is_new |= self.learn(machine, &graph, state, effect);
                    }
                }
            }
        }
        is_new
    }

    fn effect(&self, machine: &Machine, graph: &Around<'_>, state: &State) -> Option<Effect> {
        let input = self.inputs.get(&place(machine, &state.name))?;
        let known = Known {
            contracts: self.contracts,
            outputs: &self.outputs,
            machine: &machine.name,
            execution_input: self.starts.get(&machine.name).cloned().unwrap_or_default(),
            item: graph.map.and_then(|map| self.items.get(&place(machine, map))).cloned(),
            iteration_output: self.iteration_outputs.get(&place(machine, &state.name)).cloned(),
        };
        Some(effect(state, input, &known))
    }

    fn learn(&mut self, machine: &Machine, graph: &Around<'_>, state: &State, effect: Effect) -> bool {
        let mut is_new = false;
        for flow in effect.edges {
            is_new |= widen(&mut self.inputs, place(machine, &flow.to), &flow.carries);
        }
        if let Some(end) = effect.end {
            is_new |= match graph.map {
                Some(map) => widen(&mut self.iteration_outputs, place(machine, map), &end),
                None => self.end(&machine.name, &end),
            };
        }
        if let Some((child, input)) = effect.call {
            is_new |= self.begin(&child, &input);
        }
        if let (Some((item, input)), StateKind::Map(map)) = (effect.iteration, &state.kind) {
            is_new |= widen(&mut self.items, place(machine, &state.name), &item);
            is_new |= widen(&mut self.inputs, place(machine, &map.processor.start_at), &input);
        }
        is_new
    }

    fn begin(&mut self, name: &str, input: &Type) -> bool {
        let Some(machine) = self.machines.iter().find(|machine| machine.name == name) else { return false };
        let at_start = widen(&mut self.inputs, place(machine, &machine.graph.start_at), input);
        widen(&mut self.starts, name.to_owned(), input) || at_start
    }

    fn end(&mut self, name: &str, output: &Type) -> bool {
        let Some(known) = self.outputs.get_mut(name) else { return false };
        let joined = known.as_ref().map_or_else(|| output.clone(), |known| known.join(output)).cut(DEPTH);
        let is_new = known.as_ref() != Some(&joined);
        *known = Some(joined);
        is_new
    }

    fn note_givers(&mut self) {
        let mut givers: BTreeMap<Place, Vec<(Giver, Type)>> = BTreeMap::new();
        self.each(|machine, state, effect| {
            let mut give = |to: Place, giver, carries| givers.entry(to).or_default().push((giver, carries));
            for flow in effect.edges {
                give(place(machine, &flow.to), Giver::State(state.name.clone()), flow.carries);
            }
            if let (Some((_, input)), StateKind::Map(map)) = (effect.iteration, &state.kind) {
                let to = place(machine, &map.processor.start_at);
                give(to, Giver::State(state.name.clone()), input);
            }
            if let Some((child, input)) = effect.call
                && let Some(child) = self.machines.iter().find(|machine| machine.name == child)
            {
                let caller = Giver::Caller(place(machine, &state.name));
                give(place(child, &child.graph.start_at), caller, input);
            }
        });
        for machine in self.machines {
            if self.contracts.started_by_people.contains(&machine.name) {
                let start = place(machine, &machine.graph.start_at);
                givers.entry(start).or_default().push((Giver::People, Type::anything()));
            }
        }
        self.givers = givers;
    }

    /// Every state that data comes to, with its effect, in the order of the documents.
    pub(super) fn each(&self, mut look: impl FnMut(&Machine, &State, Effect)) {
        for machine in self.machines {
            for graph in graphs(machine) {
                for state in &graph.graph.states {
                    if let Some(effect) = self.effect(machine, &graph, state) {
                        look(machine, state, effect);
                    }
                }
            }
        }
    }

    /// A route on which the way down in a state's input leads nowhere, back to where that begins.
    pub(super) fn route_without(&self, machine: &str, state: &str, way: &[PathStep]) -> String {
        let mut route = vec![state.to_owned()];
        let mut here: Place = (machine.to_owned(), state.to_owned());
        let mut seen = BTreeSet::new();
        while seen.insert(here.clone()) {
            let givers = self.givers.get(&here).map(Vec::as_slice).unwrap_or_default();
            let lacking: Vec<&Giver> = givers
                .iter()
                .filter(|(_, carries)| carries.select(way).1.is_some())
                .map(|(giver, _)| giver)
                .collect();
            // A new state tells more than one that the route went through already.
            let is_new = |giver: &&&Giver| match giver {
                Giver::State(name) => !seen.contains(&(here.0.clone(), name.clone())),
                Giver::Caller(_) | Giver::People => true,
            };
            match lacking.iter().find(is_new) {
                None => break,
                Some(Giver::People) => {
                    route.push("what people give".to_owned());
                    break;
                }
                Some(Giver::Caller((machine, state))) => {
                    route.push(format!("{machine}, state {state}"));
                    break;
                }
                Some(Giver::State(name)) => {
                    route.push(name.clone());
                    here.1.clone_from(name);
                }
            }
        }
        route.reverse();
        route.join(" -> ")
    }
}

/// A graph and the Map it belongs to.
struct Around<'m> {
    graph: &'m Graph,
    map: Option<&'m str>,
}

fn graphs(machine: &Machine) -> Vec<Around<'_>> {
    let mut all = vec![Around { graph: &machine.graph, map: None }];
    let mut next = 0;
    while let Some(around) = all.get(next) {
        let inner: Vec<Around<'_>> = around
            .graph
            .states
            .iter()
            .filter_map(|state| match &state.kind {
                StateKind::Map(map) => Some(Around { graph: &map.processor, map: Some(&state.name) }),
                _ => None,
            })
            .collect();
        all.extend(inner);
        next += 1;
    }
    all
}

fn place(machine: &Machine, state: &str) -> Place {
    (machine.name.clone(), state.to_owned())
}

/// Joins what is new to what is known; whether that changed it.
fn widen<K: Ord>(known: &mut BTreeMap<K, Type>, key: K, new: &Type) -> bool {
    let new = new.cut(DEPTH);
    match known.get_mut(&key) {
        None => {
            known.insert(key, new);
            true
        }
        Some(old) => {
            let joined = old.join(&new);
            let is_new = *old != joined;
            *old = joined;
            is_new
        }
    }
}
