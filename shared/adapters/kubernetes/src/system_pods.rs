//! Pods of the cluster itself.

use guard_domain::PodFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt as _};

use crate::{list, workloads};

const NAMESPACES: [&str; 2] = ["kube-system", "istio-system"];

/// Pods that are done or on their way out are left out.
pub(crate) async fn facts(client: &Client) -> Result<Vec<PodFacts>, TaskError> {
    let mut found = Vec::new();
    for namespace in NAMESPACES {
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pods = list::all(&api, None, |pod| {
            let name = format!("{namespace}/{}", pod.name_any());
            workloads::is_running(&pod).then(|| PodFacts { name, is_ready: is_ready(&pod) })
        });
        found.extend(pods.await.context(format!("list pods of {namespace}"))?);
    }
    Ok(found)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
