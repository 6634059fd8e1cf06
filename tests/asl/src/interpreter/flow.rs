//! Entering, running and leaving states.

use super::call::seconds;
use super::core::{Activity, BranchId, Core, Visit};
use super::data::Sources;
use super::fault::AttemptFault;
use super::queue::Event;
use super::runner::Invocation;
use super::transition::TransitionKind;
use crate::choice::timestamp;
use crate::error::Failure;
use crate::machine::{
    After, Choice, Edge, EdgeKind, Fail, Pass, ResultPath, State, StateKind, Wait, WaitSpan,
};
use crate::template::Template;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// A Lambda call that the event led to; the caller runs it without the lock.
pub(super) type Called = Option<(Visit, Invocation)>;

impl Core {
    pub(super) fn enter(&mut self, id: BranchId) -> Called {
        let now = self.now();
        let branch = self.branches.get_mut(&id)?;
        branch.entered_at = now;
        branch.retries = vec![0; branch.state.retry().len()];
        let kind = format!("{}StateEntered", branch.state.type_name());
        let details = json!({"name": branch.state.name, "input": branch.input});
        self.record_on(id, &kind, details);
        self.bill_transition(id);
        self.tell(id, TransitionKind::Entered);
        self.attempt(id)
    }

    /// Runs the state once; a retry comes here again.
    pub(super) fn attempt(&mut self, id: BranchId) -> Called {
        let branch = self.branches.get(&id)?;
        let state = Arc::clone(&branch.state);
        let raw = branch.input.clone();
        let context = self.context(branch, None);
        let sources = Sources { state: &state.name, context: &context };
        let input = match sources.filter("InputPath", &state.input_path, raw) {
            Ok(input) => input,
            Err(failure) => return self.fail(id, failure),
        };
        let fault = self.fault_at(id);
        match (&fault, &state.kind) {
            (Some(AttemptFault::Stop), _) => {
                let arn = self.branches.get(&id)?.execution.clone();
                self.abort_execution(&arn, "Stopped", "stopped by a test");
                return None;
            }
            // A Task tells its failure in its own events.
            (Some(AttemptFault::Fail(error)), kind) if !matches!(kind, StateKind::Task(_)) => {
                return self.fail(id, Failure::new(error.clone(), "injected"));
            }
            _ => {}
        }
        match &state.kind {
            StateKind::Task(task) => self.begin_call(id, task, &input, fault),
            StateKind::Map(map) => self.begin_map(id, map, &input, &sources),
            StateKind::Choice(choice) => self.choose(id, choice, input, &sources),
            StateKind::Wait(wait) => self.begin_wait(id, wait, &input, &sources),
            StateKind::Pass(pass) => match passed(pass, input, &sources) {
                Ok(result) => self.complete(id, result),
                Err(failure) => self.fail(id, failure),
            },
            StateKind::Succeed => self.leave(id, input, None),
            StateKind::Fail(fail) => {
                let failure = told_failure(fail, &input, &sources).unwrap_or_else(|failure| failure);
                self.fail(id, failure)
            }
        }
    }

    fn choose(&mut self, id: BranchId, choice: &Choice, input: Value, sources: &Sources<'_>) -> Called {
        for (index, rule) in choice.rules.iter().enumerate() {
            match rule.condition.holds(&input, sources.context) {
                Ok(true) => return self.leave(id, input, Some((&rule.next, EdgeKind::Rule(index)))),
                Ok(false) => {}
                Err(path) => {
                    let cause = format!(
                        "An error occurred while executing the state '{}'. Invalid path '{path}': The choice \
                         state's condition path references an invalid value.",
                        sources.state
                    );
                    return self.fail(id, Failure::runtime(cause));
                }
            }
        }
        match &choice.default {
            Some(next) => self.leave(id, input, Some((next, EdgeKind::Default))),
            None => self.fail(
                id,
                Failure::new("States.NoChoiceMatched", format!("No rule of '{}' holds.", sources.state)),
            ),
        }
    }

    fn begin_wait(&mut self, id: BranchId, wait: &Wait, input: &Value, sources: &Sources<'_>) -> Called {
        let until = match &wait.span {
            WaitSpan::Seconds(quantity) => sources
                .quantity("SecondsPath", quantity, input)
                .map(|number| self.now().saturating_add(seconds(number)).unwrap_or(Timestamp::MAX)),
            WaitSpan::Until(path) => sources.select("TimestampPath", path, input).and_then(|value| {
                value.as_str().and_then(timestamp).ok_or_else(|| {
                    Failure::runtime(format!(
                        "State '{}': TimestampPath '{path}' is no timestamp with T and Z: {value}",
                        sources.state
                    ))
                })
            }),
        };
        match until {
            Ok(until) => {
                let visit = self.revisit(id, Activity::Waiting)?;
                let at = until.max(self.now());
                self.plan(at, Event::WaitOver(visit));
                None
            }
            Err(failure) => self.fail(id, failure),
        }
    }

