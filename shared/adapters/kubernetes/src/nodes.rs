//! Nodes.

use guard_domain::NodeFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, ResourceExt as _};

use crate::list;

pub(crate) async fn facts(client: &Client) -> Result<Vec<NodeFacts>, TaskError> {
    let api: Api<Node> = Api::all(client.clone());
    list::all(&api, None, |node| Some(NodeFacts { name: node.name_any(), is_ready: is_ready(&node) }))
        .await
        .context("list nodes")
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
