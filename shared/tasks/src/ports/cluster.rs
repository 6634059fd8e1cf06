//! Reading and restarting what runs in a cluster. Every method takes the registry's row: region, role and name are
//! all an adapter needs to get in.

use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{ClusterFacts, ClusterRecord, RolloutFacts, WorkloadFacts, WorkloadRef};

use crate::TaskError;

/// Everything a health gate reads.
#[async_trait]
pub trait ClusterHealthReader: Send + Sync {
    /// EKS, nodes, Flux, istiod and injected workloads of one cluster, as they are now. Each part may be unread by
    /// itself, because it was refused or not read within its time; an error means that the cluster could not be opened.
    async fn health(&self, cluster: &ClusterRecord, within: Duration) -> Result<ClusterFacts, TaskError>;
}

/// How far a version change has come.
#[async_trait]
pub trait RolloutReader: Send + Sync {
    /// Flux objects and istiod.
    async fn rollout(&self, cluster: &ClusterRecord) -> Result<RolloutFacts, TaskError>;
}

/// The data plane.
#[async_trait]
pub trait WorkloadReader: Send + Sync {
    /// Every Deployment, StatefulSet and DaemonSet that owns a pod with an `istio-proxy` container, found from the
    /// pods that run and not from namespace labels; `restart_mark` is read from the pod template.
    async fn workloads(&self, cluster: &ClusterRecord) -> Result<Vec<WorkloadFacts>, TaskError>;
}

/// Rolling restarts.
#[async_trait]
pub trait ProxyRestarter: Send + Sync {
    /// Sets `mark` as the restart annotation of the workload's pod template by server-side apply. A second call with
    /// the same mark changes nothing and restarts nothing.
    async fn restart(
        &self,
        cluster: &ClusterRecord,
        workload: &WorkloadRef,
        mark: &str,
    ) -> Result<(), TaskError>;
}
