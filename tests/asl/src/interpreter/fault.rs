//! Fault injection: what a test makes go wrong at one attempt at one state.

use super::core::{Activity, BranchId, Core, Visit};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// An attempt at a state, about to begin; a retry is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Machine's name.
    pub machine: String,
    /// Execution's name.
    pub execution: String,
    /// Execution's ARN.
    pub execution_arn: String,
    /// The state.
    pub state: String,
    /// `$$.State.RetryCount`: 0 for the first.
    pub number: u32,
    /// Virtual time.
    pub at: Timestamp,
}

/// What goes wrong with it. Of these, states that call nobody know `Fail` and `Stop` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptFault {
    /// The state fails with this error before it acts.
    Fail(String),
    /// It acts, its result is lost, and it fails with this error.
    LoseResult(String),
    /// It acts twice; the second result counts.
    ActTwice,
    /// It acts, and nothing comes back before its time-out.
    TimeOut,
    /// The execution is stopped before the state acts, as StopExecution does.
    Stop,
}

/// Decides for each attempt. It runs under the service's lock and must not call the service.
pub type AttemptFaults = Arc<dyn Fn(&Attempt) -> Option<AttemptFault> + Send + Sync>;

/// A hook that prints as its presence.
#[derive(Clone, Default)]
pub(super) struct FaultHook(pub(super) Option<AttemptFaults>);

impl fmt::Debug for FaultHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FaultHook").field(&self.0.is_some()).finish()
    }
}

impl Core {
    /// What the hook makes of the attempt that this branch begins.
    pub(super) fn fault_at(&self, id: BranchId) -> Option<AttemptFault> {
        let faults = self.faults.0.as_ref()?;
        let branch = self.branches.get(&id)?;
        let execution = self.executions.get(&branch.execution)?;
        faults(&Attempt {
            machine: execution.machine.name.clone(),
            execution: execution.name.clone(),
            execution_arn: branch.execution.clone(),
            state: branch.state.name.clone(),
            number: branch.retry_count(),
            at: self.now(),
        })
    }

    /// The fault of a call that is under way.
    pub(super) fn fault_of(&self, visit: Visit) -> Option<&AttemptFault> {
        match &self.branches.get(&visit.branch).filter(|branch| branch.visit == visit.number)?.activity {
            Activity::Calling(call) => call.fault.as_ref(),
            Activity::Arriving | Activity::Waiting | Activity::Mapping(_) => None,
        }
    }
}
