//! The three kinds of workload, alike.

use guard_domain::{RolloutCounts, WorkloadKind};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;

/// A kind of workload that GUARD restarts.
pub(crate) trait Workload {
    const KIND: WorkloadKind;

    fn counts(&self) -> RolloutCounts;

    fn template(&self) -> Option<&PodTemplateSpec>;

    /// Changed templates replace no pod.
    fn is_on_delete(&self) -> bool;
}

/// Kubernetes counts in `i32`, and an absent count is zero.
fn count(number: Option<i32>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// Kubernetes fills in one replica where a spec names none.
fn wanted(replicas: Option<i32>) -> u32 {
    count(replicas.or(Some(1)))
}

impl Workload for Deployment {
    const KIND: WorkloadKind = WorkloadKind::Deployment;

    fn counts(&self) -> RolloutCounts {
        let status = self.status.clone().unwrap_or_default();
        RolloutCounts {
            desired: wanted(self.spec.as_ref().and_then(|spec| spec.replicas)),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas),
            total: count(status.replicas),
            is_observed: is_observed(self.metadata.generation, status.observed_generation),
        }
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }

    fn is_on_delete(&self) -> bool {
        false
    }
}

impl Workload for StatefulSet {
    const KIND: WorkloadKind = WorkloadKind::StatefulSet;

    fn counts(&self) -> RolloutCounts {
        let status = self.status.clone().unwrap_or_default();
        RolloutCounts {
            desired: wanted(self.spec.as_ref().and_then(|spec| spec.replicas)),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas),
            total: count(Some(status.replicas)),
            is_observed: is_observed(self.metadata.generation, status.observed_generation),
        }
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }

    fn is_on_delete(&self) -> bool {
        let strategy = self.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"))
    }
}

impl Workload for DaemonSet {
    const KIND: WorkloadKind = WorkloadKind::DaemonSet;

    fn counts(&self) -> RolloutCounts {
        let status = self.status.clone().unwrap_or_default();
        RolloutCounts {
            desired: count(Some(status.desired_number_scheduled)),
            updated: count(status.updated_number_scheduled),
            ready: count(Some(status.number_ready)),
            total: count(Some(status.current_number_scheduled)),
            is_observed: is_observed(self.metadata.generation, status.observed_generation),
        }
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }

    fn is_on_delete(&self) -> bool {
        let strategy = self.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"))
    }
}

/// A status that says which generation it is about, and it is the newest. A fresh object's status says nothing yet.
pub(crate) fn is_observed(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.is_some_and(|observed| observed >= generation.unwrap_or_default())
}
