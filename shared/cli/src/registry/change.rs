//! Edits of the registry, shown and made.

use std::collections::BTreeSet;

use console::style;
use guard_aws::{ExecutionState, HeldLock};
use guard_domain::ClusterRecord;
use guard_tasks::ErrorName;
use serde_json::{Map, Value};

use super::file::Edit;
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print::say;

/// The edits as a diff: what is added with `+`, what changes with `~` and its attributes.
pub(super) fn show(edits: &[Edit]) {
    for (before, after) in edits {
        match before {
            None => say!(
                "{}",
                style(format!(
                    "+ {}  batch {}, {}, {}, Istio {}",
                    after.cluster_id,
                    after.batch_id,
                    after.environment,
                    after.region,
                    after.current_istio_version
                ))
                .green()
            ),
            Some(before) => {
                say!("{}", style(format!("~ {}", after.cluster_id)).yellow());
                for line in differences(before, after) {
                    say!("    {line}");
                }
            }
        }
    }
}

/// `batch_id: test -> dev`, a line an attribute.
fn differences(before: &ClusterRecord, after: &ClusterRecord) -> Vec<String> {
    let flat = |record: &ClusterRecord| {
        let mut fields = Map::new();
        flatten("", &serde_json::to_value(record).unwrap_or_default(), &mut fields);
        fields
    };
    let (old, new) = (flat(before), flat(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&Value>| match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name) && *name != "last_updated")
        .map(|name| format!("{name}: {} -> {}", shown(old.get(name)), shown(new.get(name))))
        .collect()
}

fn flatten(path: &str, value: &Value, into: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, value, into);
            }
        }
        other => {
            into.insert(path.to_owned(), other.clone());
        }
    }
}

/// Rows that a run is at work on, or left in the middle, as sentences; and the locks whose holders are dead.
pub(super) async fn in_the_way(
    deployment: &Deployment,
    rows: &[&ClusterRecord],
    may_be_unfinished: bool,
) -> Result<(Vec<String>, Vec<HeldLock>), Failure> {
    let (mut live, mut dead) = (BTreeSet::new(), Vec::new());
    let held = deployment.ask(|| deployment.stores.held_locks()).await?;
    let mut known: Vec<(String, bool)> = Vec::new();
    for lock in held {
        let arn = &lock.execution_arn;
        let is_live = if let Some((_, is_live)) = known.iter().find(|(known, _)| known == arn) {
            *is_live
        } else {
            let holder = deployment.ask(|| deployment.machines.execution(arn)).await?;
            let is_live = holder.is_some_and(|holder| holder.state == ExecutionState::Running);
            known.push((arn.clone(), is_live));
            is_live
        };
        if is_live {
            live.insert((lock.resource.clone(), arn.clone()));
        } else {
            dead.push(lock);
        }
    }
    let mut problems = Vec::new();
    for row in rows {
        let own = [format!("cluster#{}", row.cluster_id), format!("batch#{}", row.batch_id)];
        let holder = live.iter().find(|(resource, _)| own.contains(resource));
        if let Some((resource, arn)) = holder {
            problems.push(format!("{}: {resource} is locked by {arn}, which runs", row.cluster_id));
        } else if row.status.needs_an_owner() && !may_be_unfinished {
            problems.push(format!(
                "{}: its status is {}, a run left it in the middle",
                row.cluster_id, row.status
            ));
        }
    }
    problems.dedup();
    Ok((problems, dead))
}

/// Makes the edits, one after the other, and says of a failure how far it came.
pub(super) async fn make(
    deployment: &Deployment,
    edits: &[Edit],
    dead: &[HeldLock],
) -> Result<Exit, Failure> {
    for (done, (before, after)) in edits.iter().enumerate() {
        let made = match before {
            None => deployment.stores.add_cluster(after, dead).await,
            Some(before) => deployment.stores.change_cluster(before, after, dead).await,
        };
        if let Err(error) = made {
            let left = edits.len() - done;
            let unsure = if error.name == ErrorName::Transient {
                " (this one may be written all the same)"
            } else {
                ""
            };
            let mut failure = Failure::from(error);
            failure.text = format!("{}{unsure}; {done} rows are written, {left} are not", failure.text);
            return Err(failure.next("run the same command again: what is written is no change any more"));
        }
    }
    say!("{} rows are written", edits.len());
    Ok(Exit::Done)
}
