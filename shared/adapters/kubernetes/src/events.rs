//! What Kubernetes has to say about a workload that does not come up.

use guard_domain::WorkloadRef;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Event as Kind;
use kube::Client;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::pod_status::brief;

/// Events worth a person's time.
const MOST: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default, deserialize_with = "or_default")]
    involved_object: Object,
    #[serde(default, deserialize_with = "or_default")]
    reason: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default, deserialize_with = "or_default")]
    count: u32,
    last_timestamp: Option<String>,
    /// Newer ones have their time here, and no other.
    #[serde(rename = "eventTime")]
    at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    kind: String,
    name: String,
}

/// Warnings about the workload, its ReplicaSets and its pods, the newest first. Their names begin with its own.
pub(crate) async fn warnings(client: &Client, workload: &WorkloadRef) -> Result<Vec<String>, TaskError> {
    let start = format!("{}-", workload.name);
    let is_its = |object: &Object| object.name == workload.name || object.name.starts_with(&start);
    let list = List::within::<Kind>(&workload.namespace).with_field("type=Warning");
    let mut found = list
        .read(client, |event: Event| {
            is_its(&event.involved_object).then(|| {
                let at = event.last_timestamp.or(event.at).unwrap_or_default();
                let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
                let Object { kind, name } = event.involved_object;
                (at, format!("{kind} {name}: {}: {}{times}", event.reason, brief(&event.message)))
            })
        })
        .await
        .context("list events")?;
    found.sort_by(|a, b| b.cmp(a));
    found.dedup_by(|a, b| a.1 == b.1);
    Ok(found.into_iter().take(MOST).map(|(_, words)| words).collect())
}
