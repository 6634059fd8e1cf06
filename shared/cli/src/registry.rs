//! `guard registry`: the clusters that GUARD knows, as people keep them.

mod change;
mod file;

use guard_domain::{ClusterId, ClusterRecord};
use guard_tasks::ClusterReader as _;
use serde_json::{Map, Value, json};

use crate::args::{AddOptions, DocumentFormat, ImportOptions, Registry, RemoveOptions, ShowOptions};
use crate::confirm::confirmed;
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::list::apart;
use crate::print::{self, say};

pub(crate) async fn run(deployment: &Deployment, command: &Registry) -> Result<Exit, Failure> {
    match command {
        Registry::Import(options) => import(deployment, options).await,
        Registry::Export { format } => export(deployment, *format).await,
        Registry::Show(options) => show(deployment, options).await,
        Registry::Add(options) => add(deployment, options).await,
        Registry::Remove(options) => remove(deployment, options).await,
    }
}

async fn import(deployment: &Deployment, options: &ImportOptions) -> Result<Exit, Failure> {
    let rows = file::rows(&options.file)?;
    let there = whole(deployment).await?;
    let how = How { dry_run: options.dry_run, yes: options.yes, may_be_unfinished: options.unfinished };
    write(deployment, &rows, &there, &how).await
}

struct How {
    dry_run: bool,
    yes: bool,
    may_be_unfinished: bool,
}

/// Checks every row, shows what would change, asks, and writes.
async fn write(
    deployment: &Deployment,
    rows: &[Value],
    there: &[ClusterRecord],
    how: &How,
) -> Result<Exit, Failure> {
    let edits = file::edits(rows, there, deployment.clock.now()).map_err(|problems| {
        Failure::refused(format!(
            "nothing was written, {} problems:\n  {}",
            problems.len(),
            problems.join("\n  ")
        ))
    })?;
    let edits: Vec<file::Edit> =
        edits.into_iter().filter(|(before, after)| before.as_ref() != Some(after)).collect();
    if edits.is_empty() {
        say!("nothing to do: the registry holds these {} rows already", rows.len());
        return Ok(Exit::Done);
    }
    change::show(&edits);
    let touched: Vec<&ClusterRecord> =
        edits.iter().flat_map(|(before, after)| before.iter().chain([after])).collect();
    let (problems, dead) = change::in_the_way(deployment, &touched, how.may_be_unfinished).await?;
    if !problems.is_empty() {
        return Err(in_use(&problems));
    }
    if how.dry_run {
        print::note(&format!("a dry run: {} rows would be written", edits.len()));
        return Ok(Exit::Done);
    }
    confirmed(&format!("Write {} rows?", edits.len()), how.yes)?;
    change::make(deployment, &edits, &dead).await
}

fn in_use(problems: &[String]) -> Failure {
    Failure::refused(format!("nothing was written, a run is at work or was:\n  {}", problems.join("\n  "))).next(
        "wait for the run to end: guard monitor. What a run left in the middle is brought to a told state as \
         docs/runbook.md says; then import the row with --unfinished",
    )
}

/// Every row; one that cannot be read could be any cluster, so nothing is done beside it.
async fn whole(deployment: &Deployment) -> Result<Vec<ClusterRecord>, Failure> {
    let (rows, broken) = apart(deployment.ask(|| deployment.stores.fleet()).await?);
    if broken.is_empty() {
        return Ok(rows);
    }
    Err(Failure::error(format!("rows of the registry cannot be read:\n  {}", broken.join("\n  ")))
        .next("mend them in the AWS console first"))
}

async fn export(deployment: &Deployment, format: DocumentFormat) -> Result<Exit, Failure> {
    let rows = whole(deployment).await?;
    match format {
        DocumentFormat::Json => print::json(&rows)?,
        DocumentFormat::Yaml => print::yaml(&rows)?,
    }
    Ok(Exit::Done)
}

async fn show(deployment: &Deployment, options: &ShowOptions) -> Result<Exit, Failure> {
    let row = one(deployment, &options.cluster).await?;
    match options.format {
        DocumentFormat::Json => print::json(&row)?,
        DocumentFormat::Yaml => {
            print::yaml(&row)?;
            let held = deployment.ask(|| deployment.stores.holder_of_cluster(&row.cluster_id)).await?;
            if let Some(held) = held {
                print::note(&format!("locked since {} by {}", held.since, held.execution_arn));
            }
        }
    }
    Ok(Exit::Done)
}

async fn one(deployment: &Deployment, id: &ClusterId) -> Result<ClusterRecord, Failure> {
    deployment.ask(|| deployment.stores.cluster(id)).await?.ok_or_else(|| {
        Failure::error(format!("cluster {id} is not in the registry")).next("look at what is: guard list")
    })
}

async fn add(deployment: &Deployment, options: &AddOptions) -> Result<Exit, Failure> {
    let there = whole(deployment).await?;
    if there.iter().any(|row| row.cluster_id == options.cluster) {
        return Err(Failure::refused(format!("cluster {} is in the registry already", options.cluster))
            .next(format!(
                "look at it: guard registry show {}; change it: guard registry import FILE",
                options.cluster
            )));
    }
    let mut row = Map::new();
    let mut say = |name: &str, value: Value| row.insert(name.to_owned(), value);
    say("cluster_id", json!(options.cluster));
    say("batch_id", json!(options.batch));
    say("environment", json!(options.environment));
    // The cluster's own region: GUARD itself may run in another.
    say("region", json!(options.cluster_region));
    say("gitlab_repo", json!(options.gitlab_repo));
    say("flux_config_path", json!(options.flux_config_path));
    say("aws_role_arn", json!(options.aws_role_arn));
    say("current_istio_version", json!(options.current_istio_version));
    let cluster_tag = options.datadog_cluster.as_deref().unwrap_or(options.cluster.as_str());
    let env_tag = options.datadog_env.as_ref().unwrap_or(&options.environment);
    say("datadog_tags", json!({"cluster": cluster_tag, "env": env_tag}));
    say("owner_team", json!(options.owner_team));
    say("owner_handle", json!(options.owner_handle));
    let how = How { dry_run: options.dry_run, yes: options.yes, may_be_unfinished: false };
    write(deployment, &[Value::Object(row)], &there, &how).await
}

async fn remove(deployment: &Deployment, options: &RemoveOptions) -> Result<Exit, Failure> {
    let row = one(deployment, &options.cluster).await?;
    let (problems, dead) = change::in_the_way(deployment, &[&row], false).await?;
    if !problems.is_empty() {
        return Err(in_use(&problems));
    }
    let what = format!(
        "{} of batch {}, Istio {}, {}",
        row.cluster_id, row.batch_id, row.current_istio_version, row.status
    );
    confirmed(&format!("Remove {what}?"), options.yes)?;
    deployment.stores.remove_cluster(&row, &dead).await?;
    say!("removed {what}");
    Ok(Exit::Done)
}
