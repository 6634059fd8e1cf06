//! Executions: started, stopped, ended.

use super::context::ROLE_ARN;
use super::core::{Activity, Branch, BranchId, Core, Visit};
use super::data::size;
use super::flow::Called;
use super::queue::Event;
use super::transition::{Transition, TransitionKind};
use crate::error::{ApiError, Failure};
use crate::machine::{Machine, State};
use crate::names::{execution_arn, is_execution_name, machine_arn, machine_name, random_name};
use crate::{Bill, HistoryEvent, MAX_STATE_BYTES};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `RUNNING`.
    Running,
    /// `SUCCEEDED`.
    Succeeded,
    /// `FAILED`.
    Failed,
    /// `TIMED_OUT`: the machine's own `TimeoutSeconds` passed.
    TimedOut,
    /// `ABORTED`: stopped by StopExecution, its own or an outer execution's.
    Aborted,
}

impl Status {
    /// The service's spelling: `RUNNING`, `TIMED_OUT`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// What DescribeExecution says.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionDescription {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The machine's name.
    pub machine: String,
    /// How it stands.
    pub status: Status,
    /// When it started.
    pub start: Timestamp,
    /// When it ended.
    pub stop: Option<Timestamp>,
    /// What it was given.
    pub input: Value,
    /// What it gave, when it succeeded.
    pub output: Option<Value>,
    /// The error's name, when it did not.
    pub error: Option<String>,
    /// The error in words.
    pub cause: Option<String>,
    /// ARN of the execution that started it by `startExecution.sync:2`.
    pub parent: Option<String>,
}

#[derive(Clone)]
pub(super) struct Execution {
    pub(super) name: String,
    pub(super) machine: Arc<Machine>,
    pub(super) status: Status,
    pub(super) start: Timestamp,
    pub(super) stop: Option<Timestamp>,
    pub(super) input: Value,
    pub(super) output: Option<Value>,
    pub(super) failure: Option<Failure>,
    pub(super) parent: Option<String>,
    pub(super) root: BranchId,
    pub(super) history: Vec<HistoryEvent>,
    pub(super) bill: Bill,
    /// Task states of other executions that wait for its end.
    pub(super) watchers: Vec<Visit>,
    /// The history has room for its last event only.
    pub(super) is_full: bool,
    /// Where it ended badly: the state and its input.
    pub(super) stuck: Option<(Arc<State>, Value)>,
    pub(super) redrives: u64,
}

impl Execution {
    pub(super) fn describe(&self) -> ExecutionDescription {
        let text = |text: fn(&Failure) -> &String| {
            self.failure.as_ref().map(text).filter(|text| !text.is_empty()).cloned()
        };
        ExecutionDescription {
            arn: execution_arn(&self.machine.name, &self.name),
            name: self.name.clone(),
            machine: self.machine.name.clone(),
            status: self.status,
            start: self.start,
            stop: self.stop,
            input: self.input.clone(),
            output: self.output.clone(),
            error: text(|failure| &failure.error),
            cause: text(|failure| &failure.cause),
            parent: self.parent.clone(),
        }
    }

    /// What `startExecution.sync:2` gives to the parent: the description, or `States.TaskFailed` with the
    /// description as its cause, whatever the child's own error was.
    pub(super) fn sync_result(&self) -> Result<Value, Failure> {
        let mut description = json!({
            "ExecutionArn": execution_arn(&self.machine.name, &self.name),
            "Input": self.input,
            "InputDetails": {"Included": true},
            "Name": self.name,
            "StartDate": self.start.as_millisecond(),
            "StateMachineArn": machine_arn(&self.machine.name),
            "Status": self.status.as_str(),
            "StopDate": self.stop.map(Timestamp::as_millisecond),
        });
        if let Some(fields) = description.as_object_mut() {
            if let Some(output) = &self.output {
                fields.insert("Output".to_owned(), output.clone());
                fields.insert("OutputDetails".to_owned(), json!({"Included": true}));
            }
            if let Some(failure) = &self.failure {
                fields.insert("Error".to_owned(), failure.error.clone().into());
                fields.insert("Cause".to_owned(), failure.cause.clone().into());
            }
        }
        match self.status {
            Status::Succeeded => Ok(description),
            Status::Running | Status::Failed | Status::TimedOut | Status::Aborted => {
                Err(Failure::new("States.TaskFailed", description.to_string()))
            }
        }
    }
}

