//! The service's face: what an AWS SDK would call, and what moves virtual time.

use super::core::{Core, Happened};
use super::execution::{Execution, ExecutionDescription, Status};
use super::fault::{AttemptFault, AttemptFaults, FaultHook};
use super::queue::{Event, Order, Queue};
use super::runner::TaskRunner;
use super::transition::Transition;
use crate::error::{ApiError, FunctionError};
use crate::machine::Machine;
use crate::names::{machine_arn, machine_name};
use crate::{Bill, HistoryEvent, VirtualClock};
use jiff::Timestamp;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Observer = Arc<dyn Fn(&Transition) + Send + Sync>;

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An execution moved.
    Progress {
        /// Virtual time.
        at: Timestamp,
        /// The execution's ARN.
        execution: String,
        /// State the event was for; empty when the execution as a whole timed out.
        state: String,
        /// Function that was called in this step.
        function: Option<String>,
    },
    /// An invocation planned by [`StepFunctions::schedule_invocation`] ran.
    Invoked {
        /// Virtual time.
        at: Timestamp,
        /// Function.
        function: String,
        /// Its answer.
        outcome: Result<Value, FunctionError>,
    },
    /// Nothing is planned.
    Idle,
}

/// The local Step Functions; clones are handles on the same service.
///
/// Every method may be called at any time, also by a task while it runs: the lock is never held while a task
/// or the observer runs.
#[derive(Clone)]
pub struct StepFunctions {
    core: Arc<Mutex<Core>>,
    observer: Arc<Mutex<Option<Observer>>>,
    clock: VirtualClock,
}

