//! What istiod counts about itself.

use serde::{Deserialize, Serialize};

use crate::IstioVersion;

/// Counters of istiod, added up over its ready pods, each since its own pod began. A counter that istiod does not show
/// has counted nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlaneFacts {
    /// Connected proxies by the version that they say they are (`pilot_xds`). `None` is a version that is none.
    pub connected: Vec<(Option<IstioVersion>, u64)>,
    /// Configurations sent to proxies (`pilot_xds_pushes`).
    pub pushes: u64,
    /// Configurations that could not be sent (`pilot_xds_pushes` of a type `..._senderr`, `pilot_xds_write_timeout`).
    pub unsent: u64,
    /// Configurations that proxies refused (`pilot_total_xds_rejects`).
    pub rejects: u64,
    /// Errors of istiod's own (`pilot_total_xds_internal_errors`).
    pub internal_errors: u64,
}

impl ControlPlaneFacts {
    /// Proxies connected, of any version.
    pub fn proxies(&self) -> u64 {
        self.connected.iter().map(|(_, proxies)| proxies).sum()
    }

    /// Both together: of two pods, say.
    pub fn add(&mut self, other: Self) {
        for (version, proxies) in other.connected {
            match self.connected.iter_mut().find(|(known, _)| *known == version) {
                Some((_, sum)) => *sum += proxies,
                None => self.connected.push((version, proxies)),
            }
        }
        self.connected.sort();
        self.pushes += other.pushes;
        self.unsent += other.unsent;
        self.rejects += other.rejects;
        self.internal_errors += other.internal_errors;
    }
}
