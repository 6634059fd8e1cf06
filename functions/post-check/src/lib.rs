//! The Lambda function `post-check`: the task of that name, wired to the fleet's API servers and istioctl.

use std::sync::Arc;

use guard_istioctl::Istioctl;
use guard_kubernetes::Clusters;
use guard_lambda::{Outside, Settings};
use guard_tasks::post_check::PostCheck;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> PostCheck {
    let outside = Outside::new(settings);
    let access = outside.cluster_access();
    PostCheck {
        health: Arc::new(Clusters::new(outside.transport(), Arc::clone(&access))),
        analyzer: Arc::new(Istioctl::new(outside.istioctl(), outside.scratch(), access)),
        ledger: outside.ledger(),
    }
}
