//! From JSON to [`Machine`]: whatever the interpreter does not run is refused here, by machine, state and
//! field.

mod choice;
mod fields;
mod json;
mod recovery;
mod state;
mod task;

use crate::error::ParseError;
use crate::machine::{Graph, Machine, State, StateKind};
use fields::{Fields, Place};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use recovery::retry_policy;

impl Machine {
    /// Reads a definition. Dangling transitions are left to the lint and to
    /// [`crate::StepFunctions::create_state_machine`], so that one look tells them all.
    pub fn parse(name: &str, json: &str) -> Result<Self, ParseError> {
        let place = Place { machine: name.to_owned(), state: None };
        let document = json::read(json).map_err(|why| place.refuse("definition", why))?;
        let mut fields = Fields::of(&place, "", document)?;
        let comment = fields.text("Comment")?;
        if let Some(version) = fields.text("Version")?
            && version != "1.0"
        {
            return Err(fields.refuse("Version", "only 1.0 exists"));
        }
        if let Some(language) = fields.text("QueryLanguage")?
            && language != "JSONPath"
        {
            return Err(fields.refuse("QueryLanguage", "only JSONPath is in the subset"));
        }
        let timeout_seconds = fields.whole("TimeoutSeconds")?;
        if timeout_seconds == Some(0) {
            return Err(fields.refuse("TimeoutSeconds", "must be positive"));
        }
        let graph = graph(&mut fields)?;
        fields.finish()?;
        let mut index = BTreeMap::new();
        index_states(&place, &graph, &mut index)?;
        Ok(Self { name: name.to_owned(), comment, timeout_seconds, graph, index })
    }
}

/// `StartAt` and `States`, of a machine or of a Map's `ItemProcessor`.
fn graph(fields: &mut Fields) -> Result<Graph, ParseError> {
    let start_at = fields.required_text("StartAt")?;
    let states = fields.required("States")?;
    let Value::Object(states) = states else { return Err(fields.refuse("States", "must be an object")) };
    if states.is_empty() {
        return Err(fields.refuse("States", "must not be empty"));
    }
    let states = states
        .into_iter()
        .map(|(name, value)| state::state(&fields.place.machine, &name, value).map(Arc::new))
        .collect::<Result<_, _>>()?;
    Ok(Graph { start_at, states })
}

fn index_states(
    place: &Place,
    graph: &Graph,
    index: &mut BTreeMap<String, Arc<State>>,
) -> Result<(), ParseError> {
    for state in &graph.states {
        if index.insert(state.name.clone(), Arc::clone(state)).is_some() {
            let place = Place { machine: place.machine.clone(), state: Some(state.name.clone()) };
            return Err(place.refuse("States", "state names are unique in the whole machine"));
        }
        if let StateKind::Map(map) = &state.kind {
            index_states(place, &map.processor, index)?;
        }
    }
    Ok(())
}
