//! What adapters report about a cluster, in plain words of our own. No vendor's type comes this far.

mod base;
mod control_plane;
#[cfg(test)]
pub(crate) mod fixtures;
mod flux;
mod injection;
mod measured;
mod mesh;
mod pod_trouble;
mod selector;
mod surroundings;
mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{IstioVersion, Reading, Unread};

pub use base::{BaseFacts, Standing};
pub use control_plane::ControlPlaneFacts;
pub use flux::{
    Condition, FluxFacts, HelmReleaseFacts, KustomizationFacts, SourceFacts, SourceKind, SourceRef,
};
pub use injection::{InjectionProbe, ProbeOutcome};
pub use measured::{IntegrationMode, MemoryFacts};
pub use mesh::{ContainerEnd, MeshPodFacts, MeshRole};
pub use pod_trouble::PodTrouble;
pub use selector::{LabelSelector, Operator, Requirement};
pub use surroundings::{
    BudgetFacts, DefinitionFacts, EnvoyFilterFacts, NamespaceFacts, PodFacts, Rolling, TemplateFacts,
    WebhookFacts,
};
pub use workload::{DataPlaneFacts, PodRef, WorkloadFacts, WorkloadKind, WorkloadRef};

/// Readiness of one Deployment, StatefulSet or DaemonSet. Numbers are pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutCounts {
    /// Wanted by the spec.
    pub desired: u32,
    /// Running the newest pod template.
    pub updated: u32,
    /// Ready, of any template.
    pub ready: u32,
    /// Existing, of any template: above `updated` while old pods are left.
    pub total: u32,
    /// True when the controller has seen the newest spec (`observedGeneration` = `generation`).
    pub is_observed: bool,
}

impl RolloutCounts {
    /// Rolled out: the newest spec was seen, every wanted pod runs it and is ready, none of the old is left.
    /// Scaled to zero is ready at once.
    pub fn is_complete(&self) -> bool {
        self.is_observed
            && self.updated == self.desired
            && self.ready == self.desired
            && self.total == self.desired
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Node name.
    pub name: String,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// No new pods are put on it (`spec.unschedulable`).
    pub is_cordoned: bool,
}

/// istiod as it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IstiodFacts {
    /// Deployments with label `app=istiod`, by `namespace/name`.
    pub deployments: BTreeMap<String, RolloutCounts>,
    /// Version in the image of container `discovery` of each pod, to number of pods. `None` is an image whose tag
    /// names no version.
    pub pods: Vec<(Option<IstioVersion>, u32)>,
    /// Deployments that have come no further with their newest template for longer than their `progressDeadlineSeconds`, and
    /// since when Kubernetes says so.
    pub stuck: BTreeMap<String, Timestamp>,
    /// Pods that say why they do not come up, by `namespace/name`.
    pub troubles: BTreeMap<String, PodTrouble>,
}

/// What Flux and istiod of one cluster say about a version change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutFacts {
    /// Every Kustomization.
    pub kustomizations: Vec<KustomizationFacts>,
    /// Every GitRepository.
    pub repositories: Vec<SourceFacts>,
    /// Every HelmRelease of an Istio chart.
    pub releases: Vec<HelmReleaseFacts>,
    /// Sources of charts; read only while a release waits for one.
    pub chart_sources: Vec<SourceFacts>,
    /// istiod.
    pub istiod: IstiodFacts,
}

/// What EKS says of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EksFacts {
    /// Its status, `ACTIVE` when usable.
    pub status: String,
    /// Health issues, by code.
    pub health_issues: Vec<String>,
}

