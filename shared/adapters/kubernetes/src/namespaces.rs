//! What namespaces say about injection.

use std::collections::BTreeMap;

use guard_domain::NamespaceFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt as _};

use crate::list;

pub(crate) async fn facts(client: &Client) -> Result<BTreeMap<String, NamespaceFacts>, TaskError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = list::all_metadata(&api, |namespace| {
        let labels = namespace.labels();
        let facts = NamespaceFacts {
            injection: labels.get("istio-injection").cloned(),
            has_revision: labels.contains_key("istio.io/rev"),
        };
        Some((namespace.name_any(), facts))
    });
    Ok(found.await.context("list namespaces")?.into_iter().collect())
}
