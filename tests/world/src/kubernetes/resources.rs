//! Which resources the API server serves, and where their objects come from.

use serde_json::{Value, json};

use super::{flux_objects, objects, pods, weight, workloads};
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::State;

/// One served resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

const fn of(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { group, version, plural, kind, namespaced }
}

/// The way through the API server to what a pod serves. It is no list of objects.
pub(super) static POD_PROXY: Resource = of("", "v1", "pods/proxy", "Pod", true);

const SOURCE: &str = "source.toolkit.fluxcd.io";

pub(super) static SERVED: [Resource; 21] = [
    of("", "v1", "nodes", "Node", false),
    of("", "v1", "namespaces", "Namespace", false),
    of("", "v1", "pods", "Pod", true),
    of("", "v1", "services", "Service", true),
    of("", "v1", "events", "Event", true),
    of("apps", "v1", "deployments", "Deployment", true),
    of("apps", "v1", "statefulsets", "StatefulSet", true),
    of("apps", "v1", "daemonsets", "DaemonSet", true),
    of("apps", "v1", "replicasets", "ReplicaSet", true),
    of("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true),
    of(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        false,
    ),
    of(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        false,
    ),
    of("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true),
    of("networking.istio.io", "v1alpha3", "envoyfilters", "EnvoyFilter", true),
    of("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
    of(SOURCE, "v1", "gitrepositories", "GitRepository", true),
    of(SOURCE, "v1", "helmrepositories", "HelmRepository", true),
    of(SOURCE, "v1", "ocirepositories", "OCIRepository", true),
    of(SOURCE, "v1", "helmcharts", "HelmChart", true),
    of("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization", true),
    of("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease", true),
];

pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    SERVED.iter().find(|one| one.group == group && one.version == version && one.plural == plural)
}

impl Resource {
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// Every object of a resource, sorted by namespace and name as etcd's keys are.
pub(super) fn all(state: &State, cluster: &Cluster, resource: &Resource) -> Vec<Value> {
    let mut all = match resource.plural {
        "nodes" => objects::nodes(cluster),
        "namespaces" => objects::namespaces(cluster),
        "pods" => pods::pods(state, cluster),
        "services" => objects::services(cluster),
        "deployments" => workloads::workloads(cluster, WorkloadKind::Deployment),
        "statefulsets" => workloads::workloads(cluster, WorkloadKind::StatefulSet),
        "daemonsets" => workloads::workloads(cluster, WorkloadKind::DaemonSet),
        "replicasets" => workloads::replica_sets(cluster),
        "poddisruptionbudgets" => objects::disruption_budgets(cluster),
        "mutatingwebhookconfigurations" => objects::webhooks(cluster, &state.authority.pem()),
        "validatingwebhookconfigurations" => objects::validators(cluster, &state.authority.pem()),
        "endpointslices" => objects::endpoint_slices(cluster),
        "customresourcedefinitions" => objects::definitions(cluster),
        "gitrepositories" => flux_objects::git_repositories(state, cluster),
        "helmrepositories" => flux_objects::helm_repositories(cluster),
        "ocirepositories" => flux_objects::oci_repositories(cluster),
        "helmcharts" => flux_objects::helm_charts(cluster),
        "kustomizations" => flux_objects::kustomizations(cluster),
        "helmreleases" => flux_objects::helm_releases(cluster),
        _ => Vec::new(),
    };
    for bend in cluster.bends.iter().filter(|bend| bend.plural == resource.plural) {
        (bend.change)(&mut all);
    }
    if cluster.spec.real_sizes {
        weight::add(resource.plural, &mut all);
    }
    all.sort_by_cached_key(key);
    all
}

/// An object's place in the order of lists.
pub(super) fn key(object: &Value) -> (String, String) {
    let part = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (part("namespace"), part("name"))
}

/// The object with its `apiVersion` and `kind`, which items of a list go without.
pub(super) fn typed(resource: &Resource, object: Value) -> Value {
    let mut full = json!({ "kind": resource.kind, "apiVersion": resource.api_version() });
    if let (Some(full), Value::Object(object)) = (full.as_object_mut(), object) {
        full.extend(object);
    }
    full
}
