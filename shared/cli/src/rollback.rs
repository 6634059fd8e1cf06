//! `guard rollback`: take a batch back to the version it had before.

use std::time::Duration;

use guard_aws::{Execution, ExecutionState};
use guard_domain::{BatchId, ClusterStatus};
use guard_tasks::BatchReader as _;
use serde_json::json;

use crate::args::RollbackOptions;
use crate::confirm::confirmed;
use crate::deployment::{Deployment, Machine};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{self, Watch, come_back};
use crate::run::{start, timed_name};
use crate::surroundings::pause;
use crate::{print, runs};

/// Looks at a run that was stopped, before it is said that it does not end. Step Functions stops within seconds.
const LOOKS: u32 = 60;

pub(crate) async fn run(deployment: &Deployment, options: &RollbackOptions) -> Result<Exit, Failure> {
    options.follow.fits(options.wait)?;
    let batch = &options.batch;
    let rows = deployment.ask(|| deployment.stores.batch(batch)).await?;
    if rows.is_empty() {
        return Err(Failure::error(format!("`{batch}` is not a batch of the registry"))
            .next("look at what there is: guard list"));
    }
    let not_healthy: Vec<String> = rows
        .iter()
        .filter(|row| row.status != ClusterStatus::Healthy)
        .map(|row| format!("{} is {}", row.cluster_id, row.status))
        .collect();
    if let Some(live) = runs::live(deployment, batch).await? {
        if !not_healthy.is_empty() && !options.stop_run {
            return Err(owned(&live, &not_healthy, batch));
        }
        let question =
            format!("Stop {} and start the way back of {} clusters of {batch}?", live.name, rows.len());
        confirmed(&question, options.yes)?;
        stop(deployment, &live, &options.reason).await?;
    } else {
        let question = match &options.resume {
            Some(run) => format!("Start the way back of what {run} left in the middle of {batch}?"),
            None => format!("Start the way back of {} clusters of {batch}?", rows.len()),
        };
        confirmed(&question, options.yes)?;
    }
    let name = timed_name(batch.as_str(), "rollback", deployment.clock.now());
    let mut input = json!({"batch_id": batch, "reason": options.reason});
    if let Some(run) = &options.resume {
        input["resume"] = json!(run);
    }
    let arn = start(deployment, Machine::BatchRollback, &name, &input).await?;
    if options.wait { follow::to_the_end(deployment, &arn, &options.follow).await } else { Ok(Exit::Done) }
}

/// The run is in the middle of its clusters: it takes failed ones back itself, and what is in the middle could not go
/// back by hand.
fn owned(live: &Execution, not_healthy: &[String], batch: &BatchId) -> Failure {
    Failure::refused(format!(
        "{} is under way: {}. A rollback by hand starts from healthy clusters, and a run that is stopped leaves its \
         clusters in the middle",
        live.name,
        not_healthy.join(", ")
    ))
    .next(format!(
        "let it go on, it takes clusters back that fail; if it asks, say no: guard reject --batch {batch} --reason \
         '...'. To take its clusters back all the same: add --stop-run, and some minutes later, when sweep has brought it to \
         its end, start again with --resume {}. docs/runbook.md has the rest",
        live.name
    ))
}

/// Stops a run and everything inside of it, and waits until nothing of it is left. The parent goes first, so that it
/// starts nothing new; what it started at the last moment is found by looking again.
async fn stop(deployment: &Deployment, live: &Execution, reason: &str) -> Result<(), Failure> {
    let mut watch = Watch::new(deployment, &live.arn).await?;
    let cause = format!("stopped by guard rollback: {reason}");
    let mut stopped: Vec<String> = Vec::new();
    loop {
        watch.look().await?;
        let alive = watch.alive();
        let new: Vec<&String> = alive.iter().rev().filter(|arn| !stopped.contains(arn)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for arn in &new {
            deployment.ask(|| deployment.machines.stop(arn, "Cancelled", &cause)).await?;
            print::progress(&format!("stopped    {arn}"));
        }
        for arn in new {
            ended(deployment, arn).await?;
            stopped.push(arn.clone());
        }
    }
}

async fn ended(deployment: &Deployment, arn: &str) -> Result<(), Failure> {
    for _ in 0..LOOKS {
        let found = deployment.ask(|| deployment.machines.execution(arn)).await?;
        if found.is_none_or(|found| found.state != ExecutionState::Running) {
            return Ok(());
        }
        pause(Duration::from_secs(1)).await;
    }
    Err(Failure::new(Exit::Unknown, format!("{arn} was stopped and does not end; no rollback was started"))
        .next(come_back(deployment, arn)))
}
