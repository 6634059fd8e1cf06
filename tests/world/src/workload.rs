//! A workload, its pods, and how one step of a rolling restart changes them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::chance;
use crate::spec::WorkloadKind;

/// What a workload is to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The control plane: its own image carries the version.
    Istiod,
    /// A gateway of the gateway chart: image `auto`, filled in at injection.
    Gateway,
    /// An application, injected by its namespace's label.
    Application,
    /// An application on the host's network, which is never injected.
    HostNetwork,
    /// An application in a namespace without injection.
    Outside,
}

/// A workload's place: kind, namespace, name.
pub(crate) type Key = (WorkloadKind, String, String);

#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    /// The hash of the template it was made from.
    pub(crate) hash: String,
    /// The sidecar's version, when it has one.
    pub(crate) proxy: Option<String>,
    /// istiod's own version, when it is istiod.
    pub(crate) version: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) node: usize,
    pub(crate) created: Timestamp,
    pub(crate) ready_at: Timestamp,
    pub(crate) ready: bool,
    pub(crate) number: u64,
    pub(crate) resource_version: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) key: Key,
    pub(crate) role: Role,
    pub(crate) native_sidecar: bool,
    pub(crate) replicas: usize,
    /// The chart version of istiod or of a gateway; empty for applications.
    pub(crate) version: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) template_annotations: BTreeMap<String, String>,
    /// Which template annotations each field manager applied.
    pub(crate) managers: BTreeMap<String, BTreeSet<String>>,
    pub(crate) generation: u64,
    pub(crate) observed_generation: u64,
    /// The hash of the last template that was rolled out fully.
    pub(crate) settled_hash: String,
    pub(crate) rolling: bool,
    pub(crate) rollouts: u32,
    pub(crate) pods: Vec<Pod>,
    pub(crate) made: u64,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) resource_version: u64,
    /// While this is set, only pods whose proxy has this version become ready; empty text means none does.
    pub(crate) stalled_unless: Option<String>,
}

/// What one step of a rolling restart needs to know about the cluster around it.
pub(crate) struct Surroundings<'a> {
    pub(crate) seed: u64,
    pub(crate) cluster_id: &'a str,
    pub(crate) now: Timestamp,
    /// The version that the injector would give a pod made now; `None` while no istiod is ready.
    pub(crate) injected: Option<String>,
    /// istiod's versions allowed to become ready: `None` means any.
    pub(crate) only_istiod: Option<&'a str>,
    pub(crate) resource_version: u64,
    pub(crate) nodes: usize,
}

impl Workload {
    pub(crate) fn kind(&self) -> WorkloadKind {
        self.key.0
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.key.1
    }

    pub(crate) fn name(&self) -> &str {
        &self.key.2
    }

    /// Whether its pods get a sidecar (or are one, for a gateway).
    pub(crate) fn in_mesh(&self) -> bool {
        matches!(self.role, Role::Application | Role::Gateway)
    }

    /// The hash of its pod template: equal templates have equal hashes, so a change back finds the old pods current.
    pub(crate) fn template_hash(&self) -> String {
        let annotations = format!("{:?}", self.template_annotations);
        chance::suffix(0, &[self.namespace(), self.name(), &self.version, &annotations], 10)
    }

