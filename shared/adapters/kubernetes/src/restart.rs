//! Rolling restarts, by a mark in the pod template.

use std::fmt::Debug;

use guard_domain::{WorkloadKind, WorkloadRef};
use guard_tasks::TaskError;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error;

/// The pod template's annotation that holds the mark. Its own name, so that it fights with nobody's.
pub const RESTART_ANNOTATION: &str = "guard.istio.io/restart";

/// Owner of that annotation. kustomize-controller takes fields away from managers that are called like `kubectl`, which
/// would restart every pod a second time.
pub const FIELD_MANAGER: &str = "guard";

pub(crate) async fn apply(client: &Client, workload: &WorkloadRef, mark: &str) -> Result<(), TaskError> {
    match workload.kind {
        WorkloadKind::Deployment => apply_to::<Deployment>(client, workload, mark).await,
        WorkloadKind::StatefulSet => apply_to::<StatefulSet>(client, workload, mark).await,
        WorkloadKind::DaemonSet => apply_to::<DaemonSet>(client, workload, mark).await,
    }
}

async fn apply_to<K>(client: &Client, workload: &WorkloadRef, mark: &str) -> Result<(), TaskError>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), &workload.namespace);
    // The API server refuses to make a new object of this, since it has no selector: a workload that was deleted
    // meanwhile stays deleted.
    let patch = json!({
        "apiVersion": "apps/v1",
        "kind": workload.kind.as_str(),
        "metadata": { "name": workload.name, "namespace": workload.namespace },
        "spec": { "template": { "metadata": { "annotations": { RESTART_ANNOTATION: mark } } } },
    });
    // Never `force`: whoever else owns this field has a reason to, and a person should hear of it.
    let (params, patch) = (PatchParams::apply(FIELD_MANAGER), Patch::Apply(&patch));
    let answer = api.patch_metadata(&workload.name, &params, &patch).await;
    error::named(answer.map(|_| ()), "apply the restart mark")
}
