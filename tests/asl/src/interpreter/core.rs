//! Everything the service knows, behind one lock.

use super::execution::{Execution, Status};
use super::fan::Fan;
use super::fault::{AttemptFault, FaultHook};
use super::queue::{Event, Order, Queue};
use super::runner::Invocation;
use super::transition::{Transition, TransitionKind};
use crate::clock::VirtualClock;
use crate::machine::{Machine, State};
use crate::{HistoryEvent, MAX_EVENTS};
use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) type BranchId = u64;

/// One attempt at one state by one branch. Numbers are never reused, so an event that outlived its visit (a
/// late reply, the timer of a task that was answered) is recognised and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) branch: BranchId,
    pub(super) number: u64,
}

/// A thread of states: an execution's own, or a Map iteration's.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) execution: String,
    /// The Map's branch and the index of the item; `None` for the execution's own branch.
    pub(super) parent: Option<(BranchId, usize)>,
    /// `$$.Map.Item` of the innermost Map.
    pub(super) item: Option<(usize, Value)>,
    pub(super) state: Arc<State>,
    /// The state's raw input.
    pub(super) input: Value,
    pub(super) entered_at: Timestamp,
    /// Attempts used up, for each entry of `Retry`.
    pub(super) retries: Vec<u64>,
    pub(super) visit: u64,
    pub(super) activity: Activity,
    pub(super) last_event: u64,
}

impl Branch {
    /// `$$.State.RetryCount`.
    pub(super) fn retry_count(&self) -> u32 {
        u32::try_from(self.retries.iter().sum::<u64>()).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Clone)]
pub(super) enum Activity {
    /// The next event enters the state.
    Arriving,
    /// Waits for a Wait state's end, or for a retry.
    Waiting,
    /// A Task waits for its answer.
    Calling(Call),
    /// A Map runs its iterations.
    Mapping(Fan),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    pub(super) token: Option<String>,
    pub(super) child: Option<String>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) beats: u64,
    /// What a test makes go wrong with it.
    pub(super) fault: Option<AttemptFault>,
}

#[derive(Clone)]
pub(super) struct Core {
    pub(super) clock: VirtualClock,
    pub(super) random: ChaCha8Rng,
    pub(super) order: Order,
    pub(super) machines: BTreeMap<String, Arc<Machine>>,
    pub(super) executions: BTreeMap<String, Execution>,
    /// ARNs in the order of their start.
    pub(super) started: Vec<String>,
    pub(super) branches: BTreeMap<BranchId, Branch>,
    pub(super) tokens: BTreeMap<String, Visit>,
    pub(super) queue: Queue,
    /// Told to the observer once the lock is released.
    pub(super) untold: Vec<Transition>,
    pub(super) numbers: u64,
    pub(super) plain_invocations: u64,
    pub(super) faults: FaultHook,
}

/// What one popped event led to.
pub(super) enum Happened {
    Progress { at: Timestamp, execution: String, state: String, call: Option<(Visit, Invocation)> },
    Plain(Invocation),
    Idle,
}

impl Core {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn plan(&mut self, at: Timestamp, event: Event) {
        self.queue.plan(at, event, self.order, &mut self.random);
    }

    pub(super) fn plan_after(&mut self, delay: Duration, event: Event) {
        let at = self.now().saturating_add(delay).unwrap_or(Timestamp::MAX);
        self.plan(at, event);
    }

    /// The branch, if this visit is still the one it is on.
    pub(super) fn visited(&mut self, visit: Visit) -> Option<&mut Branch> {
        self.branches.get_mut(&visit.branch).filter(|branch| branch.visit == visit.number)
    }

    /// Starts a new visit, which makes every event planned for the old one void.
    pub(super) fn revisit(&mut self, id: BranchId, activity: Activity) -> Option<Visit> {
        let number = self.number();
        let branch = self.branches.get_mut(&id)?;
        branch.visit = number;
        branch.activity = activity;
        Some(Visit { branch: id, number })
    }

    fn is_void(&self, event: &Event) -> bool {
        let visit = match event {
            Event::Plain { .. } => return false,
            Event::ExecutionTimedOut(arn) => {
                return self.executions.get(arn).is_none_or(|execution| execution.status != Status::Running);
            }
            Event::Enter(visit)
            | Event::Attempt(visit)
            | Event::Reply(visit, _)
            | Event::WaitOver(visit)
            | Event::TimedOut(visit)
            | Event::ChildEnded(visit, _) => visit,
            Event::HeartbeatMissed(visit, beats) => {
                let branch = self.branches.get(&visit.branch);
                if !matches!(branch.map(|branch| &branch.activity), Some(Activity::Calling(call)) if call.beats == *beats)
                {
                    return true;
                }
                visit
            }
        };
        self.branches.get(&visit.branch).is_none_or(|branch| branch.visit != visit.number)
    }

