//! Deployments, StatefulSets, DaemonSets and ReplicaSets as the API server shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::webhook_refusal;
use super::nodes::NODE_GROUP;
use super::objects::metadata;
use crate::chance;
use crate::cluster::Cluster;
use crate::rollout::Limits;
use crate::spec::{Strategy, WorkloadKind};
use crate::state::stamp;
use crate::workload::{Role, Workload};

/// A workload as an object.
pub(super) fn workload(cluster: &Cluster, workload: &Workload, now: Timestamp) -> Value {
    let (spec, status) = match workload.kind() {
        WorkloadKind::Deployment => deployment(workload, now),
        WorkloadKind::StatefulSet => stateful_set(workload),
        WorkloadKind::DaemonSet => daemon_set(workload),
    };
    json!({ "metadata": workload_metadata(cluster, workload), "spec": spec, "status": status })
}

/// The labels of a workload's pods, without the hash.
pub(super) fn pod_labels(workload: &Workload) -> Value {
    match workload.role {
        Role::Istiod => json!({
            "app": "istiod", "istio": "pilot", "istio.io/rev": "default", "istio.io/dataplane-mode": "none",
            "sidecar.istio.io/inject": "false", "operator.istio.io/component": "Pilot",
            "app.kubernetes.io/name": "istiod", "app.kubernetes.io/version": workload.version,
        }),
        Role::Gateway => json!({
            "app": workload.name(), "istio": workload.name().trim_start_matches("istio-"),
            "sidecar.istio.io/inject": "true", "app.kubernetes.io/version": workload.version,
            "helm.sh/chart": format!("gateway-{}", workload.version),
        }),
        _ => json!({ "app": workload.name(), "app.kubernetes.io/name": workload.name() }),
    }
}

/// The image of the workload's own container.
pub(super) fn image(workload: &Workload, version: &str) -> String {
    match workload.role {
        Role::Istiod => format!("docker.io/istio/pilot:{version}"),
        Role::Gateway => "auto".to_owned(),
        _ => format!("registry.example.com/{}/{}:2026.9.1", workload.namespace(), workload.name()),
    }
}

/// The labels by which a workload, its service and its budget find its pods.
pub(super) fn selector_labels(workload: &Workload) -> Value {
    json!({ "app": if workload.role == Role::Istiod { "istiod" } else { workload.name() } })
}

fn selector(workload: &Workload) -> Value {
    json!({ "matchLabels": selector_labels(workload) })
}

/// The nodes that its pods ask for.
pub(super) fn node_selector(workload: &Workload) -> Option<Value> {
    workload.spec.nodes.map(|family| json!({ NODE_GROUP: family.group() }))
}

fn container_name(workload: &Workload) -> &str {
    match workload.role {
        Role::Istiod => "discovery",
        Role::Gateway => "istio-proxy",
        _ => workload.name(),
    }
}

/// The pod template.
pub(super) fn template(workload: &Workload) -> Value {
    let mut annotations = json!(workload.template_annotations);
    if workload.spec.native_sidecar {
        annotations["sidecar.istio.io/nativeSidecar"] = json!("true");
    }
    if workload.role == Role::Gateway {
        annotations["inject.istio.io/templates"] = json!("gateway");
    }
    let mut spec = json!({
        "containers": [{ "name": container_name(workload), "image": image(workload, &workload.version), "resources": {} }],
        "restartPolicy": "Always",
        "serviceAccountName": workload.name(),
    });
    if workload.role == Role::HostNetwork {
        spec["hostNetwork"] = json!(true);
    }
    if let Some(selector) = node_selector(workload) {
        spec["nodeSelector"] = selector;
    }
    json!({ "metadata": { "labels": pod_labels(workload), "annotations": annotations }, "spec": spec })
}

/// The labels of the workload itself.
pub(super) fn labels(workload: &Workload) -> Value {
    match workload.role {
        Role::Istiod | Role::Gateway => {
            let mut labels = pod_labels(workload);
            labels["app.kubernetes.io/managed-by"] = json!("Helm");
            labels
        }
        _ => json!({ "app": workload.name() }),
    }
}

