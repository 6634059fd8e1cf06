//! What comes next, from how far each cluster has come: the end of every gate after the merge.

use guard_domain::soak::next_point;
use guard_domain::{ClusterId, ClusterStatus, Direction, NextStep, Phase, Plan, Progress, child_name};

use super::{Decision, Output};
use crate::TaskError;
use crate::ledger::{Ledger, RollbackEntry, RunRef, SoakEntry};
use crate::plan_batch::tickets;

/// Writes the progress, moves the statuses of newly failed clusters, and says what comes next. Shared with the soak's
/// judge, which is a gate of its own.
pub(crate) async fn next_step(
    ledger: &Ledger,
    run: &RunRef,
    plan: &Plan,
    mut progress: Progress,
) -> Result<Output, TaskError> {
    progress.widen(plan.config.policy.rollback_scope);
    ledger.write(run, "progress", &progress).await?;
    let names = |phase| progress.in_phase(phase).iter().map(ClusterId::as_str).collect::<Vec<_>>().join(", ");
    let mut rollback_name = String::new();
    let (decision, phase, summary) = match progress.next() {
        NextStep::Rollback => {
            let failed = progress.in_phase(Phase::Failed);
            for id in &failed {
                ledger.advance(run, id, ClusterStatus::RollbackRequired, None, None).await?;
            }
            let attempt = start_rollback(ledger, run, failed).await?;
            rollback_name = child_name(&run.run_id, run.batch_id.as_str(), Direction::Rollback, attempt);
            (Decision::Rollback, Phase::Failed, format!("taking back {}", names(Phase::Failed)))
        }
        NextStep::Soak => {
            start_soak(ledger, run, plan).await?;
            (Decision::Soak, Phase::Converged, format!("soaking {}", names(Phase::Converged)))
        }
        NextStep::PostCheck => {
            (Decision::PostCheck, Phase::Soaked, format!("soak passed for {}", names(Phase::Soaked)))
        }
        NextStep::Healthy => {
            let left_out = match names(Phase::LeftOut) {
                none if none.is_empty() => none,
                names => format!("; left out after their pre-checks: {names}"),
            };
            (Decision::Healthy, Phase::Checked, format!("healthy: {}{left_out}", names(Phase::Checked)))
        }
        NextStep::RolledBack => (
            Decision::RolledBack,
            Phase::RolledBack,
            format!(
                "rolled back: {}; healthy: {}",
                names(Phase::RolledBack),
                none_or(&names(Phase::Checked))
            ),
        ),
        NextStep::Halt => (
            Decision::Halt,
            Phase::Unknown,
            format!("no answer for {}; nothing more is changed", names(Phase::Unknown)),
        ),
        // Of a run that goes on with another one.
        NextStep::Converge => {
            (Decision::Converge, Phase::Planned, format!("following {}", names(Phase::Planned)))
        }
    };
    let clusters = tickets(&plan.run_id, progress.in_phase(phase).into_iter(), Direction::Upgrade, 1);
    Ok(Output { decision, summary, clusters, rollback_name, soak_minutes_left: None })
}

fn none_or(names: &str) -> &str {
    if names.is_empty() { "none" } else { names }
}

/// The same failed clusters again are the same attempt: this may be a second call.
async fn start_rollback(ledger: &Ledger, run: &RunRef, failed: Vec<ClusterId>) -> Result<u32, TaskError> {
    let last = ledger.rollback(run).await?;
    if last.attempt > 0 && last.clusters == failed {
        return Ok(last.attempt);
    }
    let entry = RollbackEntry { attempt: last.attempt + 1, clusters: failed };
    ledger.write(run, "rollback", &entry).await?;
    Ok(entry.attempt)
}

/// The soak begins once, when the first clusters have converged.
async fn start_soak(ledger: &Ledger, run: &RunRef, plan: &Plan) -> Result<(), TaskError> {
    if ledger.read::<SoakEntry>(&run.run_id, "soak").await?.is_some() {
        return Ok(());
    }
    let now = ledger.clock.now();
    let changed_at = ledger.read(&run.run_id, "changed-at").await?.unwrap_or(plan.started_at);
    // On whole points of the metrics: a soak of an hour has an hour of them.
    let from = next_point(now);
    let soak = SoakEntry { from, until: from + plan.soak(), changed_at, extensions: 0 };
    ledger.write(run, "soak", &soak).await
}
