//! Map: the same states for each item, in the same execution.

use super::core::{Activity, Branch, BranchId, Core, Visit};
use super::data::Sources;
use super::flow::Called;
use super::queue::Event;
use crate::MAX_MAP_CONCURRENCY;
use crate::error::Failure;
use crate::machine::{MapState, StateKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The iterations of one Map state.
#[derive(Debug, Clone)]
pub(super) struct Fan {
    /// Each iteration's item (`$$.Map.Item.Value`) and input.
    inputs: Vec<(Value, Value)>,
    results: Vec<Option<Value>>,
    /// Index of the first iteration that has not started.
    next: usize,
    /// Iterations under way.
    pub(super) running: BTreeMap<BranchId, usize>,
    limit: usize,
    /// The `MapStateStarted` event, which led to every iteration.
    started: u64,
}

impl Core {
    pub(super) fn begin_map(
        &mut self,
        id: BranchId,
        map: &MapState,
        input: &Value,
        sources: &Sources<'_>,
    ) -> Called {
        let limit = match sources.quantity("MaxConcurrencyPath", &map.max_concurrency, input) {
            Ok(0) => MAX_MAP_CONCURRENCY,
            Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_MAP_CONCURRENCY),
            Err(failure) => return self.fail(id, failure),
        };
        let inputs = match iteration_inputs(map, input, sources) {
            Ok(inputs) => inputs,
            Err(failure) => return self.fail(id, failure),
        };
        self.record_on(id, "MapStateStarted", json!({"length": inputs.len()}));
        let started = self.branches.get(&id)?.last_event;
        let results = vec![None; inputs.len()];
        let fan = Fan { inputs, results, next: 0, running: BTreeMap::new(), limit, started };
        self.revisit(id, Activity::Mapping(fan))?;
        self.go_on_mapping(id)
    }

    /// Starts as many iterations as may run, or ends the Map when all are done.
    fn go_on_mapping(&mut self, id: BranchId) -> Called {
        loop {
            let branch = self.branches.get_mut(&id)?;
            let Activity::Mapping(fan) = &mut branch.activity else { return None };
            if fan.next < fan.inputs.len() && fan.running.len() < fan.limit {
                let index = fan.next;
                fan.next += 1;
                let (item, input) = fan.inputs.get(index).cloned()?;
                self.start_iteration(id, index, item, input)?;
            } else if fan.next >= fan.inputs.len() && fan.running.is_empty() {
                let results = std::mem::take(&mut fan.results);
                let result = Value::Array(results.into_iter().map(Option::unwrap_or_default).collect());
                self.record_on(id, "MapStateSucceeded", json!({}));
                return self.complete(id, result);
            } else {
                return None;
            }
        }
    }

    fn start_iteration(&mut self, id: BranchId, index: usize, item: Value, input: Value) -> Option<()> {
        let machine = self.machine_of(id)?;
        let map = self.branches.get(&id)?;
        let StateKind::Map(definition) = &map.state.kind else { return None };
        let Activity::Mapping(fan) = &map.activity else { return None };
        let (execution, name, started) = (map.execution.clone(), map.state.name.clone(), fan.started);
        // Machines with a StartAt that is not there are refused when they are created.
        let state = Arc::clone(machine.state(&definition.processor.start_at)?);
        let details = json!({"name": name, "index": index});
        let last_event = self.record(&execution, started, "MapIterationStarted", details);
        let (branch, visit) = (self.number(), self.number());
        let now = self.now();
        self.branches.insert(
            branch,
            Branch {
                execution,
                parent: Some((id, index)),
                item: Some((index, item)),
                state,
                input,
                entered_at: now,
                retries: Vec::new(),
                visit,
                activity: Activity::Arriving,
                last_event,
            },
        );
        if let Activity::Mapping(fan) = &mut self.branches.get_mut(&id)?.activity {
            fan.running.insert(branch, index);
        }
        self.plan(now, Event::Enter(Visit { branch, number: visit }));
        Some(())
    }

    pub(super) fn iteration_succeeded(
        &mut self,
        id: BranchId,
        map: BranchId,
        index: usize,
        output: Value,
    ) -> Called {
        let name = self.branches.get(&map)?.state.name.clone();
        self.record_on(id, "MapIterationSucceeded", json!({"name": name, "index": index}));
        let last_event = self.branches.remove(&id)?.last_event;
        let branch = self.branches.get_mut(&map)?;
        branch.last_event = last_event;
        if let Activity::Mapping(fan) = &mut branch.activity {
            fan.running.remove(&id);
            if let Some(result) = fan.results.get_mut(index) {
                *result = Some(output);
            }
        }
        self.go_on_mapping(map)
    }

    /// One iteration failed, so the Map fails: its siblings are stopped wherever they are.
    pub(super) fn iteration_failed(
        &mut self,
        id: BranchId,
        map: BranchId,
        index: usize,
        failure: Failure,
    ) -> Called {
        let name = self.branches.get(&map)?.state.name.clone();
        self.record_on(id, "MapIterationFailed", json!({"name": name, "index": index}));
        let last_event = self.branches.remove(&id)?.last_event;
        let branch = self.branches.get_mut(&map)?;
        branch.last_event = last_event;
        let siblings = match &mut branch.activity {
            Activity::Mapping(fan) => {
                fan.running.remove(&id);
                std::mem::take(&mut fan.running)
            }
            Activity::Arriving | Activity::Waiting | Activity::Calling(_) => BTreeMap::new(),
        };
        for sibling in siblings.into_keys() {
            self.abort_branch(sibling);
        }
        self.record_on(map, "MapStateFailed", json!({"error": failure.error, "cause": failure.cause}));
        self.fail(map, failure)
    }
}

fn iteration_inputs(
    map: &MapState,
    input: &Value,
    sources: &Sources<'_>,
) -> Result<Vec<(Value, Value)>, Failure> {
    let items = sources.select("ItemsPath", &map.items_path, input)?;
    let Value::Array(items) = items else {
        let cause =
            format!("State '{}': Reference path '{}' must point to array.", sources.state, map.items_path);
        return Err(Failure::runtime(cause));
    };
    let Some(selector) = &map.item_selector else {
        return Ok(items.iter().map(|item| (item.clone(), item.clone())).collect());
    };
    let mut context = sources.context.clone();
    let mut inputs = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if let Some(context) = context.as_object_mut() {
            context.insert("Map".to_owned(), json!({"Item": {"Index": index, "Value": item}}));
        }
        let sources = Sources { state: sources.state, context: &context };
        let filled = sources.fill("ItemSelector", selector, input)?;
        sources.weigh("iteration input", &filled)?;
        inputs.push((item.clone(), filled));
    }
    Ok(inputs)
}