fn workload_metadata(cluster: &Cluster, workload: &Workload) -> Value {
    let mut meta = metadata(cluster, workload.kind().as_str(), Some(workload.namespace()), workload.name());
    meta["generation"] = json!(workload.generation);
    meta["resourceVersion"] = json!(workload.resource_version.to_string());
    meta["creationTimestamp"] = json!(stamp(workload.created));
    meta["labels"] = labels(workload);
    meta["annotations"] = json!(workload.annotations);
    if workload.kind() == WorkloadKind::Deployment {
        meta["annotations"]["deployment.kubernetes.io/revision"] = json!((workload.rollouts + 1).to_string());
    }
    meta["managedFields"] = workload.managers.json();
    meta
}

/// What status counts share: pods, ready pods, pods of the newest template.
struct Counts {
    pods: usize,
    ready: usize,
    updated: usize,
}

fn counts(workload: &Workload) -> Counts {
    // The controllers have not looked yet while the generation is not observed.
    let seen = workload.observed_generation == workload.generation;
    let (pods, ready) = (workload.pods.len(), workload.ready());
    Counts { pods, ready, updated: if seen { workload.updated() } else { pods } }
}

fn deployment(workload: &Workload, now: Timestamp) -> (Value, Value) {
    let Counts { pods, ready, updated } = counts(workload);
    let conditions = deployment_conditions(workload, ready, now);
    let mut status = json!({
        "observedGeneration": workload.observed_generation,
        "replicas": pods,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": conditions,
    });
    // Counts of zero are left out of the JSON.
    let missing = pods.max(workload.replicas) - ready.min(workload.replicas);
    if missing > 0 {
        status["unavailableReplicas"] = json!(missing);
    }
    let mut spec = json!({
        "replicas": workload.replicas,
        "selector": selector(workload),
        "template": template(workload),
        "strategy": strategy(workload),
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": workload.spec.progress_deadline_seconds,
    });
    if workload.paused {
        spec["paused"] = json!(true);
    }
    (spec, status)
}

fn deployment_conditions(workload: &Workload, ready: usize, now: Timestamp) -> Vec<Value> {
    let at = stamp(workload.changed);
    let condition = |kind: &str, status: &str, reason: &str, message: &str, since: &str| json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since, "lastUpdateTime": since });
    let available = if ready + workload.limits().unavailable >= workload.replicas {
        condition(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            &at,
        )
    } else {
        let message = "Deployment does not have minimum availability.";
        condition("Available", "False", "MinimumReplicasUnavailable", message, &at)
    };
    let progressing = if workload.paused {
        condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", &at)
    } else if let Some(since) = workload.stuck_since(now) {
        let message = format!(
            "ReplicaSet \"{}-{}\" has timed out progressing.",
            workload.name(),
            workload.template_hash()
        );
        condition("Progressing", "False", "ProgressDeadlineExceeded", &message, &stamp(since))
    } else if workload.settled() {
        condition(
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            "ReplicaSet has successfully progressed.",
            &at,
        )
    } else {
        condition("Progressing", "True", "ReplicaSetUpdated", "ReplicaSet is progressing.", &at)
    };
    let mut all = vec![available, progressing];
    if let Some(failures) =
        workload.create_failures.as_ref().filter(|_| workload.pods.len() < workload.replicas)
    {
        let message = webhook_refusal(workload.role == Role::Application);
        all.push(condition("ReplicaFailure", "True", "FailedCreate", &message, &stamp(failures.first)));
    }
    all
}

/// `spec.strategy` of a Deployment, `spec.updateStrategy` of the others.
fn strategy(workload: &Workload) -> Value {
    let rolling = |limits: Value| json!({ "type": "RollingUpdate", "rollingUpdate": limits });
    let Limits { surge, unavailable } = workload.limits();
    match (workload.spec.strategy, workload.kind()) {
        (Strategy::Recreate, WorkloadKind::Deployment) => json!({ "type": "Recreate" }),
        (Strategy::OnDelete, WorkloadKind::StatefulSet | WorkloadKind::DaemonSet) => {
            json!({ "type": "OnDelete" })
        }
        (Strategy::Rolling { max_unavailable, .. }, WorkloadKind::StatefulSet) => {
            rolling(json!({ "partition": workload.spec.partition, "maxUnavailable": max_unavailable.json() }))
        }
        (_, WorkloadKind::StatefulSet) => rolling(json!({ "partition": workload.spec.partition })),
        (Strategy::Rolling { max_unavailable, max_surge }, _) => {
            rolling(json!({ "maxSurge": max_surge.json(), "maxUnavailable": max_unavailable.json() }))
        }
        _ => rolling(json!({ "maxSurge": surge, "maxUnavailable": unavailable })),
    }
}

