//! The data plane, found from the pods that run.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{IstioVersion, WorkloadFacts, WorkloadKind, WorkloadRef};
use guard_tasks::TaskError;
use kube::Client;

use crate::object::Owner;
use crate::pods::MeshPod;
use crate::replica_sets::{self, Owners};
use crate::workload_object::{self, Found};

/// Pods by version of one workload.
type Proxies = BTreeMap<Option<IstioVersion>, u32>;

/// Workloads that GUARD can restart, and the pods with a proxy that belong to none. The Deployments are read already: they
/// are not read for this alone.
pub(crate) async fn facts(
    client: &Client,
    pods: &[MeshPod],
    deployments: Vec<Found>,
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
    let mut found = deployments;
    for kind in [WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
        if proxies.keys().any(|workload| workload.kind == kind) {
            found.extend(workload_object::all(client, kind).await?);
        }
    }
    // What of `proxies` is not found was deleted between the two lists: it runs no more.
    let facts = |one: Found| {
        let proxies = proxies.get(&one.workload)?.iter();
        Some(WorkloadFacts {
            workload: one.workload.clone(),
            counts: one.counts,
            restart_mark: one.restart_mark,
            proxies: proxies.map(|(version, pods)| (version.clone(), *pods)).collect(),
            template: one.template,
        })
    };
    let mut found: Vec<WorkloadFacts> = found.into_iter().filter_map(facts).collect();
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
