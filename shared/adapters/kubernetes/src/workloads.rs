//! The data plane, found from the pods that run.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{IstioVersion, WorkloadFacts, WorkloadKind, WorkloadRef};
use guard_tasks::{Context as _, TaskError};
use kube::Client;

use crate::object::Owner;
use crate::pods::MeshPod;
use crate::replica_sets::{self, Owners};
use crate::workload_object::{self, Workload};

/// Pods by version of one workload.
type Proxies = BTreeMap<Option<IstioVersion>, u32>;

/// Workloads that GUARD can restart, and the pods with a proxy that belong to none.
pub(crate) async fn facts(
    client: &Client,
    pods: &[MeshPod],
) -> Result<(Vec<WorkloadFacts>, Vec<String>), TaskError> {
    let owners_of_sets = replica_sets::owners(client, pods).await?;
    let (mut proxies, mut strays) = (BTreeMap::<WorkloadRef, Proxies>::new(), BTreeSet::new());
    for pod in pods.iter().filter(|pod| pod.has_proxy()) {
        match workload_of(pod, &owners_of_sets) {
            Some(workload) => {
                *proxies.entry(workload).or_default().entry(pod.version.clone()).or_default() += 1;
            }
            None => _ = strays.insert(stray(pod, &owners_of_sets)),
        }
    }
    let mut found = Vec::new();
    for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
        found.extend(of_kind(client, kind, &proxies).await?);
    }
    // What of `proxies` is not found was deleted between the two lists: it runs no more.
    found.sort_by(|a, b| a.workload.cmp(&b.workload));
    Ok((found, strays.into_iter().collect()))
}

/// The workload at the end of the pod's owner chain, if GUARD can restart its kind. Jobs, bare pods and the workloads of
/// other controllers are not.
fn workload_of(pod: &MeshPod, owners_of_sets: &Owners) -> Option<WorkloadRef> {
    let owner = owner(pod, owners_of_sets)?;
    let kind = [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet]
        .into_iter()
        .find(|kind| owner.is_apps(kind.as_str()))?;
    Some(WorkloadRef { namespace: pod.namespace.clone(), kind, name: owner.name.clone() })
}

/// What controls the pod, or the ReplicaSet that does.
fn owner<'a>(pod: &'a MeshPod, owners_of_sets: &'a Owners) -> Option<&'a Owner> {
    let owner = pod.owner.as_ref()?;
    if owner.is_apps("ReplicaSet") { owners_of_sets.get(&owner.uid) } else { Some(owner) }
}

/// `shop/Rollout web`: who restarts it, since GUARD cannot.
fn stray(pod: &MeshPod, owners_of_sets: &Owners) -> String {
    match owner(pod, owners_of_sets) {
        Some(owner) => format!("{}/{} {}", pod.namespace, owner.kind, owner.name),
        None => format!("{}/Pod {}", pod.namespace, pod.name),
    }
}

async fn of_kind(
    client: &Client,
    kind: WorkloadKind,
    proxies: &BTreeMap<WorkloadRef, Proxies>,
) -> Result<Vec<WorkloadFacts>, TaskError> {
    if !proxies.keys().any(|workload| workload.kind == kind) {
        return Ok(Vec::new());
    }
    let read = workload_object::list(kind).read(client, |object: Workload| {
        let workload = WorkloadRef {
            namespace: object.metadata.namespace.clone(),
            kind,
            name: object.metadata.name.clone(),
        };
        let proxies = proxies.get(&workload)?;
        Some(WorkloadFacts {
            counts: object.counts(kind),
            template: object.template(kind),
            restart_mark: object.restart_mark(),
            proxies: proxies.iter().map(|(version, pods)| (version.clone(), *pods)).collect(),
            workload,
        })
    });
    read.await.context(format!("list {}s", kind.as_str()))
}
