//! What namespaces say about injection.

use std::collections::BTreeMap;

use guard_domain::NamespaceFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;

use crate::list::List;
use crate::object::Named;

pub(crate) async fn facts(client: &Client) -> Result<BTreeMap<String, NamespaceFacts>, TaskError> {
    let found = List::of::<Namespace>().metadata_only().read(client, |namespace: Named| {
        let labels = &namespace.metadata.labels;
        let facts = NamespaceFacts {
            injection: labels.get("istio-injection").cloned(),
            revision: labels.get("istio.io/rev").cloned(),
        };
        Some((namespace.metadata.name, facts))
    });
    Ok(found.await.context("list namespaces")?.into_iter().collect())
}
