//! `guard status`: what runs, what waits for a person, how the last runs ended.

use std::collections::{BTreeMap, BTreeSet};

use guard_aws::{Execution, ExecutionState, HeldLock};
use guard_domain::{BatchId, ClusterRecord, ClusterStatus, cause_in_words};
use jiff::Timestamp;

use crate::args::StatusOptions;
use crate::deployment::{Deployment, Machine, batch_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Watch, headline, length, soak, waiting};
use crate::list::apart;
use crate::{print, runs};

/// Ended runs that are shown, of each machine.
const LAST_RUNS: usize = 5;

pub(crate) async fn run(deployment: &Deployment, options: &StatusOptions) -> Result<Exit, Failure> {
    if let Some(arn) = &options.execution {
        let execution = deployment.execution(arn).await?;
        stands(deployment, &execution).await?;
        return Ok(Exit::Done);
    }
    let (rows, broken) = apart(deployment.ask(|| deployment.stores.fleet()).await?);
    let held = deployment.ask(|| deployment.stores.held_locks()).await?;
    if let Some(batch) = &options.batch {
        one_batch(deployment, batch, &rows, &held).await?;
    } else {
        all_batches(deployment, &rows, &held).await?;
    }
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::error(format!("rows of the registry that cannot be read:\n  {}", broken.join("\n  "))))
}

async fn one_batch(
    deployment: &Deployment,
    batch: &BatchId,
    rows: &[ClusterRecord],
    held: &[HeldLock],
) -> Result<(), Failure> {
    let own: Vec<&ClusterRecord> = rows.iter().filter(|row| row.batch_id == *batch).collect();
    if own.is_empty() {
        let known: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.batch_id.as_str()).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::error(format!("`{batch}` is not a batch of the registry; known are {known}")));
    }
    print::heading(&format!("Batch {batch}"));
    print::clusters(&own);
    let ids: Vec<String> = own
        .iter()
        .map(|row| format!("cluster#{}", row.cluster_id))
        .chain([format!("batch#{batch}")])
        .collect();
    let own_locks: Vec<&HeldLock> = held.iter().filter(|lock| ids.contains(&lock.resource)).collect();
    locks(deployment, &own_locks).await?;
    match runs::live(deployment, batch).await? {
        Some(live) => stands(deployment, &live).await?,
        None => print::out("no run of this batch is under way"),
    }
    unowned(deployment, &own, &own_locks).await?;
    last_runs(deployment, Some(batch)).await
}

async fn all_batches(
    deployment: &Deployment,
    rows: &[ClusterRecord],
    held: &[HeldLock],
) -> Result<(), Failure> {
    let mut batches: BTreeMap<&BatchId, Vec<&ClusterRecord>> = BTreeMap::new();
    for row in rows {
        batches.entry(&row.batch_id).or_default().push(row);
    }
    print::heading("Batches");
    let mut lines = print::table(&["batch", "clusters", "statuses", "versions", "held by"]);
    for (batch, rows) in &batches {
        let lock = format!("batch#{batch}");
        let holder = held.iter().find(|held| held.resource == lock).map_or("", |held| held.run_id.as_str());
        lines.add_row([
            batch.to_string(),
            rows.len().to_string(),
            counted(rows.iter().map(|row| row.status.to_string())),
            counted(rows.iter().map(|row| row.current_istio_version.to_string())),
            holder.to_owned(),
        ]);
    }
    print::out(&lines.to_string());
    print::heading("Under way");
    let under_way = runs::under_way(deployment).await?;
    for run in &under_way {
        stands(deployment, run).await?;
    }
    if under_way.is_empty() {
        print::out("nothing");
    }
    last_runs(deployment, None).await
}

/// One execution as it is now.
async fn stands(deployment: &Deployment, execution: &Execution) -> Result<(), Failure> {
    let mut watch = Watch::new(deployment, &execution.arn).await?;
    let look = watch.look().await?;
    let now = deployment.clock.now();
    print::out(&format!("{}  {}", execution.name, headline(&look, now)));
    if let Some(waits) = &look.waits_for {
        print::out(&format!("  {}", waiting(waits, &look)));
    }
    if look.waits_for.is_none()
        && let Some(soak) = soak(&look, now)
    {
        print::out(&format!("  {soak}"));
    }
    if !look.clusters.is_empty() {
        let phases = look.clusters.values().map(|stand| crate::follow::phase_word(stand.phase).to_owned());
        print::out(&format!("  clusters: {}", counted(phases)));
    }
    if let Some(cause) = &execution.cause {
        print::out(&format!("  {}", cause_in_words(cause)));
    }
    print::out(&format!("  {}", execution.arn));
    Ok(())
}