/// What a health gate reads from a cluster. Each part may be unreadable by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// EKS.
    pub eks: Reading<EksFacts>,
    /// Kubernetes minor line, for example `1.32`.
    pub kubernetes_version: Reading<String>,
    /// Nodes.
    pub nodes: Reading<Vec<NodeFacts>>,
    /// Flux.
    pub flux: Reading<FluxFacts>,
    /// Where charts come from: HelmRepositories, OCIRepositories and HelmCharts.
    pub chart_sources: Reading<Vec<SourceFacts>>,
    /// istiod.
    pub istiod: Reading<IstiodFacts>,
    /// Injected workloads.
    pub workloads: Reading<Vec<WorkloadFacts>>,
    /// Pods with a proxy that belong to nothing GUARD can restart, `namespace/Kind name`.
    pub strays: Reading<Vec<String>>,
    /// Pods of kube-system and istio-system that are not done.
    pub system_pods: Reading<Vec<PodFacts>>,
    /// Istio's own pods and every proxy, one by one.
    pub mesh: Reading<Vec<MeshPodFacts>>,
    /// What istiod counts about itself.
    pub control_plane: Reading<ControlPlaneFacts>,
    /// What the injector does with pods that are never made.
    pub injection: Reading<Vec<InjectionProbe>>,
    /// Definitions of Istio and the Gateway API.
    pub definitions: Reading<Vec<DefinitionFacts>>,
    /// Istio's webhook configurations.
    pub webhooks: Reading<Vec<WebhookFacts>>,
    /// PodDisruptionBudgets.
    pub budgets: Reading<Vec<BudgetFacts>>,
    /// EnvoyFilters.
    pub envoy_filters: Reading<Vec<EnvoyFilterFacts>>,
    /// Namespaces by name.
    pub namespaces: Reading<BTreeMap<String, NamespaceFacts>>,
}

impl ClusterFacts {
    /// Nothing of a cluster is known, for one reason.
    pub fn unread(why: &Unread) -> Self {
        Self {
            eks: Err(why.clone()),
            kubernetes_version: Err(why.clone()),
            nodes: Err(why.clone()),
            flux: Err(why.clone()),
            chart_sources: Err(why.clone()),
            istiod: Err(why.clone()),
            workloads: Err(why.clone()),
            strays: Err(why.clone()),
            system_pods: Err(why.clone()),
            mesh: Err(why.clone()),
            control_plane: Err(why.clone()),
            injection: Err(why.clone()),
            definitions: Err(why.clone()),
            webhooks: Err(why.clone()),
            budgets: Err(why.clone()),
            envoy_filters: Err(why.clone()),
            namespaces: Err(why.clone()),
        }
    }

    /// The reasons why parts are not known.
    pub fn gaps(&self) -> impl Iterator<Item = &Unread> {
        let Self {
            eks,
            kubernetes_version,
            nodes,
            flux,
            chart_sources,
            istiod,
            workloads,
            strays: _,
            system_pods,
            // Of the same list as the cluster's own pods.
            mesh: _,
            control_plane,
            injection,
            definitions,
            webhooks,
            budgets,
            envoy_filters,
            namespaces,
        } = self;
        [
            eks.as_ref().err(),
            kubernetes_version.as_ref().err(),
            nodes.as_ref().err(),
            flux.as_ref().err(),
            chart_sources.as_ref().err(),
            istiod.as_ref().err(),
            workloads.as_ref().err(),
            system_pods.as_ref().err(),
            control_plane.as_ref().err(),
            injection.as_ref().err(),
            definitions.as_ref().err(),
            webhooks.as_ref().err(),
            budgets.as_ref().err(),
            envoy_filters.as_ref().err(),
            namespaces.as_ref().err(),
        ]
        .into_iter()
        .flatten()
    }
}

/// Traffic of one cluster over a window, from Datadog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficWindow {
    /// Requests seen at the destination, over the window.
    pub requests: f64,
    /// Of these, answers 5xx.
    pub errors: f64,
    /// p95 latency in milliseconds, one value a minute where there was one.
    pub latency_p95_ms: Vec<f64>,
    /// Minutes of the window that had a request count.
    pub minutes_seen: u32,
}

impl TrafficWindow {
    /// Share of requests that failed; `None` without requests.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.errors / self.requests)
    }
}

/// A monitor that is not quiet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorFacts {
    /// Monitor id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `Alert`, `Warn`, `No Data`, ... as Datadog spells it.
    pub state: String,
    /// Muted by a downtime or by its options.
    pub is_muted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_complete_only_without_old_pods() {
        let done = RolloutCounts { desired: 3, updated: 3, ready: 3, total: 3, is_observed: true };
        assert!(done.is_complete());
        assert!(!RolloutCounts { total: 4, ..done.clone() }.is_complete(), "an old pod is left");
        assert!(
            !RolloutCounts { is_observed: false, ..done.clone() }.is_complete(),
            "the new spec was not seen"
        );
        assert!(!RolloutCounts { ready: 2, ..done }.is_complete());
        assert!(RolloutCounts { is_observed: true, ..Default::default() }.is_complete(), "scaled to zero");
    }
}