fn stateful_set(workload: &Workload) -> (Value, Value) {
    let Counts { pods, ready, updated } = counts(workload);
    let update = if workload.observed_generation == workload.generation {
        workload.template_hash()
    } else {
        workload.settled.hash.clone()
    };
    let old = workload.pods.iter().filter(|pod| pod.hash == workload.settled.hash).count();
    let status = json!({
        "observedGeneration": workload.observed_generation,
        "replicas": pods,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": old,
        "updatedReplicas": updated,
        "currentRevision": format!("{}-{}", workload.name(), workload.settled.hash),
        "updateRevision": format!("{}-{update}", workload.name()),
        "collisionCount": 0,
    });
    let spec = json!({
        "replicas": workload.replicas,
        "serviceName": workload.name(),
        "selector": selector(workload),
        "template": template(workload),
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": strategy(workload),
    });
    (spec, status)
}

fn daemon_set(workload: &Workload) -> (Value, Value) {
    let Counts { pods, ready, updated } = counts(workload);
    let mut status = json!({
        "observedGeneration": workload.observed_generation,
        "currentNumberScheduled": pods,
        "desiredNumberScheduled": workload.replicas,
        "updatedNumberScheduled": updated,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
    });
    if ready < workload.replicas {
        status["numberUnavailable"] = json!(workload.replicas - ready);
    }
    let spec = json!({
        "selector": selector(workload),
        "template": template(workload),
        "updateStrategy": strategy(workload),
    });
    (spec, status)
}

/// The templates of its ReplicaSets: of those that still have pods, the newest, and old ones that a rollback would use.
pub(super) fn set_hashes(cluster: &Cluster, workload: &Workload) -> Vec<String> {
    if workload.kind() != WorkloadKind::Deployment {
        return Vec::new();
    }
    let mut hashes: Vec<String> = workload.pods.iter().map(|pod| pod.hash.clone()).collect();
    // A paused Deployment makes none of a new template.
    hashes.push(if workload.paused { workload.settled.hash.clone() } else { workload.template_hash() });
    let old = 0..cluster.spec.old_replica_sets;
    let place = |at: usize| {
        let number = at.to_string();
        chance::suffix(cluster.seed, &["old", workload.namespace(), workload.name(), &number], 10)
    };
    hashes.extend(old.map(place));
    hashes.sort();
    hashes.dedup();
    hashes
}

/// All of its ReplicaSets.
pub(super) fn replica_sets(cluster: &Cluster, workload: &Workload) -> Vec<Value> {
    set_hashes(cluster, workload).iter().map(|hash| replica_set(cluster, workload, hash)).collect()
}

/// The labels of a ReplicaSet.
pub(super) fn set_labels(workload: &Workload, hash: &str) -> Value {
    let mut labels = pod_labels(workload);
    labels["pod-template-hash"] = json!(hash);
    labels
}

pub(super) fn replica_set(cluster: &Cluster, workload: &Workload, hash: &str) -> Value {
    let name = format!("{}-{hash}", workload.name());
    let mut meta = metadata(cluster, "ReplicaSet", Some(workload.namespace()), &name);
    meta["labels"] = set_labels(workload, hash);
    meta["ownerReferences"] =
        json!([owner(cluster, "apps/v1", "Deployment", workload.namespace(), workload.name())]);
    let pods = || workload.pods.iter().filter(|pod| pod.hash == hash);
    let (count, ready) = (pods().count(), pods().filter(|pod| pod.ready).count());
    json!({
        "metadata": meta,
        "spec": { "replicas": count, "selector": selector(workload), "template": template(workload) },
        "status": { "replicas": count, "fullyLabeledReplicas": count, "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": 1 },
    })
}

/// A reference to the controller of an object.
pub(super) fn owner(cluster: &Cluster, api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let uid = metadata(cluster, kind, Some(namespace), name)["uid"].take();
    json!({ "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true })
}