/// Locks by holder, and whether the holder lives.
async fn locks(deployment: &Deployment, held: &[&HeldLock]) -> Result<(), Failure> {
    let mut holders: BTreeMap<&str, Vec<&HeldLock>> = BTreeMap::new();
    for lock in held {
        holders.entry(&lock.execution_arn).or_default().push(lock);
    }
    for (arn, locks) in holders {
        let holder = deployment.ask(|| deployment.machines.execution(arn)).await?;
        let word = holder.map_or("which does not exist any more", |holder| match holder.state {
            ExecutionState::Running => "which runs",
            _ => "which has ended: a new run may take them",
        });
        let since = locks.iter().map(|lock| lock.since).min().unwrap_or(Timestamp::UNIX_EPOCH);
        print::out(&format!("{} locks are held since {since} by {arn}, {word}", locks.len()));
    }
    Ok(())
}

/// Clusters in the middle of something that nobody does any more.
async fn unowned(
    deployment: &Deployment,
    rows: &[&ClusterRecord],
    held: &[&HeldLock],
) -> Result<(), Failure> {
    let is_open =
        |row: &&&ClusterRecord| row.status.needs_an_owner() || row.status == ClusterStatus::MrCreated;
    let open: Vec<&&ClusterRecord> = rows.iter().filter(is_open).collect();
    if open.is_empty() {
        return Ok(());
    }
    for lock in held {
        let holder = deployment.ask(|| deployment.machines.execution(&lock.execution_arn)).await?;
        if holder.is_some_and(|holder| holder.state == ExecutionState::Running) {
            return Ok(());
        }
    }
    let names: Vec<&str> = open.iter().map(|row| row.cluster_id.as_str()).collect();
    let runs: BTreeSet<&str> = held.iter().filter_map(|lock| lock.execution_arn.rsplit(':').next()).collect();
    let runs = runs.into_iter().collect::<Vec<_>>().join(" or ");
    let by_name = if runs.is_empty() || open.iter().all(|row| row.status == ClusterStatus::MrCreated) {
        String::new()
    } else {
        format!(". To go on, or back: guard run, or guard rollback, with --resume {runs}")
    };
    print::warning(&format!(
        "left in the middle, and no live run owns them: {}{by_name}. docs/runbook.md says what to do: section \
         Clusters left in the middle",
        names.join(", ")
    ));
    Ok(())
}

async fn last_runs(deployment: &Deployment, batch: Option<&BatchId>) -> Result<(), Failure> {
    let mut ended = Vec::new();
    let mut machines = vec![Machine::BatchUpgrade, Machine::BatchRollback];
    if batch.is_none() {
        machines.push(Machine::Rollout);
    }
    // Of one batch there are only some among all that ended.
    let most = if batch.is_some() { LAST_RUNS * 6 } else { LAST_RUNS };
    for machine in machines {
        for line in runs::list(deployment, machine, false, most).await? {
            if line.state == ExecutionState::Running {
                continue;
            }
            let Some(execution) = deployment.ask(|| deployment.machines.execution(&line.arn)).await? else {
                continue;
            };
            if batch.is_none() || batch_of(&execution).as_ref() == batch {
                ended.push((machine, execution));
            }
        }
    }
    ended.sort_by_key(|(_, execution)| std::cmp::Reverse(execution.started_at));
    ended.truncate(LAST_RUNS * 2);
    print::heading("Last runs");
    if ended.is_empty() {
        print::out("none");
        return Ok(());
    }
    let mut lines = print::table(&["started", "machine", "batch", "name", "took", "end"]);
    for (machine, execution) in &ended {
        let took = execution.stopped_at.map(|end| length(execution.started_at, end)).unwrap_or_default();
        lines.add_row([
            execution.started_at.strftime("%Y-%m-%d %H:%MZ").to_string(),
            machine.as_str().to_owned(),
            batch_of(execution).map(|batch| batch.to_string()).unwrap_or_default(),
            execution.name.clone(),
            took,
            execution.error.clone().unwrap_or_else(|| execution.state.as_str().to_owned()),
        ]);
    }
    print::out(&lines.to_string());
    Ok(())
}

/// `3 healthy, 1 pending`.
fn counted(words: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    parts.join(", ")
}
