//! The Lambda function `gate-control-plane`: the task of that name, wired to the fleet's API servers and Datadog.

use std::sync::Arc;

use guard_datadog::Datadog;
use guard_kubernetes::Clusters;
use guard_lambda::{Outside, Settings};
use guard_tasks::gate_control_plane::GateControlPlane;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> GateControlPlane {
    let outside = Outside::new(settings);
    let datadog = outside.with_datadog_keys(Datadog::new);
    GateControlPlane {
        health: Arc::new(Clusters::new(outside.transport(), outside.cluster_access())),
        traffic: datadog.clone(),
        memory: datadog,
        ledger: outside.ledger(),
    }
}
