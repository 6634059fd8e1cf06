//! Whether the holder of a lock still lives: asked of Step Functions, never guessed by a timer.

use guard_domain::last_end::{children, quiet_from};
use guard_domain::{Plan, RunId};
use jiff::Timestamp;

use crate::ledger::{Ledger, OutcomeEntry, RollbackEntry};
use crate::{Context, ExecutionReader, Liveness, TaskError};

/// How the run that holds a lock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// This execution of it runs: its root, or one that it started.
    Alive(String),
    /// All of it has ended, but a function that it called may be at work until then.
    FadesUntil(Timestamp),
    /// Nothing of it is left.
    Gone,
}

/// Asks for the root, and once that has ended for everything it may have started.
pub(crate) async fn holder(
    executions: &dyn ExecutionReader,
    root_arn: &str,
    remains: &Remains,
    now: Timestamp,
) -> Result<Holder, TaskError> {
    let mut last: Option<Timestamp> = None;
    let started = remains.plan.as_ref().map(|plan| children(root_arn, plan, remains.rollbacks));
    for arn in std::iter::once(root_arn.to_owned()).chain(started.unwrap_or_default()) {
        match executions.liveness(&arn).await.context("ask for the lock's holder")? {
            Liveness::Running => return Ok(Holder::Alive(arn)),
            Liveness::Ended(at) => last = last.max(Some(at)),
            Liveness::Unknown => {}
        }
    }
    Ok(match last.map(quiet_from) {
        Some(quiet) if now < quiet => Holder::FadesUntil(quiet),
        Some(_) | None => Holder::Gone,
    })
}

/// What a run left in its record.
pub(crate) struct Remains {
    /// Absent where it died before it had planned anything: then it changed nothing.
    pub(crate) plan: Option<Plan>,
    /// Tries of the way back.
    pub(crate) rollbacks: u32,
    /// Its end, if it came to one.
    pub(crate) outcome: Option<OutcomeEntry>,
}

impl Remains {
    pub(crate) async fn read(ledger: &Ledger, run_id: &RunId) -> Result<Self, TaskError> {
        let rollback: Option<RollbackEntry> = ledger.read(run_id, "rollback").await?;
        Ok(Self {
            plan: ledger.read(run_id, "plan").await?,
            rollbacks: rollback.map(|entry| entry.attempt).unwrap_or_default(),
            outcome: ledger.read(run_id, "outcome").await?,
        })
    }

    /// Nothing of it is left to be brought to an end.
    pub(crate) fn is_settled(&self) -> bool {
        self.plan.is_none() || self.outcome.is_some()
    }
}
