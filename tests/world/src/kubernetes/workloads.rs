//! Deployments, StatefulSets, DaemonSets and ReplicaSets as the API server shows them.

use serde_json::{Value, json};

use super::objects::metadata;
use crate::chance;
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::stamp;
use crate::workload::{Role, Workload};

pub(super) fn workloads(cluster: &Cluster, kind: WorkloadKind) -> Vec<Value> {
    cluster.workloads.values().filter(|one| one.kind() == kind).map(|one| workload(cluster, one)).collect()
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

fn selector(workload: &Workload) -> Value {
    json!({ "matchLabels": { "app": if workload.role == Role::Istiod { "istiod" } else { workload.name() } } })
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
    if workload.native_sidecar {
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
    json!({ "metadata": { "labels": pod_labels(workload), "annotations": annotations }, "spec": spec })
}

pub(super) fn workload_metadata(cluster: &Cluster, workload: &Workload) -> Value {
    let mut meta = metadata(cluster, workload.kind().as_str(), Some(workload.namespace()), workload.name());
    meta["generation"] = json!(workload.generation);
    meta["resourceVersion"] = json!(workload.resource_version.to_string());
    meta["creationTimestamp"] = json!(stamp(workload.created));
    meta["labels"] = match workload.role {
        Role::Istiod | Role::Gateway => {
            let mut labels = pod_labels(workload);
            labels["app.kubernetes.io/managed-by"] = json!("Helm");
            labels
        }
        _ => json!({ "app": workload.name() }),
    };
    meta["annotations"] = json!(workload.annotations);
    if workload.kind() == WorkloadKind::Deployment {
        meta["annotations"]["deployment.kubernetes.io/revision"] = json!((workload.rollouts + 1).to_string());
    }
    let manager = |(name, fields): (&String, &std::collections::BTreeSet<String>)| {
        let fields: serde_json::Map<String, Value> =
            fields.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
        json!({ "manager": name, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "time": stamp(workload.changed),
            "fieldsV1": { "f:spec": { "f:template": { "f:metadata": { "f:annotations": fields } } } } })
    };
    meta["managedFields"] = workload.managers.iter().map(manager).collect();
    meta
}

fn workload(cluster: &Cluster, workload: &Workload) -> Value {
    let (spec, status) = match workload.kind() {
        WorkloadKind::Deployment => deployment(workload),
        WorkloadKind::StatefulSet => stateful_set(workload),
        WorkloadKind::DaemonSet => daemon_set(workload),
    };
    json!({ "metadata": workload_metadata(cluster, workload), "spec": spec, "status": status })
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

fn deployment(workload: &Workload) -> (Value, Value) {
    let Counts { pods, ready, updated } = counts(workload);
    let surges = matches!(workload.role, Role::Istiod | Role::Gateway);
    let (surge, unavailable) = if surges { (1, 0) } else { (0, 1) };
    let at = stamp(workload.changed);
    let available = ready + unavailable >= workload.replicas;
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        let status = if status { "True" } else { "False" };
        json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at, "lastUpdateTime": at })
    };
    let (reason, message) = if workload.settled() {
        ("NewReplicaSetAvailable", "ReplicaSet has successfully progressed.")
    } else {
        ("ReplicaSetUpdated", "ReplicaSet is progressing.")
    };
    let available = if available {
        condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        condition(
            "Available",
            false,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let mut status = json!({
        "observedGeneration": workload.observed_generation,
        "replicas": pods,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": [available, condition("Progressing", true, reason, message)],
    });
    // Counts of zero are left out of the JSON.
    let missing = pods.max(workload.replicas) - ready.min(workload.replicas);
    if missing > 0 {
        status["unavailableReplicas"] = json!(missing);
    }
    let spec = json!({
        "replicas": workload.replicas,
        "selector": selector(workload),
        "template": template(workload),
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } },
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    });
    (spec, status)
}

fn stateful_set(workload: &Workload) -> (Value, Value) {
    let Counts { pods, ready, updated } = counts(workload);
    let update = if workload.observed_generation == workload.generation {
        workload.template_hash()
    } else {
        workload.settled_hash.clone()
    };
    let old = workload.pods.iter().filter(|pod| pod.hash == workload.settled_hash).count();
    let status = json!({
        "observedGeneration": workload.observed_generation,
        "replicas": pods,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": old,
        "updatedReplicas": updated,
        "currentRevision": format!("{}-{}", workload.name(), workload.settled_hash),
        "updateRevision": format!("{}-{update}", workload.name()),
        "collisionCount": 0,
    });
    let spec = json!({
        "replicas": workload.replicas,
        "serviceName": workload.name(),
        "selector": selector(workload),
        "template": template(workload),
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
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
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } },
    });
    (spec, status)
}

/// The ReplicaSets that still have pods, the newest one, and old ones that a rollback would use.
pub(super) fn replica_sets(cluster: &Cluster) -> Vec<Value> {
    let deployments = cluster.workloads.values().filter(|one| one.kind() == WorkloadKind::Deployment);
    let of_one = |workload: &Workload| {
        let mut hashes: Vec<String> = workload.pods.iter().map(|pod| pod.hash.clone()).collect();
        hashes.push(workload.template_hash());
        let old = 0..cluster.spec.old_replica_sets;
        let place = |at: usize| {
            let number = at.to_string();
            chance::suffix(cluster.seed, &["old", workload.namespace(), workload.name(), &number], 10)
        };
        hashes.extend(old.map(place));
        hashes.sort();
        hashes.dedup();
        let sets: Vec<Value> = hashes.iter().map(|hash| replica_set(cluster, workload, hash)).collect();
        sets
    };
    deployments.flat_map(of_one).collect()
}

fn replica_set(cluster: &Cluster, workload: &Workload, hash: &str) -> Value {
    let name = format!("{}-{hash}", workload.name());
    let mut meta = metadata(cluster, "ReplicaSet", Some(workload.namespace()), &name);
    meta["labels"] = pod_labels(workload);
    meta["labels"]["pod-template-hash"] = json!(hash);
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
