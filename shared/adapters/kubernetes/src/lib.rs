//! Kubernetes, Flux and istiod through the API servers of the fleet.
//!
//! Never here: a kubeconfig, a socket (every call goes through the transport port), a retry, a list without a limit, or
//! a verdict about what was read. Start reading at [`Clusters`].

mod budgets;
mod client;
mod definitions;
mod envoy_filters;
mod error;
mod flux;
mod istiod;
mod list;
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

use async_trait::async_trait;
use guard_domain::{
    ClusterFacts, ClusterRecord, EksFacts, FluxFacts, IstiodFacts, MeshPodFacts, PodFacts, Reading,
    RolloutFacts, Unread, WorkloadFacts, WorkloadRef,
};
use guard_http::Transport;
use guard_http::cluster_access::ClusterAccess;
use guard_tasks::{
    ClusterHealthReader, Context as _, ProxyRestarter, RolloutReader, TaskError, WorkloadReader,
};

use pods::MeshPod;
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
    let istiod = istiod::facts(client, &pods::of_istiod(client).await?).await?;
    Ok(RolloutFacts { kustomizations, repositories, releases, istiod })
}

/// What follows from the one list of all pods.
struct Mesh {
    pods: Reading<Vec<MeshPodFacts>>,
    system_pods: Reading<Vec<PodFacts>>,
    istiod: Reading<IstiodFacts>,
    workloads: Reading<Vec<WorkloadFacts>>,
    strays: Reading<Vec<String>>,
}

impl Mesh {
    async fn read(client: &kube::Client) -> Self {
        let pods = match pods::all(client).await {
            Ok(pods) => pods,
            Err(error) => {
                let why = Unread::from(error);
                return Self {
                    pods: Err(why.clone()),
                    system_pods: Err(why.clone()),
                    istiod: Err(why.clone()),
                    workloads: Err(why.clone()),
                    strays: Err(why),
                };
            }
        };
        let (istiod, workloads) =
            futures::join!(istiod::facts(client, &pods.mesh), workloads::facts(client, &pods.mesh));
        let (workloads, strays) = match workloads {
            Ok((workloads, strays)) => (Ok(workloads), Ok(strays)),
            Err(error) => (Err(Unread::from(error.clone())), Err(Unread::from(error))),
        };
        Self {
            pods: Ok(pods.mesh.iter().map(MeshPod::facts).collect()),
            system_pods: Ok(pods.system),
            istiod: istiod.map_err(Unread::from),
            workloads,
            strays,
        }
    }
}

#[async_trait]
impl ClusterHealthReader for Clusters {
    async fn health(&self, cluster: &ClusterRecord) -> Result<ClusterFacts, TaskError> {
        let access = self.access.access(cluster).await.context(format!("read {}", cluster.cluster_id))?;
        let eks = Ok(EksFacts {
            status: access.eks_status,
            health_issues: access.health_issues,
            kubernetes_version: access.kubernetes_version,
        });
        // Not ACTIVE is an answer that a gate fails on, not a failure to answer.
        let Some(server) = access.api_server else {
            let why = Unread::for_good("EKS does not call the cluster ACTIVE, so it was not asked");
            return Ok(ClusterFacts { eks, ..ClusterFacts::unread(&why) });
        };
        let client = client::open(&self.transport, &server)?;
        // All at once: an API server that does not answer is waited for once.
        let (nodes, mut flux, chart_sources, mesh) = futures::join!(
            nodes::facts(&client),
            flux::facts(&client),
            flux::chart_sources(&client),
            Mesh::read(&client)
        );
        if let (Ok(flux), Ok(sources)) = (&mut flux, &chart_sources) {
            flux::resolve(&mut flux.releases, sources);
        }
        let (definitions, webhooks, budgets, envoy_filters, namespaces) = futures::join!(
            definitions::facts(&client),
            webhooks::facts(&client),
            budgets::facts(&client),
            envoy_filters::facts(&client),
            namespaces::facts(&client)
        );
        Ok(ClusterFacts {
            eks,
            nodes: nodes.map_err(Unread::from),
            flux: flux.map_err(Unread::from),
            chart_sources: chart_sources.map_err(Unread::from),
            istiod: mesh.istiod,
            workloads: mesh.workloads,
            strays: mesh.strays,
            system_pods: mesh.system_pods,
            mesh: mesh.pods,
            definitions: definitions.map_err(Unread::from),
            webhooks: webhooks.map_err(Unread::from),
            budgets: budgets.map_err(Unread::from),
            envoy_filters: envoy_filters.map_err(Unread::from),
            namespaces: namespaces.map_err(Unread::from),
        })
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
        Ok(workloads::facts(&client, &pods.mesh).await.context(doing())?.0)
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
