//! The lists that are long: each object is made only when it is meant, and its JSON is kept until it changes.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::form::Form;
use super::list::Place;
use super::resources::{Resource, Scope};
use super::selector::{Selector, field};
use super::{pod_status, pods, workloads};
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::State;
use crate::workload::Workload;

/// What an object's JSON follows from, as far as it changes.
pub(super) type Mark = (u64, u64);

/// An object's place and JSON, and its mark where the JSON is new and worth keeping.
pub(super) type Item = (Place, Arc<str>, Option<Mark>);

/// The JSON of objects as they were shown last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(HashMap<(&'static str, Form, Place), (Mark, Arc<str>)>);

/// An object that may be in a list.
struct Candidate<'a> {
    place: Place,
    labels: Box<dyn Fn() -> Value + 'a>,
    make: Box<dyn Fn() -> Value + 'a>,
    /// Without one its JSON follows from the time too.
    mark: Option<Mark>,
    /// `status.replicas` of a ReplicaSet, by which most are left out.
    replicas: Option<usize>,
}

impl Candidate<'_> {
    /// The value of a field, if it is known without making the object.
    fn known(&self, path: &str) -> Option<String> {
        match path {
            "metadata.namespace" => Some(self.place.0.clone()),
            "metadata.name" => Some(self.place.1.clone()),
            "status.replicas" => self.replicas.map(|count| count.to_string()),
            _ => None,
        }
    }

    fn is_meant(&self, labels: &Selector, fields: &Selector) -> bool {
        if !labels.is_empty() {
            let own = (self.labels)();
            if !labels.matches(|name| own[name].as_str().map(str::to_owned)) {
                return false;
            }
        }
        if fields.names().all(|name| self.known(name).is_some()) {
            return fields.matches(|path| self.known(path));
        }
        let object = (self.make)();
        fields.matches(|path| field(&object, path))
    }
}

/// The items of a list, in the order of their places; `None` for a resource that is listed otherwise.
pub(super) fn items(
    state: &State,
    cluster: &Cluster,
    resource: &'static Resource,
    scope: Scope<'_>,
    (labels, fields): (&Selector, &Selector),
    form: Form,
) -> Option<Vec<Item>> {
    let is_bent = cluster.bends.iter().any(|bend| bend.plural == resource.plural);
    if is_bent || cluster.spec.real_sizes {
        return None;
    }
    let is_here = |one: &&Workload| scope.namespace.is_none_or(|namespace| one.namespace() == namespace);
    let here = cluster.workloads.values().filter(is_here);
    let all: Vec<Candidate<'_>> = match resource.plural {
        "pods" => here.flat_map(|one| of_pods(state, cluster, one)).collect(),
        "deployments" => of_kind(state, cluster, here, WorkloadKind::Deployment),
        "statefulsets" => of_kind(state, cluster, here, WorkloadKind::StatefulSet),
        "daemonsets" => of_kind(state, cluster, here, WorkloadKind::DaemonSet),
        "replicasets" => here.flat_map(|one| of_sets(cluster, one)).collect(),
        _ => return None,
    };
    let item = |candidate: Candidate<'_>| {
        let key = (resource.plural, form, candidate.place.clone());
        let shown = candidate.mark.and_then(|mark| {
            let (then, text) = cluster.shown.0.get(&key)?;
            (*then == mark).then(|| Arc::clone(text))
        });
        let is_new = shown.is_none();
        let text = shown.unwrap_or_else(|| form.item(resource, (candidate.make)()).to_string().into());
        (candidate.place, text, candidate.mark.filter(|_| is_new))
    };
    let mut items: Vec<_> = all.into_iter().filter(|one| one.is_meant(labels, fields)).map(item).collect();
    items.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    Some(items)
}

impl Shown {
    /// Keeps the JSON of an object.
    pub(super) fn keep(
        &mut self,
        resource: &'static Resource,
        form: Form,
        place: Place,
        mark: Mark,
        text: Arc<str>,
    ) {
        self.0.insert((resource.plural, form, place), (mark, text));
    }
}

fn of_pods<'a>(state: &'a State, cluster: &'a Cluster, workload: &'a Workload) -> Vec<Candidate<'a>> {
    let of = |pod: &'a crate::workload::Pod| {
        // istiod's and the gateways' labels follow from their charts, and what is wrong with a pod from the time.
        let is_steady = workload.is_application() && pod_status::trouble(cluster, workload, pod).is_none();
        Candidate {
            place: (workload.namespace().to_owned(), pod.name.clone()),
            labels: Box::new(move || pods::labels(workload, pod)),
            make: Box::new(move || pods::pod_object(state, cluster, workload, pod)),
            mark: is_steady.then_some((pod.number, pod.resource_version)),
            replicas: None,
        }
    };
    workload.pods.iter().map(of).collect()
}

fn of_kind<'a>(
    state: &'a State,
    cluster: &'a Cluster,
    here: impl Iterator<Item = &'a Workload>,
    kind: WorkloadKind,
) -> Vec<Candidate<'a>> {
    let of = |workload: &'a Workload| Candidate {
        place: (workload.namespace().to_owned(), workload.name().to_owned()),
        labels: Box::new(move || workloads::labels(workload)),
        make: Box::new(move || workloads::workload(cluster, workload, state.now)),
        mark: Some((workload.resource_version, u64::from(workload.stuck_since(state.now).is_some()))),
        replicas: None,
    };
    here.filter(|one| one.kind() == kind).map(of).collect()
}

fn of_sets<'a>(cluster: &'a Cluster, workload: &'a Workload) -> Vec<Candidate<'a>> {
    let of = |hash: String| {
        let count = workload.pods.iter().filter(|pod| pod.hash == hash).count();
        let (place, own) =
            ((workload.namespace().to_owned(), format!("{}-{hash}", workload.name())), hash.clone());
        Candidate {
            place,
            labels: Box::new(move || workloads::set_labels(workload, &own)),
            make: Box::new(move || workloads::replica_set(cluster, workload, &hash)),
            mark: Some((workload.resource_version, 0)),
            replicas: Some(count),
        }
    };
    workloads::set_hashes(cluster, workload).into_iter().map(of).collect()
}
