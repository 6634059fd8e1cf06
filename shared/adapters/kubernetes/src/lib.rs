//! Kubernetes, Flux and istiod through the API servers of the fleet.
//!
//! Never here: a socket (every call goes through the transport port; but for `kubeconfig`, which a person's machine alone
//! has), a retry, a list without a limit, or a verdict about what was read. Start reading at [`Clusters`].

mod budgets;
mod client;
mod control_plane;
mod definitions;
mod envoy_filters;
mod error;
mod flux;
mod groups;
mod injection;
mod istiod;
#[cfg(feature = "kubeconfig")]
pub mod kubeconfig;
mod list;
mod look;
mod mesh;
mod namespaces;
mod nodes;
mod object;
mod pods;
mod replica_sets;
mod restart;
mod strategy;
mod webhooks;
mod workload_object;
mod workloads;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{
    ClusterFacts, ClusterRecord, EksFacts, FluxFacts, RolloutFacts, Unread, WorkloadFacts, WorkloadKind,
    WorkloadRef,
};
use guard_http::Transport;
use guard_http::cluster_access::ClusterAccess;
use guard_tasks::{
    ClusterHealthReader, Context as _, ProxyRestarter, RolloutReader, TaskError, WorkloadReader,
};

pub use restart::{FIELD_MANAGER, RESTART_ANNOTATION};

/// The clusters of the fleet. Each call asks for fresh access, so that no token is ever near its end.
pub struct Clusters {
    transport: Arc<dyn Transport>,
    access: Arc<dyn ClusterAccess>,
}

impl Clusters {
    /// `access` opens a cluster; everything after that goes through `transport`.
    pub fn new(transport: Arc<dyn Transport>, access: Arc<dyn ClusterAccess>) -> Self {
        Self { transport, access }
    }

    /// A client for a cluster that must be usable now.
    async fn client(&self, cluster: &ClusterRecord) -> Result<kube::Client, TaskError> {
        let access = self.access.access(cluster).await?;
        let status = &access.eks_status;
        let server = access.api_server.as_ref().ok_or_else(|| {
            TaskError::conflict(format!("EKS says {status}, and only an ACTIVE cluster is worked on"))
        })?;
        client::open(&self.transport, server)
    }
}

async fn rollout(client: &kube::Client) -> Result<RolloutFacts, TaskError> {
    let FluxFacts { kustomizations, repositories, releases, .. } = flux::facts_with_versions(client).await?;
    let (deployments, pods) = (workload_object::of_istiod(client).await?, pods::of_istiod(client).await?);
    let istiod = istiod::facts(&deployments, &pods);
    Ok(RolloutFacts { kustomizations, repositories, releases, istiod })
}

#[async_trait]
impl ClusterHealthReader for Clusters {
    async fn health(&self, cluster: &ClusterRecord, within: Duration) -> Result<ClusterFacts, TaskError> {
        let access = self.access.access(cluster).await.context(format!("read {}", cluster.cluster_id))?;
        let eks = Ok(EksFacts { status: access.eks_status, health_issues: access.health_issues });
        // Not ACTIVE is an answer that a gate fails on, not a failure to answer.
        let Some(server) = access.api_server else {
            let why = Unread::for_good("EKS does not call the cluster ACTIVE, so it was not asked");
            let kubernetes_version = Ok(access.kubernetes_version);
            return Ok(ClusterFacts { eks, kubernetes_version, ..ClusterFacts::unread(&why) });
        };
        let client = client::open(&self.transport, &server)?;
        let why = Unread::for_good("it was not asked for");
        let known = ClusterFacts {
            eks,
            kubernetes_version: Ok(access.kubernetes_version),
            ..ClusterFacts::unread(&why)
        };
        Ok(Box::pin(look::look(&client, known, within, true, &|_, _| {})).await)
    }
}

#[async_trait]
impl RolloutReader for Clusters {
    async fn rollout(&self, cluster: &ClusterRecord) -> Result<RolloutFacts, TaskError> {
        let doing = || format!("read rollout of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        rollout(&client).await.context(doing())
    }
}

#[async_trait]
impl WorkloadReader for Clusters {
    async fn workloads(&self, cluster: &ClusterRecord) -> Result<Vec<WorkloadFacts>, TaskError> {
        let doing = || format!("read workloads of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        let pods = pods::all(&client).await.context(doing())?;
        let deployments = workload_object::all(&client, WorkloadKind::Deployment).await.context(doing())?;
        Ok(workloads::facts(&client, &pods.mesh, deployments).await.context(doing())?.0)
    }
}

#[async_trait]
impl ProxyRestarter for Clusters {
    async fn restart(
        &self,
        cluster: &ClusterRecord,
        workload: &WorkloadRef,
        mark: &str,
    ) -> Result<(), TaskError> {
        let doing = || format!("restart {workload} of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        restart::apply(&client, workload, mark).await.context(doing())
    }
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}
