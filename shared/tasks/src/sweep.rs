//! `sweep`: bring the runs whose executions ended in the middle to a told end.
//!
//! An execution that is stopped, times out or fails past all its catches leaves clusters in the middle, a merge request
//! that somebody may still merge, and its locks. EventBridge calls this some minutes after an execution ended badly, and
//! a schedule for what was missed. Whoever holds a lock is asked for; what runs, or may still have a function at work, is
//! left alone.
//!
//! Safe to run twice, also at the same time, and beside a fresh start: everything is written under the dead run's own
//! lease, which refuses once another run has taken over. A dead run's lease is renewed before anything else: its old one,
//! with which a redriven execution would come back, and the lease of a second sweep are refused. Where Step Functions cannot
//! be asked nothing is done.

use std::collections::BTreeSet;
use std::sync::Arc;

use guard_domain::last_end::LastEnd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::holder::{Holder, Remains, holder};
use crate::ledger::{MergeRequestEntry, ROLLBACK_REQUESTS, RunRef, UPGRADE};
use crate::settle::{Outcome, Settle};
use crate::task::Task;
use crate::{
    Context, ErrorName, ExecutionReader, HeldLease, LeaseReader, PayloadSchema, TaskError, TokenStore,
};

/// The task.
pub struct Sweep {
    /// Who holds what.
    pub leases: Arc<dyn LeaseReader>,
    /// Whether a holder lives.
    pub executions: Arc<dyn ExecutionReader>,
    /// Tokens that nobody waits for any more.
    pub tokens: Arc<dyn TokenStore>,
    /// What brings a run to its end.
    pub settle: Settle,
}

/// Payload: none. EventBridge and its queue send documents of their own, which are not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {}

/// Answer: how many of the runs that hold a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Output {
    /// Hold a batch.
    pub held: usize,
    /// Run.
    pub running: usize,
    /// Ended so lately that one of their functions may be at work: the next sweep looks again.
    pub fading: usize,
    /// Were brought to an end by this sweep.
    pub swept: usize,
    /// Had an end in their record, and hold locks that nobody needs: those were freed.
    pub freed: usize,
    /// Had an end in their record, and hold their locks on purpose: their clusters wait for a person, who is told again if
    /// they could not be reached then.
    pub waiting: usize,
    /// Changed hands meanwhile: somebody else is at work.
    pub taken_over: usize,
    /// Stand in a row that does not decode.
    pub unreadable: usize,
}

/// What became of one.
enum Swept {
    Running,
    Fading,
    Buried,
    Freed,
    Waits,
}

impl Task for Sweep {
    const NAME: &'static str = "sweep";
    type Input = Input;
    type Output = Output;

    async fn run(&self, _: Input) -> Result<Output, TaskError> {
        let held = self.leases.leases().await.context("list who holds locks")?;
        let mut output = Output { held: held.len(), ..Output::default() };
        let mut first_error = None;
        for one in held {
            // One run that cannot be brought to its end, or whose lock cannot be read, must not keep the others waiting.
            let one = match one {
                Ok(one) => one,
                Err(error) => {
                    tracing::warn!("a lock could not be read: {error}");
                    output.unreadable += 1;
                    first_error.get_or_insert(error);
                    continue;
                }
            };
            match self.look(&one).await {
                Ok(Swept::Running) => output.running += 1,
                Ok(Swept::Fading) => output.fading += 1,
                Ok(Swept::Buried) => output.swept += 1,
                Ok(Swept::Freed) => output.freed += 1,
                Ok(Swept::Waits) => output.waiting += 1,
                Err(error) if error.name == ErrorName::Conflict => {
                    tracing::warn!("run {} changed hands: {error}", one.lease.run_id);
                    output.taken_over += 1;
                }
                Err(error) => {
                    tracing::warn!("run {} could not be swept: {error}", one.lease.run_id);
                    first_error.get_or_insert(error.context(format!("run {}", one.lease.run_id)));
                }
            }
        }
        first_error.map_or(Ok(output), Err)
    }
}

impl Sweep {
    async fn look(&self, held: &HeldLease) -> Result<Swept, TaskError> {
        let ledger = &self.settle.ledger;
        let remains = Remains::read(ledger, &held.lease.run_id).await?;
        let standing =
            holder(self.executions.as_ref(), &held.execution_arn, &remains, ledger.clock.now()).await?;
        match standing {
            Holder::Alive(_) => return Ok(Swept::Running),
            Holder::FadesUntil(quiet) => {
                tracing::info!("run {} has ended; it is swept from {quiet} on", held.lease.run_id);
                return Ok(Swept::Fading);
            }
            Holder::Gone => {}
        }
        match &remains.outcome {
            Some(entry) => {
                let Some(outcome) = Outcome::in_the_middle(&entry.outcome) else {
                    self.settle.locks.release(&held.lease).await.context("release the locks")?;
                    return Ok(Swept::Freed);
                };
                // A person has to come, and may not have been reached when it ended.
                if let Some(plan) = &remains.plan {
                    self.settle.tell_again(&dead(held), plan, outcome, &entry.summary).await?;
                }
                Ok(Swept::Waits)
            }
            None => self.bury(held, &remains).await,
        }
    }

