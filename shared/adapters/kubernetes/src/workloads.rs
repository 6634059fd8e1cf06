//! The data plane, found from the pods that run.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{IstioVersion, PodRef, PodTrouble, WorkloadFacts, WorkloadKind, WorkloadRef};
use guard_tasks::TaskError;
use jiff::Timestamp;
use kube::Client;

use crate::object::Owner;
use crate::pods::MeshPod;
use crate::replica_sets::{self, Owners};
use crate::workload_object::{self, Found};

/// What the pods of one workload say together.
#[derive(Default)]
struct Pods {
    versions: BTreeMap<Option<IstioVersion>, u32>,
    marks: BTreeSet<String>,
    progress_at: Option<Timestamp>,
    /// The last of them that became ready.
    ready_since: Option<Timestamp>,
    /// One is not ready, or does not say since when.
    has_unready: bool,
    troubles: BTreeMap<String, PodTrouble>,
    is_native: bool,
    nodes: BTreeSet<String>,
    marked: Vec<(Option<String>, PodRef)>,
}

impl Pods {
    fn add(&mut self, pod: &MeshPod) {
        *self.versions.entry(pod.version.clone()).or_default() += 1;
        self.marks.extend(pod.mark.clone());
        let ready = pod.changed_at.filter(|_| pod.is_ready);
        self.progress_at = self.progress_at.max(pod.made_at).max(ready);
        self.ready_since = self.ready_since.max(ready);
        self.has_unready |= ready.is_none();
        if let Some(trouble) = pod.trouble.as_ref().filter(|_| !pod.is_ready) {
            self.troubles.insert(pod.name.clone(), trouble.clone());
        }
        self.is_native |= pod.is_native;
        self.nodes.insert(pod.node.clone());
        let one = PodRef { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() };
        self.marked.push((pod.mark.clone(), one));
    }

    /// Together with what the workload says of itself.
    fn facts(self, one: Found, systems: &BTreeMap<String, String>) -> WorkloadFacts {
        // Nobody but GUARD replaces these; of all others the workload's own controller does.
        let outdated =
            self.marked.into_iter().filter(|(mark, _)| *mark != one.restart_mark).map(|(_, pod)| pod);
        let outdated: Vec<PodRef> = if one.template.is_on_delete { outdated.collect() } else { Vec::new() };
        WorkloadFacts {
            outdated,
            workload: one.workload,
            counts: one.counts,
            restart_mark: one.restart_mark,
            marked_at: one.marked_at,
            pod_marks: self.marks,
            progress_at: self.progress_at,
            ready_since: self.ready_since.filter(|_| !self.has_unready),
            is_stuck: one.stuck_since.is_some(),
            troubles: self.troubles,
            is_native: self.is_native,
            systems: self.nodes.iter().filter_map(|node| systems.get(node).cloned()).collect(),
            proxies: self.versions.into_iter().collect(),
            template: one.template,
        }
    }
}

/// Workloads that GUARD can restart, and the pods with a proxy that belong to none. The Deployments are read already: they
/// are not read for this alone. `systems` are the operating systems of nodes, by their names.
pub(crate) async fn facts(
    client: &Client,
    pods: &[MeshPod],
    deployments: Vec<Found>,
    systems: &BTreeMap<String, String>,
) -> Result<(Vec<WorkloadFacts>, Vec<String>), TaskError> {
    let owners_of_sets = replica_sets::owners(client, pods).await?;
    let (mut of_workload, mut strays) = (BTreeMap::<WorkloadRef, Pods>::new(), BTreeSet::new());
    for pod in pods.iter().filter(|pod| pod.has_proxy()) {
        match workload_of(pod, &owners_of_sets) {
            Some(workload) => of_workload.entry(workload).or_default().add(pod),
            None => _ = strays.insert(stray(pod, &owners_of_sets)),
        }
    }
    let mut found = deployments;
    for kind in [WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
        if of_workload.keys().any(|workload| workload.kind == kind) {
            found.extend(workload_object::all(client, kind).await?);
        }
    }
    // What has pods and is not found was deleted between the two lists: it runs no more.
    let facts = |one: Found| of_workload.remove(&one.workload).map(|pods| pods.facts(one, systems));
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
