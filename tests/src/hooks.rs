//! Fault hooks that several tests use.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use guard_asl::StateKind;
use guard_simulation::{Fault, FaultHook, MachineError, Occasion, What, machines};

/// At the first attempt at each of some states, a machine and a state, this goes wrong.
pub fn once_at(places: &[(&str, &str)], fault: Fault) -> impl FaultHook + use<> {
    let places = places.iter().map(|(machine, state)| ((*machine).to_owned(), (*state).to_owned()));
    let waiting: Mutex<BTreeSet<(String, String)>> = Mutex::new(places.collect());
    move |occasion: &Occasion| {
        let (What::State, Some(machine), Some(state)) = (&occasion.what, &occasion.machine, &occasion.state)
        else {
            return None;
        };
        let place = (machine.clone(), state.clone());
        let is_first = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        is_first.then(|| fault.clone())
    }
}

/// Machine and state of every Task of every machine: function calls, tokens and nested executions.
pub fn task_states() -> Result<Vec<(String, String)>, MachineError> {
    states(|kind| matches!(kind, StateKind::Task(_)))
}

/// Machine and state of every Map of every machine.
pub fn map_states() -> Result<Vec<(String, String)>, MachineError> {
    states(|kind| matches!(kind, StateKind::Map(_)))
}

fn states(is_wanted: impl Fn(&StateKind) -> bool) -> Result<Vec<(String, String)>, MachineError> {
    let machines = machines()?;
    let all = machines.iter().flat_map(|machine| machine.states().map(move |state| (machine, state)));
    Ok(all
        .filter(|(_, state)| is_wanted(&state.kind))
        .map(|(machine, state)| (machine.name.clone(), state.name.clone()))
        .collect())
}
