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
mod events;
mod evict;
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
mod pod_status;
mod pods;
mod replica_sets;
mod restart;
mod strategy;
mod webhooks;
mod workload_object;
mod workloads;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{
    ClusterFacts, ClusterRecord, DataPlaneFacts, EksFacts, FluxFacts, PodRef, RolloutFacts, Unread,
    WorkloadKind, WorkloadRef,
};
use guard_http::Transport;
use guard_http::cluster_access::ClusterAccess;
use guard_tasks::{
    ClusterHealthReader, Context as _, DataPlaneReader, Extent, FluxNudger, ProxyRestarter, RolloutReader,
    TaskError,
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
    let (FluxFacts { kustomizations, repositories, releases, .. }, chart_sources) =
        flux::rollout(client).await?;
    let (deployments, pods) = (workload_object::of_istiod(client).await?, pods::of_istiod(client).await?);
    let istiod = istiod::facts(&deployments, &pods);
    Ok(RolloutFacts { kustomizations, repositories, releases, chart_sources, istiod })
}

async fn data_plane(client: &kube::Client, with_systems: bool) -> Result<DataPlaneFacts, TaskError> {
    let systems = async { if with_systems { nodes::systems(client).await } else { Ok(BTreeMap::new()) } };
    let (pods, deployments, systems, budgets, namespaces) = futures::try_join!(
        pods::all(client),
        workload_object::all(client, WorkloadKind::Deployment),
        systems,
        budgets::facts(client),
        namespaces::facts(client),
    )?;
    let (workloads, strays) = workloads::facts(client, &pods.mesh, deployments, &systems).await?;
    Ok(DataPlaneFacts { workloads, strays, budgets, namespaces })
}

#[async_trait]
impl ClusterHealthReader for Clusters {
    async fn health(
        &self,
        cluster: &ClusterRecord,
        extent: Extent,
        within: Duration,
    ) -> Result<ClusterFacts, TaskError> {
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
        Ok(Box::pin(look::look(&client, known, extent, within, true, &|_, _| {})).await)
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
impl DataPlaneReader for Clusters {
    async fn data_plane(
        &self,
        cluster: &ClusterRecord,
        with_systems: bool,
    ) -> Result<DataPlaneFacts, TaskError> {
        let doing = || format!("read the data plane of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        data_plane(&client, with_systems).await.context(doing())
    }

    async fn warnings(
        &self,
        cluster: &ClusterRecord,
        workload: &WorkloadRef,
    ) -> Result<Vec<String>, TaskError> {
        let doing = || format!("read events of {workload} of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        events::warnings(&client, workload).await.context(doing())
    }
}

#[async_trait]
impl ProxyRestarter for Clusters {
    async fn restart(
        &self,
        cluster: &ClusterRecord,
        workloads: &[WorkloadRef],
        mark: &str,
    ) -> Result<(), TaskError> {
        let doing = |what: &dyn fmt::Display| format!("restart {what} of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing(&"workloads"))?;
        for workload in workloads {
            restart::apply(&client, workload, mark).await.context(doing(workload))?;
        }
        Ok(())
    }

    async fn evict(&self, cluster: &ClusterRecord, pods: &[PodRef]) -> Result<usize, TaskError> {
        let doing = || format!("evict pods of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        let mut gone = 0;
        for pod in pods {
            gone += usize::from(evict::evict(&client, pod).await.context(doing())?);
        }
        Ok(gone)
    }
}

#[async_trait]
impl FluxNudger for Clusters {
    async fn nudge(
        &self,
        cluster: &ClusterRecord,
        repositories: &[String],
        kustomizations: &[String],
        value: &str,
    ) -> Result<(), TaskError> {
        let doing = || format!("nudge Flux of {}", cluster.cluster_id);
        let client = self.client(cluster).await.context(doing())?;
        flux::nudge(&client, repositories, kustomizations, value).await.context(doing())
    }
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}
