//! Taking the locks of a batch: free, or left by a run of which nothing is left.

use guard_domain::notification::execution_page;
use guard_domain::{Finding, Plan, RunId};
use jiff::Timestamp;

use super::{PlanBatch, orphans};
use crate::holder::{Holder, Remains, holder};
use crate::{Context, Fence, LockOutcome, TaskError};

impl PlanBatch {
    /// Takes the locks, from a holder that no longer runs if need be.
    pub(super) async fn lock(&self, plan: &Plan) -> Result<Result<Fence, Vec<Finding>>, TaskError> {
        let ids: Vec<_> = plan.clusters.iter().map(|c| c.record.cluster_id.clone()).collect();
        let now = self.ledger.clock.now();
        let mut replacing: Option<String> = None;
        // Once plainly, then in place of a holder that was found dead, and of the one that this one was about to replace
        // when it died. One more holder means a race: say so.
        for _ in 0..3 {
            let asked = self
                .locks
                .acquire(&plan.run_id, &plan.execution_arn, &plan.batch_id, &ids, replacing.as_deref(), now)
                .await
                .context("take the locks")?;
            match asked {
                LockOutcome::Held(lease) => return Ok(Ok(lease.fence)),
                LockOutcome::Taken { resource, holder_arn, since } => {
                    let findings = self.in_the_way(plan, &resource, &holder_arn, since).await?;
                    if !findings.is_empty() {
                        return Ok(Err(findings));
                    }
                    replacing = Some(holder_arn);
                }
            }
        }
        Err(TaskError::conflict("the locks changed hands while they were taken"))
    }

    /// Why the holder's locks may not be taken over; nothing when nothing of it is left, and it left nothing behind.
    async fn in_the_way(
        &self,
        plan: &Plan,
        resource: &str,
        holder_arn: &str,
        since: Timestamp,
    ) -> Result<Vec<Finding>, TaskError> {
        let name = holder_arn.rsplit(':').next().unwrap_or_default();
        let run_id = RunId::parse(name)
            .map_err(|e| TaskError::internal(format!("lock {resource}: holder {holder_arn}: {e}")))?;
        let remains = Remains::read(&self.ledger, &run_id).await?;
        let now = self.ledger.clock.now();
        let quiet = match holder(self.executions.as_ref(), holder_arn, &remains, now).await? {
            Holder::Alive(arn) => return Ok(vec![held(resource, holder_arn, &arn, since)]),
            Holder::FadesUntil(quiet) => Some(quiet),
            Holder::Gone => None,
        };
        if remains.is_settled() {
            // What waits for a person keeps its lock: looked at before it is taken, not after.
            let rows = self.ledger.batches.batch(&plan.batch_id).await.context("read registry")?;
            let mut orphans = orphans(&rows);
            // One that is gone on with is taken over as it is, and so is one that died while it was about to do so.
            let is_resumed = plan.resumes.as_ref().is_some_and(|resumed| resumed.run_id == run_id);
            if is_resumed || (plan.resumes.is_some() && remains.plan.is_none()) {
                orphans.clear();
            }
            if !orphans.is_empty() || quiet.is_none() {
                return Ok(orphans);
            }
        }
        let (what, remedy) = match quiet {
            Some(quiet) => (
                format!("which has ended; a function of it may be at work until {quiet}"),
                "start again after that time",
            ),
            None => (
                "which ended in the middle and was not swept yet".to_owned(),
                "start again in some minutes, when sweep has brought it to its end; the audit log of that run tells",
            ),
        };
        Ok(vec![Finding::blocking(
            "LOCK_HELD",
            resource,
            format!("held by {holder_arn}, {what}{}", page(holder_arn)),
            remedy,
        )])
    }
}

/// Where a person sees it.
fn page(execution_arn: &str) -> String {
    execution_page(execution_arn).map(|page| format!("; {page}")).unwrap_or_default()
}

fn held(resource: &str, holder_arn: &str, alive: &str, since: Timestamp) -> Finding {
    let child = if alive == holder_arn { String::new() } else { format!(", of which {alive} still runs") };
    Finding::blocking(
        "LOCK_HELD",
        resource,
        format!("held by {holder_arn} since {since}{child}{}", page(alive)),
        "wait for that execution to end, or stop it, then start again",
    )
}
