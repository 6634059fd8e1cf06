//! Objects as API servers give them.

use guard_domain::ClusterRecord;
use serde_json::{Value, json};

pub(crate) fn row(id: &str) -> ClusterRecord {
    serde_json::from_value(json!({
        "cluster_id": id, "batch_id": "test", "environment": "test", "region": "eu-west-1",
        "gitlab_repo": "g/p", "flux_config_path": "clusters/eks-1", "aws_role_arn": "arn",
        "current_istio_version": "1.29.3", "datadog_tags": {"cluster": id, "env": "test"},
        "owner_team": "t", "owner_handle": "h", "last_updated": "2026-11-01T00:00:00Z"
    }))
    .unwrap()
}

pub(crate) fn node(name: &str, ready: &str) -> Value {
    json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}})
}

/// A running pod of namespace `shop` with an `istio-proxy` of this image, owned by `kind/name`.
pub(crate) fn pod(api: &str, kind: &str, owner: &str, image: &str) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "shop", "ownerReferences": [
            {"apiVersion": api, "kind": kind, "name": owner, "uid": format!("uid-{owner}"), "controller": true}
        ]},
        "spec": {"containers": [{"name": "app", "image": "app:1"}, {"name": "istio-proxy", "image": image}]},
        "status": {"phase": "Running"}
    })
}

/// A ReplicaSet of `shop`.
pub(crate) fn replica_set(name: &str, api: &str, kind: &str, owner: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "ownerReferences": [
        {"apiVersion": api, "kind": kind, "name": owner, "uid": "u", "controller": true}
    ]}})
}

/// A Deployment or StatefulSet with three pods, rolled out.
pub(crate) fn replicated(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "generation": 4},
        "spec": {"replicas": 3, "serviceName": "s", "selector": {}, "template": {"metadata": {"annotations": {}}}},
        "status": {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}
    })
}

pub(crate) fn daemon_set(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "generation": 2},
        "spec": {"selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 5, "currentNumberScheduled": 5,
            "updatedNumberScheduled": 2, "numberReady": 4, "numberMisscheduled": 0}
    })
}

pub(crate) fn istiod_pod(image: &str) -> Value {
    json!({
        "metadata": {"name": "istiod-x", "namespace": "istio-system", "labels": {"app": "istiod"}},
        "spec": {"containers": [{"name": "discovery", "image": image}]},
        "status": {"phase": "Running"}
    })
}

pub(crate) fn release(name: &str, chart: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "istio-system", "generation": 3},
        "spec": {"interval": "5m", "chart": {"spec": {"chart": chart, "version": "1.30.5",
            "sourceRef": {"kind": "HelmRepository", "name": "istio"}}}},
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {"type": "Released", "status": "True", "reason": "UpgradeSucceeded", "message": "m"},
                {"type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "message": "Helm upgrade succeeded"}
            ],
            "history": [
                {"chartName": chart, "chartVersion": "1.30.5+0123456789ab", "status": "deployed", "version": 2},
                {"chartName": chart, "chartVersion": "1.29.3", "status": "superseded", "version": 1}
            ]
        }
    })
}