impl Core {
    pub(super) fn machine_of(&self, id: BranchId) -> Option<Arc<Machine>> {
        let execution = self.executions.get(&self.branches.get(&id)?.execution)?;
        Some(Arc::clone(&execution.machine))
    }

    /// StartExecution. The same name with the same input gives the running execution again.
    pub(super) fn start(
        &mut self,
        machine: &str,
        name: Option<&str>,
        input: Value,
        parent: Option<String>,
    ) -> Result<String, ApiError> {
        let machine = self
            .machines
            .get(machine_name(machine))
            .cloned()
            .ok_or_else(|| ApiError::StateMachineDoesNotExist(machine.to_owned()))?;
        let name = name.map_or_else(|| random_name(&mut self.random), str::to_owned);
        if !is_execution_name(&name) {
            return Err(ApiError::InvalidName(name));
        }
        let bytes = size(&input);
        if bytes > MAX_STATE_BYTES {
            return Err(ApiError::InvalidExecutionInput(bytes));
        }
        let arn = execution_arn(&machine.name, &name);
        if let Some(known) = self.executions.get(&arn) {
            return if known.status == Status::Running && known.input == input {
                Ok(arn)
            } else {
                Err(ApiError::ExecutionAlreadyExists(arn))
            };
        }
        let Some(first) = machine.state(&machine.graph.start_at).cloned() else {
            return Err(ApiError::InvalidDefinition(format!("{}: StartAt", machine.name)));
        };
        let (root, visit, now) = (self.number(), self.number(), self.now());
        let execution = Execution {
            name,
            machine,
            status: Status::Running,
            start: now,
            stop: None,
            input: input.clone(),
            output: None,
            failure: None,
            parent,
            root,
            history: Vec::new(),
            bill: Bill { peak_state_bytes: bytes, ..Bill::default() },
            watchers: Vec::new(),
            is_full: false,
            stuck: None,
            redrives: 0,
        };
        self.executions.insert(arn.clone(), execution);
        self.started.push(arn.clone());
        let details = json!({"input": input, "roleArn": ROLE_ARN});
        let last_event = self.record(&arn, 0, "ExecutionStarted", details);
        self.tell_execution(&arn, TransitionKind::Started);
        self.enter_root(&arn, Visit { branch: root, number: visit }, first, input, last_event);
        Ok(arn)
    }

    /// The execution's own branch arrives at a state, and its time begins.
    fn enter_root(&mut self, arn: &str, visit: Visit, state: Arc<State>, input: Value, last_event: u64) {
        let now = self.now();
        self.branches.insert(
            visit.branch,
            Branch {
                execution: arn.to_owned(),
                parent: None,
                item: None,
                state,
                input,
                entered_at: now,
                retries: Vec::new(),
                visit: visit.number,
                activity: Activity::Arriving,
                last_event,
            },
        );
        let timeout = self.executions.get(arn).and_then(|execution| execution.machine.timeout_seconds);
        if let Some(number) = timeout {
            self.plan_after(super::call::seconds(number), Event::ExecutionTimedOut(arn.to_owned()));
        }
        self.plan(now, Event::Enter(visit));
    }

    /// RedriveExecution: an execution that ended badly enters the state in which it did once more, with the same input. A
    /// Map begins anew, with all of its iterations.
    pub(super) fn redrive(&mut self, arn: &str) -> Result<(), ApiError> {
        let (root, visit) = (self.number(), self.number());
        let known = self.executions.get_mut(arn);
        let execution = known.ok_or_else(|| ApiError::ExecutionDoesNotExist(arn.to_owned()))?;
        let is_over = match execution.status {
            Status::Running | Status::Succeeded => false,
            Status::Failed | Status::TimedOut | Status::Aborted => true,
        };
        let (true, Some((state, input))) = (is_over && !execution.is_full, execution.stuck.take()) else {
            return Err(ApiError::ExecutionNotRedrivable(arn.to_owned()));
        };
        execution.status = Status::Running;
        (execution.stop, execution.failure) = (None, None);
        execution.root = root;
        execution.redrives += 1;
        let details = json!({"redriveCount": execution.redrives});
        let last_event = self.record(arn, 0, "ExecutionRedriven", details);
        self.tell_execution(arn, TransitionKind::Started);
        self.enter_root(arn, Visit { branch: root, number: visit }, state, input, last_event);
        Ok(())
    }