    pub(crate) fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.ready).count()
    }

    pub(crate) fn updated(&self) -> usize {
        let hash = self.template_hash();
        self.pods.iter().filter(|pod| pod.hash == hash).count()
    }

    /// Whether every wanted pod is of the current template and ready.
    pub(crate) fn settled(&self) -> bool {
        !self.rolling && self.observed_generation == self.generation && self.ready() == self.replicas
    }

    /// Fills a new workload with ready pods of the current template.
    pub(crate) fn populate(&mut self, around: &Surroundings<'_>) {
        for _ in 0..self.replicas {
            let mut pod = self.new_pod(around, None, 0);
            pod.ready = true;
            self.pods.push(pod);
        }
        self.settled_hash = self.template_hash();
    }

    /// Does what is due now, and says when to look again, or `None` at the end of the roll.
    pub(crate) fn step(&mut self, around: &Surroundings<'_>) -> Option<i64> {
        self.observed_generation = self.generation;
        self.changed = around.now;
        self.resource_version = around.resource_version;
        let hash = self.template_hash();
        self.mark_ready(around);
        let surges = matches!(self.role, Role::Istiod | Role::Gateway);
        while self.pods.len() > self.replicas {
            let surplus = |pod: &Pod| pod.hash != hash && (self.ready() > self.replicas || !pod.ready);
            let Some(at) = self.pods.iter().position(surplus) else { break };
            self.pods.remove(at);
        }
        if self.pods.iter().any(|pod| !pod.ready && pod.hash == hash) {
            return Some(5);
        }
        let old = self.pods.iter().rposition(|pod| pod.hash != hash);
        if old.is_none() && self.pods.len() >= self.replicas {
            self.rolling = false;
            self.settled_hash = hash;
            return None;
        }
        if self.in_mesh() && around.injected.is_none() {
            // The webhook's failurePolicy is Fail: without a ready istiod no pod can be made.
            if !surges && let Some(at) = old.filter(|_| self.pods.len() == self.replicas) {
                self.pods.remove(at);
            }
            return Some(15);
        }
        let replaced = match old {
            Some(at) if !surges => Some(self.pods.remove(at)),
            _ => None,
        };
        let wait = self.start_seconds(around);
        let pod = self.new_pod(around, replaced.as_ref(), wait);
        match old {
            Some(at) if !surges => self.pods.insert(at, pod),
            _ => self.pods.push(pod),
        }
        Some(wait)
    }

    fn mark_ready(&mut self, around: &Surroundings<'_>) {
        let role = self.role;
        let stalled = self.stalled_unless.clone();
        for pod in self.pods.iter_mut().filter(|pod| !pod.ready && pod.ready_at <= around.now) {
            let held = match role {
                Role::Istiod => around.only_istiod.is_some_and(|good| good != pod.version),
                _ => stalled.as_deref().is_some_and(|good| pod.proxy.as_deref() != Some(good)),
            };
            if !held {
                pod.ready = true;
                pod.resource_version = around.resource_version;
            }
        }
    }

    fn start_seconds(&self, around: &Surroundings<'_>) -> i64 {
        let number = self.made.to_string();
        let names = [around.cluster_id, self.namespace(), self.name(), &number];
        match self.role {
            Role::Istiod => chance::between(around.seed, &names, 25, 35),
            _ => chance::between(around.seed, &names, 10, 20),
        }
    }

    fn new_pod(&mut self, around: &Surroundings<'_>, replaced: Option<&Pod>, wait: i64) -> Pod {
        self.made += 1;
        let hash = self.template_hash();
        let number = self.made.to_string();
        let end =
            chance::suffix(around.seed, &[around.cluster_id, self.namespace(), self.name(), &number], 5);
        let name = match self.kind() {
            WorkloadKind::Deployment => format!("{}-{hash}-{end}", self.name()),
            WorkloadKind::DaemonSet => format!("{}-{end}", self.name()),
            WorkloadKind::StatefulSet => replaced
                .map_or_else(|| format!("{}-{}", self.name(), self.free_ordinal()), |pod| pod.name.clone()),
        };
        let spread = usize::try_from(self.made).unwrap_or(0) % around.nodes.max(1);
        let node = match (self.kind(), replaced) {
            (WorkloadKind::DaemonSet, Some(pod)) => pod.node,
            (WorkloadKind::DaemonSet, None) => self.pods.len() % around.nodes.max(1),
            _ => spread,
        };
        Pod {
            name,
            hash,
            proxy: if self.in_mesh() { around.injected.clone() } else { None },
            version: self.version.clone(),
            annotations: self.template_annotations.clone(),
            node,
            created: around.now,
            ready_at: crate::state::later(around.now, wait),
            ready: false,
            number: self.made,
            resource_version: around.resource_version,
        }
    }

    /// The first ordinal no pod has, for a StatefulSet that lost one.
    fn free_ordinal(&self) -> usize {
        let taken = |n: &usize| self.pods.iter().any(|pod| pod.name == format!("{}-{n}", self.name()));
        (0..=self.pods.len()).find(|n| !taken(n)).unwrap_or(0)
    }
}
