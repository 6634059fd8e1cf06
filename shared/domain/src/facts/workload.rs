//! Workloads with proxies: what a restart restarts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BudgetFacts, NamespaceFacts, PodTrouble, RolloutCounts, TemplateFacts};
use crate::IstioVersion;

/// Kind of a workload that GUARD can restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 StatefulSet.
    StatefulSet,
    /// apps/v1 DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}

/// Name of one workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadRef {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind.as_str(), self.name)
    }
}

/// A workload with sidecars or a gateway, and what its pods' proxies run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFacts {
    /// Which one.
    pub workload: WorkloadRef,
    /// Its rollout.
    pub counts: RolloutCounts,
    /// The restart mark GUARD set in the pod template's annotations, if any.
    pub restart_mark: Option<String>,
    /// When GUARD last changed that mark, by the API server's own record of who wrote which field.
    pub marked_at: Option<Timestamp>,
    /// Restart marks that its pods were made with.
    pub pod_marks: BTreeSet<String>,
    /// The last time that one of its pods was made or became ready.
    pub progress_at: Option<Timestamp>,
    /// Since when all of its pods are ready; `None` while one is not, or does not say since when.
    pub ready_since: Option<Timestamp>,
    /// It has come no further for longer than its `progressDeadlineSeconds`.
    pub is_stuck: bool,
    /// Pods that say why they do not come up, by name.
    pub troubles: BTreeMap<String, PodTrouble>,
    /// A pod's proxy is a native sidecar: an init container that stays.
    pub is_native: bool,
    /// Operating systems of the nodes that its pods are on; empty where nobody asked.
    pub systems: BTreeSet<String>,
    /// With the strategy OnDelete, pods that were made before the mark was set: nobody but GUARD replaces them.
    pub outdated: Vec<PodRef>,
    /// Version of container `istio-proxy` of each pod, in either container list, to number of pods. `None` is an
    /// image whose tag names no version.
    pub proxies: Vec<(Option<IstioVersion>, u32)>,
    /// What its next pods are made from.
    pub template: TemplateFacts,
}

/// One pod, and none of the same name that comes after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name; a StatefulSet's pods inherit theirs.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

impl std::fmt::Display for PodRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Everything that decides which proxies are restarted next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataPlaneFacts {
    /// Workloads with proxies.
    pub workloads: Vec<WorkloadFacts>,
    /// Pods with a proxy that belong to nothing GUARD can restart, `namespace/Kind name`.
    pub strays: Vec<String>,
    /// PodDisruptionBudgets.
    pub budgets: Vec<BudgetFacts>,
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, NamespaceFacts>,
}

impl WorkloadFacts {
    /// Pods with a proxy.
    pub fn pods(&self) -> u32 {
        self.proxies.iter().map(|(_, pods)| pods).sum()
    }

    /// Pods whose proxy is not known to run `version`.
    pub fn pods_not_at(&self, version: &IstioVersion) -> u32 {
        self.proxies.iter().filter(|(v, _)| v.as_ref() != Some(version)).map(|(_, pods)| pods).sum()
    }
}
