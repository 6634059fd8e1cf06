//! Types along every transition of every machine, to a fixed point.

use super::contract::Contracts;
use super::effect::{Effect, Known, effect};
use super::value::{DEPTH, Type};
use crate::machine::{Machine, ResultPath, State, StateKind};
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
    spots: Vec<Spot<'m>>,
    /// Spots whose effect may have changed. In the order of the documents, which is nearly that of the data.
    open: BTreeSet<usize>,
    /// What comes in, state by state.
    pub(super) inputs: BTreeMap<Place, Type>,
    /// What each machine ends with; `None` as long as it is not known to end.
    pub(super) outputs: BTreeMap<String, Option<Type>>,
    starts: BTreeMap<String, Type>,
    items: BTreeMap<Place, Type>,
    iteration_outputs: BTreeMap<Place, Type>,
    givers: BTreeMap<Place, Vec<(Giver, Type)>>,
}

/// A state, and the Map it is inside of.
#[derive(Clone, Copy)]
struct Spot<'m> {
    machine: &'m Machine,
    map: Option<&'m str>,
    state: &'m State,
}

impl<'m> Analysis<'m> {
    pub(super) fn of(machines: &'m [Machine], contracts: &'m Contracts) -> Self {
        let mut analysis = Self {
            machines,
            contracts,
            spots: machines.iter().flat_map(spots).collect(),
            open: BTreeSet::new(),
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
        while let Some(next) = analysis.open.pop_first() {
            let Some(spot) = analysis.spots.get(next).copied() else { continue };
            if let Some(effect) = analysis.effect(spot) {
                analysis.learn(spot, effect);
            }
        }
        analysis.note_givers();
        analysis
    }

    fn effect(&self, Spot { machine, map, state }: Spot<'_>) -> Option<Effect> {
        let input = self.inputs.get(&place(machine, &state.name))?;
        let known = Known {
            contracts: self.contracts,
            outputs: &self.outputs,
            machine: &machine.name,
            execution_input: self.starts.get(&machine.name).cloned().unwrap_or_default(),
            item: map.and_then(|map| self.items.get(&place(machine, map))).cloned(),
            iteration_output: self.iteration_outputs.get(&place(machine, &state.name)).cloned(),
        };
        Some(effect(state, input, &known))
    }

    fn learn(&mut self, Spot { machine, map, state }: Spot<'_>, effect: Effect) {
        for flow in effect.edges {
            self.give(machine, &flow.to, &flow.carries);
        }
        if let Some(end) = effect.end {
            match map {
                Some(map) => {
                    if widen(&mut self.iteration_outputs, place(machine, map), &end) {
                        self.open_where(|spot| is_same(spot.machine, machine) && spot.state.name == *map);
                    }
                }
                None => self.end(&machine.name, &end),
            }
        }
        if let Some((child, input)) = effect.call {
            self.begin(&child, &input);
        }
        if let (Some((item, input)), StateKind::Map(map)) = (effect.iteration, &state.kind) {
            if widen(&mut self.items, place(machine, &state.name), &item) {
                self.open_where(|spot| is_same(spot.machine, machine) && spot.map == Some(&state.name));
            }
            self.give(machine, &map.processor.start_at, &input);
        }
    }

    fn give(&mut self, machine: &Machine, state: &str, input: &Type) {
        if widen(&mut self.inputs, place(machine, state), input) {
            self.open_where(|spot| is_same(spot.machine, machine) && spot.state.name == *state);
        }
    }

    fn open_where(&mut self, changed: impl Fn(&Spot<'_>) -> bool) {
        let changed = self.spots.iter().enumerate().filter(|(_, spot)| changed(spot));
        self.open.extend(changed.map(|(index, _)| index));
    }

    fn begin(&mut self, name: &str, input: &Type) {
        let machines = self.machines;
        let Some(machine) = machines.iter().find(|machine| machine.name == name) else { return };
        self.give(machine, &machine.graph.start_at, input);
        // Any of its states may read `$$.Execution.Input`.
        if widen(&mut self.starts, name.to_owned(), input) {
            self.open_where(|spot| is_same(spot.machine, machine));
        }
    }

    fn end(&mut self, name: &str, output: &Type) {
        let Some(known) = self.outputs.get_mut(name) else { return };
        let joined = known.as_ref().map_or_else(|| output.clone(), |known| known.join(output)).cut(DEPTH);
        if known.as_ref() != Some(&joined) {
            *known = Some(joined);
            self.open_where(|spot| matches!(spot.state.kind, StateKind::Task(_)));
        }
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
        for spot in &self.spots {
            if let Some(effect) = self.effect(*spot) {
                look(spot.machine, spot.state, effect);
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
                    if self.replaces_input(&here) {
                        break;
                    }
                }
            }
        }
        route.reverse();
        route.join(" -> ")
    }

    /// Whether what a state gives on holds nothing of what came in: nothing before it matters then.
    fn replaces_input(&self, place: &Place) -> bool {
        let whole = ResultPath::Fields(Vec::new());
        let machine = self.machines.iter().find(|machine| machine.name == place.0);
        machine.and_then(|machine| machine.state(&place.1)).is_some_and(|state| match &state.kind {
            StateKind::Task(task) => task.result_path == whole,
            StateKind::Map(map) => map.result_path == whole,
            StateKind::Pass(pass) => pass.result_path == whole,
            StateKind::Choice(_) | StateKind::Wait(_) | StateKind::Succeed | StateKind::Fail(_) => false,
        })
    }
}

/// Every state of a machine, those inside of Maps after the ones outside.
fn spots(machine: &Machine) -> Vec<Spot<'_>> {
    let mut graphs = vec![(&machine.graph, None)];
    let mut all = Vec::new();
    let mut next = 0;
    while let Some((graph, map)) = graphs.get(next).copied() {
        for state in &graph.states {
            all.push(Spot { machine, map, state });
            if let StateKind::Map(inner) = &state.kind {
                graphs.push((&inner.processor, Some(state.name.as_str())));
            }
        }
        next += 1;
    }
    all
}

fn is_same(one: &Machine, two: &Machine) -> bool {
    one.name == two.name
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
