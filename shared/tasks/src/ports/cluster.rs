//! Reading and restarting what runs in a cluster. Every method takes the registry's row: region, role and name are
//! all an adapter needs to get in.

use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{ClusterFacts, ClusterRecord, DataPlaneFacts, PodRef, RolloutFacts, WorkloadRef};

use crate::TaskError;

/// How much of a cluster is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// EKS, pods with what owns them, istiod, and what the injector would do: a third of the requests, for who looks
    /// again and again.
    Mesh,
}

/// Everything a health gate reads.
#[async_trait]
pub trait ClusterHealthReader: Send + Sync {
    /// EKS, nodes, Flux, istiod and injected workloads of one cluster, as they are now. Each part may be unread by
    /// itself, because it was not asked for, was refused or not read within its time; an error means that the cluster
    /// could not be opened.
    async fn health(
        &self,
        cluster: &ClusterRecord,
        extent: Extent,
        within: Duration,
    ) -> Result<ClusterFacts, TaskError>;
}

/// How far a version change has come.
#[async_trait]
pub trait RolloutReader: Send + Sync {
    /// Flux objects and istiod.
    async fn rollout(&self, cluster: &ClusterRecord) -> Result<RolloutFacts, TaskError>;
}

/// Makes Flux look at once, instead of at its next interval.
#[async_trait]
pub trait FluxNudger: Send + Sync {
    /// Asks these GitRepositories, and then these Kustomizations (`namespace/name` each), to reconcile. The same `value`
    /// again asks for nothing.
    async fn nudge(
        &self,
        cluster: &ClusterRecord,
        repositories: &[String],
        kustomizations: &[String],
        value: &str,
    ) -> Result<(), TaskError>;
}

/// The data plane.
#[async_trait]
pub trait DataPlaneReader: Send + Sync {
    /// Every Deployment, StatefulSet and DaemonSet that owns a pod with an `istio-proxy` container, found from the
    /// pods that run and not from namespace labels, and what decides whether and when it may be restarted. The operating
    /// systems of nodes are asked for only where `with_systems` says so.
    async fn data_plane(
        &self,
        cluster: &ClusterRecord,
        with_systems: bool,
    ) -> Result<DataPlaneFacts, TaskError>;

    /// The newest warnings that Kubernetes wrote about a workload, its ReplicaSets and its pods; a few, a line each.
    async fn warnings(
        &self,
        cluster: &ClusterRecord,
        workload: &WorkloadRef,
    ) -> Result<Vec<String>, TaskError>;
}

/// Rolling restarts.
#[async_trait]
pub trait ProxyRestarter: Send + Sync {
    /// Sets `mark` as the restart annotation of each workload's pod template by server-side apply, one after the other. The
    /// same mark again changes nothing and restarts nothing. An error names the workload; those before it are marked.
    async fn restart(
        &self,
        cluster: &ClusterRecord,
        workloads: &[WorkloadRef],
        mark: &str,
    ) -> Result<(), TaskError>;

    /// Evicts these very pods, of workloads that replace none by themselves, and says how many went: those stay that a budget
    /// does not let go, and some may be gone already.
    async fn evict(&self, cluster: &ClusterRecord, pods: &[PodRef]) -> Result<usize, TaskError>;
}
