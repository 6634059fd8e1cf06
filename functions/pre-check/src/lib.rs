//! The Lambda function `pre-check`: the task of that name, wired to the fleet's API servers, istioctl, Datadog and
//! GitLab.

use std::sync::Arc;

use guard_datadog::Datadog;
use guard_gitlab::GitLab;
use guard_istioctl::Istioctl;
use guard_kubernetes::Clusters;
use guard_lambda::{Outside, Settings};
use guard_tasks::pre_check::PreCheck;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> PreCheck {
    let outside = Outside::new(settings);
    let gitlab = outside.with_gitlab_token(GitLab::new);
    let datadog = outside.with_datadog_keys(Datadog::new);
    let access = outside.cluster_access();
    PreCheck {
        health: Arc::new(Clusters::new(outside.transport(), Arc::clone(&access))),
        traffic: datadog.clone(),
        memory: datadog.clone(),
        integration: datadog.clone(),
        monitors: datadog,
        commits: gitlab.clone(),
        files: gitlab,
        analyzer: Arc::new(Istioctl::new(outside.istioctl(), outside.scratch(), access)),
        ledger: outside.ledger(),
    }
}