    /// Brings a dead run to its end.
    async fn bury(&self, held: &HeldLease, remains: &Remains) -> Result<Swept, TaskError> {
        let ledger = &self.settle.ledger;
        if remains.plan.is_none() {
            // It died while it took its locks. Where it was about to go on with another run, clusters are in the middle: they
            // stay behind the lock until somebody goes on with them.
            let rows = ledger.batches.batch(&held.lease.batch_id).await.context("read registry")?;
            if rows.iter().any(|row| row.status.needs_an_owner()) {
                return Ok(Swept::Waits);
            }
        }
        // From here on nothing that the run itself has left, or that somebody redrives, writes any more.
        let lease = self.settle.locks.renew(&held.lease).await.context("renew the locks")?;
        let held = &HeldLease { lease, execution_arn: held.execution_arn.clone() };
        let run = dead(held);
        let why = format!("its execution {} ended in the middle", held.execution_arn);
        let Some(plan) = &remains.plan else {
            ledger.audit(&run, Self::NAME, format!("{why}, before anything was planned")).await?;
            self.settle.locks.release(&held.lease).await.context("release the locks")?;
            return Ok(Swept::Buried);
        };
        ledger.audit(&run, Self::NAME, why.clone()).await?;
        self.forget_tokens(&run).await?;

        let progress = ledger.read(&run.run_id, "progress").await?.unwrap_or_default();
        let mut statuses = Vec::new();
        for planned in &plan.clusters {
            let row = ledger.clusters.cluster(&planned.record.cluster_id).await.context("read registry")?;
            statuses.extend(row.map(|row| row.status));
        }
        let upgrades = ledger.merge_requests(&run.run_id, UPGRADE).await?;
        let has_landed = upgrades.iter().any(|(_, entry)| entry.landed.is_some());
        let (outcome, what) = match LastEnd::of(&progress, &statuses, has_landed) {
            LastEnd::BeforeMerge => (Outcome::Halted, "before its merge: nothing was changed"),
            LastEnd::UnderWay => (Outcome::Stopped, "after its merge: the change is under way"),
            LastEnd::Healthy => (Outcome::Healthy, "when all was checked; the rest was done by sweep"),
            LastEnd::RolledBack => (Outcome::RolledBack, "when all was verified; the rest was done by sweep"),
        };
        let mut why = format!("{why}, {what}");
        if outcome == Outcome::Stopped {
            why.push_str(&self.way_back(&run).await?);
        }
        self.settle.bury(&run, plan, outcome, why).await?;
        Ok(Swept::Buried)
    }

    /// Nobody waits for these any more, and nobody is to be reminded by them.
    async fn forget_tokens(&self, run: &RunRef) -> Result<(), TaskError> {
        let open = self.tokens.open_tokens().await.context("list open task tokens")?;
        for token in open.iter().filter(|token| token.lease.run_id == run.run_id) {
            self.tokens.drop_token(token).await.context("drop the task token")?;
        }
        Ok(())
    }

    /// Requests of the way back stay open: merging them is the way back, whoever follows it. A branch from which none was
    /// opened would be in the way of the next rollback.
    async fn way_back(&self, run: &RunRef) -> Result<String, TaskError> {
        let leftovers = self.settle.leftovers();
        let mut pages = BTreeSet::new();
        let requests: Vec<(String, MergeRequestEntry)> =
            self.settle.ledger.read_all(&run.run_id, ROLLBACK_REQUESTS).await?;
        for (name, mut entry) in requests {
            match leftovers.number_of(run, &name, &mut entry).await? {
                Some(_) => _ = pages.insert(entry.shown()),
                None => leftovers.discard(run, &entry).await?,
            }
        }
        if pages.is_empty() {
            return Ok(String::new());
        }
        let pages: Vec<String> = pages.into_iter().collect();
        Ok(format!("; left as it is, for it is the way back: {}", pages.join(", ")))
    }
}

/// A run as its own tasks knew it.
fn dead(held: &HeldLease) -> RunRef {
    RunRef {
        schema: PayloadSchema::CURRENT,
        run_id: held.lease.run_id.clone(),
        batch_id: held.lease.batch_id.clone(),
        fence: held.lease.fence,
        dry_run: false,
        target_version: None,
        upgrade_spec: None,
    }
}

#[cfg(test)]
mod model;
