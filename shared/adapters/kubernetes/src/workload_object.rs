//! The three kinds of workload, alike.

use guard_domain::{RolloutCounts, TemplateFacts, WorkloadKind, WorkloadRef};
use guard_tasks::{Context as _, TaskError};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::Client;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::{StatusCondition, Texts, time};
use crate::pods::ISTIOD_LABEL;
use crate::restart::{FIELD_MANAGER, RESTART_ANNOTATION};
use crate::strategy::Strategy;

/// The sidecar, and the only container of a gateway.
const PROXY: &str = "istio-proxy";

/// What a pod says about its own injection; the label goes before the annotation.
const INJECT: &str = "sidecar.istio.io/inject";

/// A workload, as far as anything here looks at it.
pub(crate) struct Found {
    pub(crate) workload: WorkloadRef,
    pub(crate) counts: RolloutCounts,
    pub(crate) template: TemplateFacts,
    /// The restart mark in its pod template.
    pub(crate) restart_mark: Option<String>,
    /// When GUARD changed that last.
    pub(crate) marked_at: Option<Timestamp>,
    /// Since when it has come no further with its newest template for longer than its deadline.
    pub(crate) stuck_since: Option<Timestamp>,
    /// It is a Deployment of istiod, of whichever revision.
    pub(crate) is_istiod: bool,
}

/// All workloads of a kind.
pub(crate) async fn all(client: &Client, kind: WorkloadKind) -> Result<Vec<Found>, TaskError> {
    read(client, list(kind), kind).await.context(format!("list {}s", kind.as_str()))
}

/// The Deployments of istiod alone, for those who look often.
pub(crate) async fn of_istiod(client: &Client) -> Result<Vec<Found>, TaskError> {
    let (name, value) = ISTIOD_LABEL;
    let kind = WorkloadKind::Deployment;
    let list = list(kind).labelled(&format!("{name}={value}"));
    read(client, list, kind).await.context("list istiod deployments")
}

async fn read(client: &Client, list: List, kind: WorkloadKind) -> Result<Vec<Found>, TaskError> {
    list.read(client, |object: Workload| Some(object.found(kind))).await
}

fn list(kind: WorkloadKind) -> List {
    match kind {
        WorkloadKind::Deployment => List::of::<Deployment>(),
        WorkloadKind::StatefulSet => List::of::<StatefulSet>(),
        WorkloadKind::DaemonSet => List::of::<DaemonSet>(),
    }
}

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Deserialize)]
struct Workload {
    #[serde(default)]
    metadata: ObjectMetadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectMetadata {
    name: String,
    namespace: String,
    generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    labels: Texts,
    #[serde(deserialize_with = "or_default")]
    managed_fields: Vec<Writer>,
}

/// Who wrote fields, and when last. Which ones is a tree that is skipped while it is parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Writer {
    #[serde(deserialize_with = "or_default")]
    manager: String,
    time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<u32>,
    paused: bool,
    #[serde(deserialize_with = "or_default")]
    template: Template,
    /// Of a StatefulSet or DaemonSet.
    #[serde(deserialize_with = "or_default")]
    update_strategy: Strategy,
    /// Of a Deployment.
    #[serde(deserialize_with = "or_default")]
    strategy: Strategy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    #[serde(deserialize_with = "or_default")]
    metadata: TemplateMetadata,
    #[serde(deserialize_with = "or_default")]
    spec: TemplateSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateMetadata {
    #[serde(deserialize_with = "or_default")]
    labels: Texts,
    #[serde(deserialize_with = "or_default")]
    annotations: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TemplateSpec {
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: Option<String>,
}

/// Of all three kinds: a count that is absent is zero.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: Option<i64>,
    replicas: u32,
    updated_replicas: u32,
    ready_replicas: u32,
    desired_number_scheduled: u32,
    current_number_scheduled: u32,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<StatusCondition>,
    updated_number_scheduled: u32,
    number_ready: u32,
}

impl Workload {
    fn found(self, kind: WorkloadKind) -> Found {
        let (label, value) = ISTIOD_LABEL;
        Found {
            counts: self.counts(kind),
            template: self.template(kind),
            marked_at: self.marked_at(),
            stuck_since: self.stuck_since(),
            restart_mark: self.spec.template.metadata.annotations.get(RESTART_ANNOTATION).cloned(),
            is_istiod: self.metadata.labels.get(label).is_some_and(|found| found == value),
            workload: WorkloadRef { namespace: self.metadata.namespace, kind, name: self.metadata.name },
        }
    }

    /// The condition stays until the controller has seen a newer template.
    fn stuck_since(&self) -> Option<Timestamp> {
        if !is_observed(self.metadata.generation, self.status.observed_generation) {
            return None;
        }
        let mut conditions = self.status.conditions.iter();
        let stuck = conditions
            .find(|one| one.is("Progressing", "False") && one.reason == "ProgressDeadlineExceeded")?;
        stuck.since()
    }

    /// The API server keeps the time at which a manager last changed what it wrote; the same again changes nothing.
    fn marked_at(&self) -> Option<Timestamp> {
        let mine = self.metadata.managed_fields.iter().filter(|one| one.manager == FIELD_MANAGER);
        mine.filter_map(|one| time(one.time.as_deref()?)).max()
    }

    fn counts(&self, kind: WorkloadKind) -> RolloutCounts {
        let status = &self.status;
        let is_observed = is_observed(self.metadata.generation, status.observed_generation);
        match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => RolloutCounts {
                // Kubernetes fills in one replica where a spec names none.
                desired: self.spec.replicas.unwrap_or(1),
                updated: status.updated_replicas,
                ready: status.ready_replicas,
                total: status.replicas,
                is_observed,
            },
            WorkloadKind::DaemonSet => RolloutCounts {
                desired: status.desired_number_scheduled,
                updated: status.updated_number_scheduled,
                ready: status.number_ready,
                total: status.current_number_scheduled,
                is_observed,
            },
        }
    }

    fn template(&self, kind: WorkloadKind) -> TemplateFacts {
        let Template { metadata, spec } = &self.spec.template;
        let containers = spec.containers.iter().chain(&spec.init_containers);
        // A gateway's template names the image `auto`, which is no image: istiod fills it in.
        let has_own_proxy = containers
            .filter(|container| container.name == PROXY)
            .any(|container| container.image.as_deref().is_some_and(|image| image != "auto"));
        TemplateFacts {
            is_on_delete: self.spec.update_strategy.is_on_delete(),
            is_paused: self.spec.paused,
            partition: self.spec.update_strategy.partition(),
            asks: metadata.labels.get(INJECT).or_else(|| metadata.annotations.get(INJECT)).cloned(),
            has_revision: metadata.labels.contains_key("istio.io/rev"),
            has_own_proxy,
            labels: metadata.labels.clone(),
            rolling: match kind {
                WorkloadKind::Deployment => &self.spec.strategy,
                WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => &self.spec.update_strategy,
            }
            .rolling(kind, self.counts(kind).desired),
        }
    }
}

/// A status that says which generation it is about, and it is the newest. A fresh object's status says nothing yet.
pub(crate) fn is_observed(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.is_some_and(|observed| observed >= generation.unwrap_or_default())
}
