//! Every pod of a cluster, read once: istiod and its proxies, ambient's nodes, and the cluster's own.

use guard_domain::{ContainerEnd, IstioVersion, MeshPodFacts, MeshRole, PodFacts, PodTrouble};
use guard_tasks::{Context as _, TaskError};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod as Kind;
use kube::Client;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::{Metadata, Owner, StatusCondition, is_ready, time};
use crate::pod_status::{ContainerStatus, trouble};
use crate::restart::RESTART_ANNOTATION;

/// The sidecar, the only container of a gateway, and of ztunnel.
pub(crate) const PROXY: &str = "istio-proxy";

/// The container that is the control plane.
const CONTROL_PLANE: &str = "discovery";

/// The container that puts the CNI plug-in onto its node.
const CNI: &str = "install-cni";

/// Every revision's istiod carries it, Deployment and pods alike.
pub(crate) const ISTIOD_LABEL: (&str, &str) = ("app", "istiod");

/// Where the cluster's own pods are.
const SYSTEM_NAMESPACES: [&str; 2] = ["kube-system", "istio-system"];

/// What is kept of the pods of a cluster. Those that are done or on their way out are left out: their proxies serve nobody,
/// and no restart changes them.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    /// Pods of the cluster itself.
    pub(crate) system: Vec<PodFacts>,
    /// Pods of the mesh.
    pub(crate) mesh: Vec<MeshPod>,
}

/// A pod of the mesh, and what controls it.
#[derive(Debug)]
pub(crate) struct MeshPod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) role: MeshRole,
    pub(crate) version: Option<IstioVersion>,
    hub: String,
    pub(crate) is_ready: bool,
    restarts: u32,
    last_end: Option<ContainerEnd>,
    pub(crate) uid: String,
    pub(crate) node: String,
    /// The mark that its template had when it was made.
    pub(crate) mark: Option<String>,
    pub(crate) made_at: Option<Timestamp>,
    /// Since when it is ready, or not.
    pub(crate) changed_at: Option<Timestamp>,
    /// The proxy is an init container that stays.
    pub(crate) is_native: bool,
    /// Why it does not come up.
    pub(crate) trouble: Option<PodTrouble>,
}

/// All pods, in pages.
pub(crate) async fn all(client: &Client) -> Result<Pods, TaskError> {
    let kept = List::of::<Kind>().read(client, |pod: Pod| {
        let pod = pod.alive()?;
        let (system, mesh) = (pod.as_systems(), pod.as_meshs());
        (system.is_some() || mesh.is_some()).then_some((system, mesh))
    });
    let (system, mesh): (Vec<_>, Vec<_>) = kept.await.context("list pods")?.into_iter().unzip();
    Ok(Pods { system: system.into_iter().flatten().collect(), mesh: mesh.into_iter().flatten().collect() })
}

/// istiod's pods alone, for those who look often.
pub(crate) async fn of_istiod(client: &Client) -> Result<Vec<MeshPod>, TaskError> {
    let (name, value) = ISTIOD_LABEL;
    let list = List::of::<Kind>().labelled(&format!("{name}={value}"));
    list.read(client, |pod: Pod| pod.alive()?.as_meshs()).await.context("list istiod pods")
}

impl MeshPod {
    /// It has a proxy, which is what a restart of its owner renews.
    pub(crate) fn has_proxy(&self) -> bool {
        match self.role {
            MeshRole::Gateway | MeshRole::Sidecar | MeshRole::Ztunnel => true,
            MeshRole::Istiod | MeshRole::Cni => false,
        }
    }

    pub(crate) fn facts(&self) -> MeshPodFacts {
        MeshPodFacts {
            name: format!("{}/{}", self.namespace, self.name),
            role: self.role,
            version: self.version.clone(),
            hub: self.hub.clone(),
            is_ready: self.is_ready,
            restarts: self.restarts,
            last_end: self.last_end.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Pod {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<StatusCondition>,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
}

impl Pod {
    /// Itself, unless it is done or on its way out.
    fn alive(self) -> Option<Self> {
        let is_done = matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        (!is_done && self.metadata.deletion_timestamp.is_none()).then_some(self)
    }

    fn as_systems(&self) -> Option<PodFacts> {
        let is_meant = SYSTEM_NAMESPACES.contains(&self.metadata.namespace.as_str());
        is_meant.then(|| PodFacts {
            name: self.metadata.full_name(),
            is_ready: is_ready(&self.status.conditions),
        })
    }

    fn as_meshs(&self) -> Option<MeshPod> {
        let (role, container) = self.role()?;
        let statuses = || self.status.container_statuses.iter().chain(&self.status.init_container_statuses);
        let status = statuses().find(|status| status.name == container.name);
        let version = IstioVersion::from_image(&container.image);
        let ready =
            self.status.conditions.iter().find(|one| one.is("Ready", "True") || one.is("Ready", "False"));
        Some(MeshPod {
            uid: self.metadata.uid.clone().unwrap_or_default(),
            node: self.spec.node_name.clone(),
            mark: self.metadata.annotations.get(RESTART_ANNOTATION).cloned(),
            made_at: self.metadata.creation_timestamp.as_deref().and_then(time),
            changed_at: ready.and_then(StatusCondition::since),
            is_native: self.spec.init_containers.iter().any(|one| one.name == PROXY),
            trouble: trouble(statuses(), &self.status.conditions, version.as_ref()),
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
            owner: self.metadata.controller().cloned(),
            role,
            version,
            hub: hub(&container.image).to_owned(),
            is_ready: is_ready(&self.status.conditions),
            restarts: status.map_or(0, |status| status.restart_count),
            last_end: status.and_then(ContainerStatus::last_end),
        })
    }

    /// What it is to the mesh, and the container that is Istio's.
    fn role(&self) -> Option<(MeshRole, &Container)> {
        let is = |name: &str, value: &str| self.metadata.labels.get(name).is_some_and(|found| found == value);
        if is(ISTIOD_LABEL.0, ISTIOD_LABEL.1)
            && let Some(found) = self.container(CONTROL_PLANE)
        {
            return Some((MeshRole::Istiod, found));
        }
        if is("k8s-app", "istio-cni-node")
            && let Some(found) = self.container(CNI)
        {
            return Some((MeshRole::Cni, found));
        }
        let proxy = self.container(PROXY)?;
        let is_alone = self.spec.containers.iter().all(|container| container.name == PROXY);
        let role = if is("app", "ztunnel") {
            MeshRole::Ztunnel
        } else if is_alone && !self.spec.containers.is_empty() {
            MeshRole::Gateway
        } else {
            MeshRole::Sidecar
        };
        Some((role, proxy))
    }

    /// The named container, in either list: native sidecars are init containers that stay.
    fn container(&self, name: &str) -> Option<&Container> {
        self.spec.containers.iter().chain(&self.spec.init_containers).find(|one| one.name == name)
    }
}

/// Where an image comes from: its name without the last part.
fn hub(image: &str) -> &str {
    image.rsplit_once('/').map_or("", |(hub, _)| hub)
}
