//! Nodes.

use std::collections::BTreeMap;

use guard_domain::NodeFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Node as Kind;
use kube::Client;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::{Metadata, StatusCondition, is_ready};

#[derive(Debug, Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<StatusCondition>,
    #[serde(deserialize_with = "or_default")]
    node_info: Info,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    operating_system: String,
    os_image: String,
}

pub(crate) async fn facts(client: &Client) -> Result<Vec<NodeFacts>, TaskError> {
    let facts = |node: Node| {
        Some(NodeFacts {
            is_ready: is_ready(&node.status.conditions),
            is_cordoned: node.spec.unschedulable == Some(true),
            name: node.metadata.name,
        })
    };
    List::of::<Kind>().read(client, facts).await.context("list nodes")
}

/// Families of operating systems, by node: an image's name without its version, `Amazon Linux` for one.
pub(crate) async fn systems(client: &Client) -> Result<BTreeMap<String, String>, TaskError> {
    let system = |node: Node| {
        let Info { operating_system, os_image } = node.status.node_info;
        let family =
            os_image.split_whitespace().take_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
        let family = family.collect::<Vec<_>>().join(" ");
        Some((node.metadata.name, if family.is_empty() { operating_system } else { family }))
    };
    Ok(List::of::<Kind>().read(client, system).await.context("list nodes")?.into_iter().collect())
}