impl fmt::Debug for StepFunctions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StepFunctions").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl StepFunctions {
    /// A service without machines at virtual time `start`. The seed decides the order of what happens at the
    /// same time, the jitter of retries, execution names and task tokens.
    pub fn new(seed: u64, start: Timestamp) -> Self {
        Self::with_order(seed, start, Order::Seeded)
    }

    /// As [`Self::new`], with the order of same-time events chosen.
    pub fn with_order(seed: u64, start: Timestamp, order: Order) -> Self {
        let clock = VirtualClock::new(start);
        let core = Core {
            clock: clock.clone(),
            random: ChaCha8Rng::seed_from_u64(seed),
            order,
            machines: BTreeMap::new(),
            executions: BTreeMap::new(),
            started: Vec::new(),
            branches: BTreeMap::new(),
            tokens: BTreeMap::new(),
            queue: Queue::default(),
            untold: Vec::new(),
            numbers: 0,
            plain_invocations: 0,
            faults: FaultHook::default(),
        };
        Self { core: Arc::new(Mutex::new(core)), observer: Arc::default(), clock }
    }

    /// Another service that stands where this one does, with a clock of its own, and goes on by itself. It has neither this
    /// one's observer nor its faults.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner).clone();
        core.clock = VirtualClock::new(core.clock.now());
        core.faults = FaultHook::default();
        let clock = core.clock.clone();
        Self { core: Arc::new(Mutex::new(core)), observer: Arc::default(), clock }
    }

    /// Does something under the lock, then tells the observer without it.
    fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let (done, untold) = {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let done = act(&mut core);
            (done, std::mem::take(&mut core.untold))
        };
        if !untold.is_empty() {
            let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(observer) = observer {
                for transition in &untold {
                    observer(transition);
                }
            }
        }
        done
    }

    /// Adds a machine; gives its ARN. Every transition must lead to a state of the same graph.
    pub fn create_state_machine(&self, machine: Machine) -> Result<String, ApiError> {
        let mut dangling = Vec::new();
        for graph in machine.graphs() {
            if graph.state(&graph.start_at).is_none() {
                dangling.push(format!("StartAt {}", graph.start_at));
            }
            for edge in graph.states.iter().flat_map(|state| state.edges()) {
                if graph.state(&edge.to).is_none() {
                    dangling.push(format!("{} -> {}", edge.from, edge.to));
                }
            }
        }
        if !dangling.is_empty() {
            return Err(ApiError::InvalidDefinition(format!("{}: {}", machine.name, dangling.join(", "))));
        }
        self.with(|core| {
            if core.machines.contains_key(&machine.name) {
                return Err(ApiError::StateMachineAlreadyExists(machine.name));
            }
            let arn = machine_arn(&machine.name);
            core.machines.insert(machine.name.clone(), Arc::new(machine));
            Ok(arn)
        })
    }

    /// The clock that this service moves, to be read by the world around it.
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// Virtual time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells each transition to `observer`, in order, right after it happened.
    pub fn set_observer(&self, observer: Arc<dyn Fn(&Transition) + Send + Sync>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Asks `faults` before each attempt at a state what goes wrong with it. It runs under the service's lock: it must
    /// not call the service.
    pub fn set_faults(&self, faults: AttemptFaults) {
        self.with(|core| core.faults = FaultHook(Some(faults)));
    }

    /// StartExecution: `machine` is a name or an ARN; without a name the execution gets a random one. Gives
    /// the execution's ARN; the same name and input as a running execution give that execution.
    pub fn start_execution(
        &self,
        machine: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<String, ApiError> {
        self.with(|core| core.start(machine, name, input, None))
    }

    /// StopExecution. Nested executions it waits for are stopped too; one that has ended stays as it is.
    pub fn stop_execution(&self, arn: &str, error: &str, cause: &str) -> Result<(), ApiError> {
        self.with(|core| {
            if !core.executions.contains_key(arn) {
                return Err(ApiError::ExecutionDoesNotExist(arn.to_owned()));
            }
            core.abort_execution(arn, error, cause);
            Ok(())
        })
    }

    /// RedriveExecution: one that ended badly goes on from the state in which it did.
    pub fn redrive_execution(&self, arn: &str) -> Result<(), ApiError> {
        self.with(|core| core.redrive(arn))
    }

    /// DescribeExecution.
    pub fn describe_execution(&self, arn: &str) -> Option<ExecutionDescription> {
        self.with(|core| core.executions.get(arn).map(Execution::describe))
    }

    /// All executions, in the order of their start.
    pub fn list_executions(&self) -> Vec<ExecutionDescription> {
        self.with(|core| {
            core.started.iter().filter_map(|arn| core.executions.get(arn)).map(Execution::describe).collect()
        })
    }

    /// Whether any execution is running.
    pub fn is_busy(&self) -> bool {
        self.with(|core| core.executions.values().any(|execution| execution.status == Status::Running))
    }

    /// SendTaskSuccess: `output` becomes the result of the waiting state.
    pub fn send_task_success(&self, token: &str, output: Value) -> Result<(), ApiError> {
        self.with(|core| core.send_success(token, output))
    }

    /// SendTaskFailure: the waiting state fails with this error.
    pub fn send_task_failure(&self, token: &str, error: &str, cause: &str) -> Result<(), ApiError> {
        self.with(|core| core.send_failure(token, error, cause))
    }

    /// SendTaskHeartbeat: the waiting state's `HeartbeatSeconds` start again.
    pub fn send_task_heartbeat(&self, token: &str) -> Result<(), ApiError> {
        self.with(|core| core.send_heartbeat(token))
    }

    /// GetExecutionHistory, all of it; empty for an unknown execution.
    pub fn history(&self, arn: &str) -> Vec<HistoryEvent> {
        self.with(|core| {
            core.executions.get(arn).map(|execution| execution.history.clone()).unwrap_or_default()
        })
    }

    /// What an execution (by ARN), or all executions of a machine (by name or ARN), would be billed.
    pub fn bill(&self, arn_or_machine: &str) -> Bill {
        self.with(|core| {
            if let Some(execution) = core.executions.get(arn_or_machine) {
                return execution.bill;
            }
            let machine = machine_name(arn_or_machine);
            let mut bill = Bill::default();
            for execution in core.executions.values().filter(|execution| execution.machine.name == machine) {
                bill.add(&execution.bill);
            }
            bill
        })
    }

    /// What everything would be billed, invocations outside of executions included.
    pub fn bill_of_all(&self) -> Bill {
        self.with(|core| {
            let mut bill = Bill { lambda_invocations: core.plain_invocations, ..Bill::default() };
            core.executions.values().for_each(|execution| bill.add(&execution.bill));
            bill
        })
    }

    /// Plans a Lambda call outside of any execution, as an EventBridge schedule does; a time in the past is
    /// now.
    pub fn schedule_invocation(&self, at: Timestamp, function: &str, payload: Value) {
        let event = Event::Plain { function: function.to_owned(), payload };
        self.with(|core| core.plan(at.max(core.now()), event));
    }

    /// When the next event is due; never before [`Self::now`].
    pub fn next_event_at(&self) -> Option<Timestamp> {
        self.with(Core::next_event_at)
    }

    /// Pops the earliest event, moves the clock to it, and runs the Lambda function it leads to, if any.
    ///
    /// A future dropped while the function runs is a function that never answers: the state's time-out ends
    /// it.
    pub async fn step(&self, runner: &dyn TaskRunner) -> Step {
        match self.with(Core::step) {
            Happened::Idle => Step::Idle,
            Happened::Plain(invocation) => {
                let (at, function) = (invocation.at, invocation.function.clone());
                let outcome = runner.invoke(invocation).await.outcome;
                Step::Invoked { at, function, outcome }
            }
            Happened::Progress { at, execution, state, call } => {
                let function = call.as_ref().map(|(_, invocation)| invocation.function.clone());
                if let Some((visit, invocation)) = call {
                    let fault = self.with(|core| core.fault_of(visit).cloned());
                    if fault == Some(AttemptFault::ActTwice) {
                        runner.invoke(invocation.clone()).await;
                    }
                    let reply = runner.invoke(invocation).await;
                    let landing = at.saturating_add(reply.took).unwrap_or(Timestamp::MAX);
                    if fault != Some(AttemptFault::TimeOut) {
                        self.with(|core| core.plan(landing, Event::Reply(visit, Box::new(reply))));
                    }
                }
                Step::Progress { at, execution, state, function }
            }
        }
    }

    /// Runs every event due up to `at`, then sets the clock to `at`.
    pub async fn run_until(&self, at: Timestamp, runner: &dyn TaskRunner) {
        while self.next_event_at().is_some_and(|due| due <= at) {
            self.step(runner).await;
        }
        self.clock.advance_to(at);
    }

    /// Runs until nothing is planned: every execution has ended, or waits for a token without a time-out.
    pub async fn run_until_idle(&self, runner: &dyn TaskRunner) {
        while self.step(runner).await != Step::Idle {}
    }
}
