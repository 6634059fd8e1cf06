//! Pods that their workload does not replace by itself.

use guard_domain::PodRef;
use guard_tasks::TaskError;
use http::{Request, StatusCode};
use kube::Client;
use serde_json::json;

use crate::{error, list};

/// Evicts one pod, if its budgets let it go: `false` when they do not, or when somebody else was quicker. The pod of the
/// same name that comes after it is left alone: a repeated call that reached a StatefulSet's next pod would restart it twice.
pub(crate) async fn evict(client: &Client, pod: &PodRef) -> Result<bool, TaskError> {
    let doing = format!("evict pod {pod}");
    let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", pod.namespace, pod.name);
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    });
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| TaskError::internal(error.to_string()))?;
    match list::get(client, request).await {
        Ok(_) => Ok(true),
        // 429 is a budget's no, 404 and 409 another's yes.
        Err(error)
            if matches!(
                error::status(&error),
                Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_FOUND | StatusCode::CONFLICT)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error::task_error(&error).context(doing)),
    }
}
