//! Which resources the API server serves, and where their objects come from.

use serde_json::{Value, json};

use super::{budgets, events, flux_objects, nodes, objects, pods, weight, workloads};
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::State;
use crate::workload::Workload;

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

/// The eviction of a pod.
pub(super) static POD_EVICTION: Resource = of("", "v1", "pods/eviction", "Eviction", true);

/// What both are about.
pub(super) static POD: Resource = of("", "v1", "pods", "Pod", true);

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

/// Which objects of a resource are asked for, so that no others are made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scope<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl Scope<'_> {
    fn holds(&self, object: &Value) -> bool {
        let is = |wanted: Option<&str>, name: &str| wanted.is_none_or(|one| object["metadata"][name] == one);
        is(self.namespace, "namespace") && is(self.name, "name")
    }
}

/// The objects of a resource within a scope, sorted by namespace and name as etcd's keys are.
pub(super) fn within(state: &State, cluster: &Cluster, resource: &Resource, scope: Scope<'_>) -> Vec<Value> {
    let bends = || cluster.bends.iter().filter(|bend| bend.plural == resource.plural);
    // Who bends a list is given all of it.
    let made = if bends().next().is_some() { Scope::default() } else { scope };
    let mut all = made_objects(state, cluster, resource, made);
    for bend in bends() {
        (bend.change)(&mut all);
    }
    all.retain(|object| scope.holds(object));
    if cluster.spec.real_sizes {
        weight::add(resource.plural, &mut all);
    }
    all.sort_by_cached_key(key);
    all
}

fn made_objects(state: &State, cluster: &Cluster, resource: &Resource, scope: Scope<'_>) -> Vec<Value> {
    let is_here = |one: &&Workload| scope.namespace.is_none_or(|namespace| one.namespace() == namespace);
    let here = || cluster.workloads.values().filter(is_here);
    let of_kind = |kind: WorkloadKind| -> Vec<Value> {
        let is_meant =
            |one: &&Workload| one.kind() == kind && scope.name.is_none_or(|name| one.name() == name);
        here().filter(is_meant).map(|one| workloads::workload(cluster, one, state.now)).collect()
    };
    match resource.plural {
        "nodes" => nodes::nodes(cluster),
        "namespaces" => objects::namespaces(cluster),
        "pods" => here().flat_map(|one| pods::pods(state, cluster, one, scope.name)).collect(),
        "services" => here().map(|one| objects::service(cluster, one)).collect(),
        "events" => here().flat_map(|one| events::of_workload(cluster, one, state.now)).collect(),
        "deployments" => of_kind(WorkloadKind::Deployment),
        "statefulsets" => of_kind(WorkloadKind::StatefulSet),
        "daemonsets" => of_kind(WorkloadKind::DaemonSet),
        "replicasets" => here().flat_map(|one| workloads::replica_sets(cluster, one)).collect(),
        "poddisruptionbudgets" => here().filter_map(|one| budgets::budget(cluster, one)).collect(),
        "mutatingwebhookconfigurations" => objects::webhooks(cluster, &state.authority.pem()),
        "validatingwebhookconfigurations" => objects::validators(cluster, &state.authority.pem()),
        "endpointslices" => here().map(|one| objects::endpoint_slice(cluster, one)).collect(),
        "customresourcedefinitions" => objects::definitions(cluster),
        "gitrepositories" => flux_objects::git_repositories(state, cluster),
        "helmrepositories" => flux_objects::helm_repositories(cluster),
        "ocirepositories" => flux_objects::oci_repositories(cluster),
        "helmcharts" => flux_objects::helm_charts(cluster),
        "kustomizations" => flux_objects::kustomizations(cluster),
        "helmreleases" => flux_objects::helm_releases(cluster, state.now),
        _ => Vec::new(),
    }
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
