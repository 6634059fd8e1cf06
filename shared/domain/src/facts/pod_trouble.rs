//! Why a pod does not come up.

use serde::{Deserialize, Serialize};

use crate::IstioVersion;

/// Restarts after which a container does not come up by itself.
const CRASHES: u32 = 3;

/// What a pod says about itself that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTrouble {
    /// The version in the image of Istio's container.
    pub version: Option<IstioVersion>,
    /// `CrashLoopBackOff`, `ImagePullBackOff`, `Unschedulable`, `OOMKilled`, ... as Kubernetes writes it.
    pub reason: String,
    /// Kubernetes' own words.
    pub message: String,
    /// Restarts of that container.
    pub restarts: u32,
}

impl PodTrouble {
    /// It will not pass: not with the next attempt, and not with another node.
    pub fn is_lasting(&self) -> bool {
        match self.reason.as_str() {
            "CrashLoopBackOff" => self.restarts >= CRASHES,
            // The kubelet has tried at least twice when it backs off, and a name that is none is never right.
            "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "CreateContainerConfigError"
            | "OOMKilled" => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for PodTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason)?;
        if self.restarts > 0 {
            write!(f, ", {} restarts", self.restarts)?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}
