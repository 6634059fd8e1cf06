//! `guard list`: the clusters of the registry.

use guard_aws::FleetRow;
use guard_domain::{BatchId, ClusterRecord};
use guard_tasks::BatchReader as _;

use crate::args::{Format, ListOptions};
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(deployment: &Deployment, options: &ListOptions) -> Result<Exit, Failure> {
    let fleet = deployment.ask(|| deployment.stores.fleet()).await?;
    let (rows, broken) = apart(fleet);
    let is_wanted = |row: &&ClusterRecord| {
        options.batch.as_ref().is_none_or(|batch| row.batch_id == *batch)
            && options.environment.as_ref().is_none_or(|environment| row.environment == *environment)
    };
    let wanted: Vec<&ClusterRecord> = rows.iter().filter(is_wanted).collect();
    match options.format {
        Format::Json => print::json(&wanted)?,
        Format::Table if wanted.is_empty() => print::note(&nothing(options, &rows)),
        Format::Table => print::clusters(&wanted),
    }
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    // What does not decode could be any cluster of any batch: the list is not whole, and must not look so.
    Err(Failure::error(format!(
        "rows of the registry that cannot be read are left out:\n  {}",
        broken.join("\n  ")
    ))
    .next("mend them: guard registry export shows the others, the AWS console these"))
}

/// Rows that decode, and what is wrong with the others.
pub(crate) fn apart(fleet: Vec<FleetRow>) -> (Vec<ClusterRecord>, Vec<String>) {
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for row in fleet {
        match row.record {
            Ok(record) => rows.push(record),
            Err(error) => broken.push(error.chain()),
        }
    }
    (rows, broken)
}

fn nothing(options: &ListOptions, rows: &[ClusterRecord]) -> String {
    if rows.is_empty() {
        return "the registry is empty; fill it: guard registry import FILE".to_owned();
    }
    let known = |of: fn(&ClusterRecord) -> &str| {
        let names: std::collections::BTreeSet<&str> = rows.iter().map(of).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let mut text = "no cluster fits".to_owned();
    if options.batch.is_some() {
        text = format!("{text}; batches are {}", known(|row| row.batch_id.as_str()));
    }
    if options.environment.is_some() {
        text = format!("{text}; environments are {}", known(|row| row.environment.as_str()));
    }
    text
}

/// The clusters of one batch as they are now.
pub(crate) async fn batch_table(deployment: &Deployment, batch: &BatchId) -> Result<(), Failure> {
    let rows = deployment.ask(|| deployment.stores.batch(batch)).await?;
    if !rows.is_empty() {
        print::clusters(&rows.iter().collect::<Vec<_>>());
    }
    Ok(())
}