    pub(super) fn wait_over(&mut self, id: BranchId) -> Called {
        let branch = self.branches.get(&id)?;
        let (state, raw) = (Arc::clone(&branch.state), branch.input.clone());
        let context = self.context(branch, None);
        let sources = Sources { state: &state.name, context: &context };
        match sources.filter("InputPath", &state.input_path, raw) {
            Ok(input) => self.go_on(id, &state, input),
            Err(failure) => self.fail(id, failure),
        }
    }

    /// What a Task, Map or Pass gave goes through ResultSelector and ResultPath into the raw input.
    pub(super) fn complete(&mut self, id: BranchId, result: Value) -> Called {
        let branch = self.branches.get(&id)?;
        let (state, raw) = (Arc::clone(&branch.state), branch.input.clone());
        let context = self.context(branch, None);
        let sources = Sources { state: &state.name, context: &context };
        let (selector, way): (Option<&Template>, &ResultPath) = match &state.kind {
            StateKind::Task(task) => (task.result_selector.as_ref(), &task.result_path),
            StateKind::Map(map) => (map.result_selector.as_ref(), &map.result_path),
            StateKind::Pass(pass) => (None, &pass.result_path),
            StateKind::Choice(_) | StateKind::Wait(_) | StateKind::Succeed | StateKind::Fail(_) => {
                return None;
            }
        };
        let output = sources
            .weigh("result", &result)
            .inspect(|size| self.note_size(id, *size))
            .and_then(|_| match selector {
                Some(selector) => sources.fill("ResultSelector", selector, &result),
                None => Ok(result),
            })
            .and_then(|result| sources.place(way, raw, result));
        match output {
            Ok(output) => self.go_on(id, &state, output),
            Err(failure) => self.fail(id, failure),
        }
    }

    /// Leaves by `Next` or `End`.
    fn go_on(&mut self, id: BranchId, state: &State, output: Value) -> Called {
        let next = match state.after() {
            Some(After::Next(next)) => Some((next.as_str(), EdgeKind::Next)),
            Some(After::End) | None => None,
        };
        self.leave(id, output, next)
    }

    /// OutputPath, then on to the next state, or the end of the branch.
    pub(super) fn leave(&mut self, id: BranchId, output: Value, next: Option<(&str, EdgeKind)>) -> Called {
        let branch = self.branches.get(&id)?;
        let state = Arc::clone(&branch.state);
        let context = self.context(branch, None);
        let sources = Sources { state: &state.name, context: &context };
        let output = sources
            .filter("OutputPath", &state.output_path, output)
            .and_then(|output| sources.weigh("output", &output).map(|size| (output, size)));
        match output {
            Ok((output, size)) => {
                self.note_size(id, size);
                self.exit(id, output, next)
            }
            Err(failure) => self.fail(id, failure),
        }
    }

    /// The state is left: nothing of it can fail any more.
    pub(super) fn exit(&mut self, id: BranchId, output: Value, next: Option<(&str, EdgeKind)>) -> Called {
        let state = Arc::clone(&self.branches.get(&id)?.state);
        let details = json!({"name": state.name, "output": output});
        self.record_on(id, &format!("{}StateExited", state.type_name()), details);
        let edge = next.map(|(to, kind)| Edge { from: state.name.clone(), to: to.to_owned(), kind });
        self.tell(id, TransitionKind::Exited(edge));
        let Some((next, _)) = next else { return self.branch_succeeded(id, output) };
        let machine = self.machine_of(id)?;
        let Some(next) = machine.state(next) else {
            return self.branch_failed(id, Failure::runtime(format!("there is no state '{next}'")));
        };
        let visit = self.revisit(id, Activity::Arriving)?;
        let branch = self.branches.get_mut(&id)?;
        branch.state = Arc::clone(next);
        branch.input = output;
        let now = self.now();
        self.plan(now, Event::Enter(visit));
        None
    }

    pub(super) fn note_size(&mut self, id: BranchId, size: usize) {
        if let Some(branch) = self.branches.get(&id)
            && let Some(execution) = self.executions.get_mut(&branch.execution)
        {
            execution.bill.peak_state_bytes = execution.bill.peak_state_bytes.max(size);
        }
    }
}

fn passed(pass: &Pass, input: Value, sources: &Sources<'_>) -> Result<Value, Failure> {
    match (&pass.result, &pass.parameters) {
        (Some(result), _) => Ok(result.clone()),
        (None, Some(parameters)) => sources.fill("Parameters", parameters, &input),
        (None, None) => Ok(input),
    }
}

/// A Fail state's own error. A path that selects nothing is `States.Runtime` in its place.
fn told_failure(fail: &Fail, input: &Value, sources: &Sources<'_>) -> Result<Failure, Failure> {
    let text = |field, text: &Option<_>| {
        text.as_ref().map_or_else(|| Ok(String::new()), |text| sources.text(field, text, input))
    };
    Ok(Failure::new(text("ErrorPath", &fail.error)?, text("CausePath", &fail.cause)?))
}
