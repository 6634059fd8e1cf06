//! Which run is meant: of a batch, or the only one that is under way.

use guard_aws::{Execution, ExecutionLine, ExecutionState};
use guard_domain::BatchId;
use serde_json::Value;

use crate::deployment::{Deployment, Machine, batch_of, machine_of};
use crate::failure::Failure;

/// Ended executions that are looked through for the last one of a batch.
const LOOKED_THROUGH: usize = 50;

/// Machines whose executions belong to one batch.
const OF_A_BATCH: [Machine; 2] = [Machine::BatchUpgrade, Machine::BatchRollback];

/// The run of a batch that is under way: its lock says so, or its input when it has not locked yet. A dry run changes
/// nothing and is not meant.
pub(crate) async fn live(deployment: &Deployment, batch: &BatchId) -> Result<Option<Execution>, Failure> {
    if let Some(held) = deployment.ask(|| deployment.stores.holder_of_batch(batch)).await? {
        let holder = deployment.ask(|| deployment.machines.execution(&held.execution_arn)).await?;
        if let Some(holder) = holder.filter(|holder| holder.state == ExecutionState::Running) {
            return Ok(Some(holder));
        }
    }
    newest(deployment, batch, true, |run| run.input.get("dry_run") != Some(&Value::Bool(true))).await
}

/// The run of a batch that is under way, or the last one.
pub(crate) async fn current(deployment: &Deployment, batch: &BatchId) -> Result<Execution, Failure> {
    if let Some(live) = live(deployment, batch).await? {
        return Ok(live);
    }
    newest(deployment, batch, false, |_| true).await?.ok_or_else(|| {
        Failure::error(format!("batch {batch} has no run among the last {LOOKED_THROUGH} of each machine"))
            .next(format!("start one: guard run --batch {batch} --target-version VERSION"))
    })
}

async fn newest(
    deployment: &Deployment,
    batch: &BatchId,
    only_running: bool,
    is_meant: fn(&Execution) -> bool,
) -> Result<Option<Execution>, Failure> {
    let mut lines = Vec::new();
    for machine in OF_A_BATCH {
        lines.extend(list(deployment, machine, only_running, LOOKED_THROUGH).await?);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.started_at));
    for line in lines {
        let found = deployment.ask(|| deployment.machines.execution(&line.arn)).await?;
        if let Some(found) = found.filter(|found| batch_of(found).as_ref() == Some(batch) && is_meant(found))
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Executions of a machine, newest first.
pub(crate) async fn list(
    deployment: &Deployment,
    machine: Machine,
    only_running: bool,
    most: usize,
) -> Result<Vec<ExecutionLine>, Failure> {
    let machine = deployment.machine(machine).await?;
    Ok(deployment.ask(|| deployment.machines.executions(&machine.arn, only_running, most)).await?)
}

/// Runs that people, schedules or pipelines started and that are under way; what runs inside of another is left out.
pub(crate) async fn under_way(deployment: &Deployment) -> Result<Vec<Execution>, Failure> {
    let mut found = Vec::new();
    for machine in [Machine::Rollout, Machine::BatchUpgrade, Machine::BatchRollback] {
        let has_rollout = found.iter().any(|run: &Execution| machine_of(&run.arn) == Some(Machine::Rollout));
        for line in list(deployment, machine, true, LOOKED_THROUGH).await? {
            let run = deployment.execution(&line.arn).await?;
            let is_inside =
                run.input.get("run").is_some() || (has_rollout && is_named_by_a_rollout(&run.name));
            if !is_inside {
                found.push(run);
            }
        }
    }
    Ok(found)
}

/// The only run that is under way.
pub(crate) async fn only_live(deployment: &Deployment) -> Result<Execution, Failure> {
    let mut found = under_way(deployment).await?;
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Failure::error("nothing is under way").next("look at the last runs: guard status")),
        (Some(last), _) => {
            found.push(last);
            let arns: Vec<&str> = found.iter().map(|run| run.arn.as_str()).collect();
            Err(Failure::usage(format!("{} runs are under way:\n  {}", arns.len(), arns.join("\n  ")))
                .next("name one: guard monitor --execution ARN, or --batch BATCH"))
        }
    }
}

/// A rollout names its children by `guard_domain::child_name`: batch, direction, attempt, ten digits of a hash.
fn is_named_by_a_rollout(name: &str) -> bool {
    name.rsplit_once("-upgrade-1-").is_some_and(|(_, hash)| hash.len() == 10)
}

#[cfg(test)]
mod tests {
    use guard_domain::{Direction, RunId, child_name};

    use super::*;

    #[test]
    fn a_rollouts_children_are_known_by_their_names() {
        let run = RunId::parse("all-batches-1.30.5-20261128T030000Z").unwrap();
        assert!(is_named_by_a_rollout(&child_name(&run, "prod-upgrade-1-wave", Direction::Upgrade, 1)));
        assert!(!is_named_by_a_rollout("prod-wave-1-1.30.5-20261128T030000Z"));
    }
}