    pub(super) fn branch_succeeded(&mut self, id: BranchId, output: Value) -> Called {
        let branch = self.branches.get(&id)?;
        if let Some((map, index)) = branch.parent {
            return self.iteration_succeeded(id, map, index, output);
        }
        let (arn, last_event) = (branch.execution.clone(), branch.last_event);
        self.branches.remove(&id);
        let details = json!({"output": output});
        if let Some(execution) = self.executions.get_mut(&arn) {
            execution.output = Some(output);
        }
        self.end(&arn, last_event, Status::Succeeded, "ExecutionSucceeded", details);
        None
    }

    pub(super) fn fail_execution(&mut self, arn: &str, last_event: u64, failure: Failure) {
        self.end_badly(arn, Some(last_event), Status::Failed, "ExecutionFailed", failure);
    }

    pub(super) fn time_out_execution(&mut self, arn: &str) {
        let failure = Failure::new("States.Timeout", "");
        self.end_badly(arn, None, Status::TimedOut, "ExecutionTimedOut", failure);
    }

    /// StopExecution, for a running execution; its nested executions are stopped with it.
    pub(super) fn abort_execution(&mut self, arn: &str, error: &str, cause: &str) {
        self.end_badly(arn, None, Status::Aborted, "ExecutionAborted", Failure::new(error, cause));
    }

    /// Ends an execution whose history is full; says whether it did.
    pub(super) fn end_if_full(&mut self, arn: &str) -> bool {
        let is_full = self
            .executions
            .get(arn)
            .is_some_and(|execution| execution.is_full && execution.status == Status::Running);
        if is_full {
            let cause = "The execution reached the maximum number of history events (25000).";
            self.end_badly(arn, None, Status::Failed, "ExecutionFailed", Failure::runtime(cause));
        }
        is_full
    }

    fn end_badly(
        &mut self,
        arn: &str,
        last_event: Option<u64>,
        status: Status,
        kind: &str,
        failure: Failure,
    ) {
        let Some(execution) = self.executions.get_mut(arn) else { return };
        if execution.status != Status::Running {
            return;
        }
        let details = json!({"error": failure.error, "cause": failure.cause});
        execution.failure = Some(failure);
        // Set before the branches are aborted: a machine that nests itself must not come back here.
        execution.status = status;
        let root = execution.root;
        execution.stuck =
            self.branches.get(&root).map(|branch| (Arc::clone(&branch.state), branch.input.clone()));
        let aborted = self.abort_branch(root);
        let last_event = last_event.or(aborted).unwrap_or_default();
        self.end(arn, last_event, status, kind, details);
    }

    fn end(&mut self, arn: &str, last_event: u64, status: Status, kind: &str, details: Value) {
        self.record(arn, last_event, kind, details);
        let now = self.now();
        let Some(execution) = self.executions.get_mut(arn) else { return };
        execution.status = status;
        execution.stop = Some(now);
        for watcher in std::mem::take(&mut execution.watchers) {
            self.plan(now, Event::ChildEnded(watcher, arn.to_owned()));
        }
        self.tell_execution(arn, TransitionKind::Ended);
    }

    /// Ends a branch where it stands, with its iterations and nested executions; gives its last event.
    pub(super) fn abort_branch(&mut self, id: BranchId) -> Option<u64> {
        self.stop_child_of(id);
        let branch = self.branches.get_mut(&id)?;
        if let Activity::Mapping(fan) = &mut branch.activity {
            for iteration in std::mem::take(&mut fan.running).into_keys() {
                self.abort_branch(iteration);
            }
        }
        let branch = self.branches.get(&id)?;
        let state = Arc::clone(&branch.state);
        let parent = branch.parent;
        if !matches!(branch.activity, Activity::Arriving) {
            let kind = format!("{}StateAborted", state.type_name());
            self.record_on(id, &kind, json!({"name": state.name}));
        }
        if let Some((map, index)) = parent
            && let Some(map) = self.branches.get(&map)
        {
            let details = json!({"name": map.state.name, "index": index});
            self.record_on(id, "MapIterationAborted", details);
        }
        self.branches.remove(&id).map(|branch| branch.last_event)
    }

    fn tell_execution(&mut self, arn: &str, kind: TransitionKind) {
        let Some(execution) = self.executions.get(arn) else { return };
        self.untold.push(Transition {
            at: self.clock.now(),
            machine: execution.machine.name.clone(),
            execution: execution.name.clone(),
            execution_arn: arn.to_owned(),
            state: None,
            item: None,
            kind,
            status: execution.status,
        });
    }
}
