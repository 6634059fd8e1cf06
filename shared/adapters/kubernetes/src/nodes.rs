//! Nodes.

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
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<StatusCondition>,
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