    /// When the next event is due. Void events are dropped on the way, so that the clock never moves for the
    /// timer of a task that was answered long ago.
    pub(super) fn next_event_at(&mut self) -> Option<Timestamp> {
        while let Some((at, event)) = self.queue.first() {
            if !self.is_void(event) {
                return Some(at);
            }
            self.queue.pop();
        }
        None
    }

    /// Pops the earliest event, moves the clock to it and does what it says.
    pub(super) fn step(&mut self) -> Happened {
        let Some((at, event)) = self.next_event_at().and_then(|_| self.queue.pop()) else {
            return Happened::Idle;
        };
        self.clock.advance_to(at);
        let at = self.now();
        let visit = match &event {
            Event::Plain { function, payload } => {
                self.plain_invocations += 1;
                return Happened::Plain(Invocation {
                    function: function.clone(),
                    payload: payload.clone(),
                    execution_arn: None,
                    state: None,
                    attempt: 0,
                    at,
                });
            }
            Event::ExecutionTimedOut(arn) => {
                let (execution, state) = (arn.clone(), String::new());
                self.time_out_execution(&execution);
                return Happened::Progress { at, execution, state, call: None };
            }
            Event::Enter(visit)
            | Event::Attempt(visit)
            | Event::Reply(visit, _)
            | Event::WaitOver(visit)
            | Event::TimedOut(visit)
            | Event::HeartbeatMissed(visit, _)
            | Event::ChildEnded(visit, _) => *visit,
        };
        let Some((execution, state)) =
            self.visited(visit).map(|branch| (branch.execution.clone(), branch.state.name.clone()))
        else {
            return Happened::Idle;
        };
        let call = match event {
            Event::Enter(visit) => self.enter(visit.branch),
            Event::Attempt(visit) => self.attempt(visit.branch),
            Event::Reply(visit, reply) => self.take_reply(visit, *reply),
            Event::WaitOver(visit) => self.wait_over(visit.branch),
            Event::TimedOut(visit) => self.time_out(visit, "States.Timeout"),
            Event::HeartbeatMissed(visit, _) => self.time_out(visit, "States.HeartbeatTimeout"),
            Event::ChildEnded(visit, child) => self.child_ended(visit, &child),
            Event::ExecutionTimedOut(_) | Event::Plain { .. } => None,
        };
        let call = if self.end_if_full(&execution) { None } else { call };
        if let Some(execution) = self.executions.get_mut(&execution)
            && call.is_some()
        {
            execution.bill.lambda_invocations += 1;
        }
        Happened::Progress { at, execution, state, call }
    }

    /// Adds an event to an execution's history; the last place is kept for the event that ends it.
    pub(super) fn record(&mut self, arn: &str, previous_id: u64, kind: &str, details: Value) -> u64 {
        let at = self.now();
        let Some(execution) = self.executions.get_mut(arn) else { return 0 };
        let is_last = matches!(
            kind,
            "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" | "ExecutionTimedOut"
        );
        if execution.history.len() >= MAX_EVENTS - 1 && !is_last {
            execution.is_full = true;
            return previous_id;
        }
        let id = execution.history.len() as u64 + 1;
        execution.history.push(HistoryEvent { id, previous_id, at, kind: kind.to_owned(), details });
        execution.bill.events += 1;
        id
    }

    /// Adds an event of a branch.
    pub(super) fn record_on(&mut self, id: BranchId, kind: &str, details: Value) {
        let Some(branch) = self.branches.get(&id) else { return };
        let (arn, previous) = (branch.execution.clone(), branch.last_event);
        let event = self.record(&arn, previous, kind, details);
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.last_event = event;
        }
    }

    /// Notes a transition of a branch's state for the observer.
    pub(super) fn tell(&mut self, id: BranchId, kind: TransitionKind) {
        let Some(branch) = self.branches.get(&id) else { return };
        let Some(execution) = self.executions.get(&branch.execution) else { return };
        self.untold.push(Transition {
            at: self.clock.now(),
            machine: execution.machine.name.clone(),
            execution: execution.name.clone(),
            execution_arn: branch.execution.clone(),
            state: Some(branch.state.name.clone()),
            item: branch.item.as_ref().map(|(index, _)| *index),
            kind,
            status: execution.status,
        });
    }

    pub(super) fn bill_transition(&mut self, id: BranchId) {
        if let Some(branch) = self.branches.get(&id)
            && let Some(execution) = self.executions.get_mut(&branch.execution)
        {
            execution.bill.transitions += 1;
        }
    }
}
