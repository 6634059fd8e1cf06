//! Istio's own pods and proxies, one by one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::IstioVersion;

/// What a pod is to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeshRole {
    /// The control plane: label `app=istiod`, container `discovery`.
    Istiod,
    /// Nothing but a proxy: a gateway, or a waypoint.
    Gateway,
    /// A workload's pod with a proxy beside it, in either list of containers.
    Sidecar,
    /// A node's proxy of the ambient mode: label `app=ztunnel`.
    Ztunnel,
    /// What puts pods of a node into the mesh: label `k8s-app=istio-cni-node`, container `install-cni`.
    Cni,
}

/// A pod of the mesh that is not done and not on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshPodFacts {
    /// `namespace/name`.
    pub name: String,
    /// What it is.
    pub role: MeshRole,
    /// Where that image comes from, for example `docker.io/istio`: the image's name without its last part.
    pub hub: String,
    /// Version in the image of Istio's container. `None` is an image whose tag names no version, or that goes by digest:
    /// never equal to any.
    pub version: Option<IstioVersion>,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// Restarts of Istio's container since the pod was made.
    pub restarts: u32,
    /// How that container ended the last time, if it ever did.
    pub last_end: Option<ContainerEnd>,
}

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// `OOMKilled`, `Error`, `Completed`, ... as the kubelet writes it.
    pub reason: String,
    /// When; `None` where the kubelet does not say.
    pub at: Option<Timestamp>,
}

impl MeshPodFacts {
    /// The kernel ended its container the last time, for want of memory.
    pub fn was_out_of_memory(&self) -> bool {
        self.last_end.as_ref().is_some_and(|end| end.reason == "OOMKilled")
    }
}
