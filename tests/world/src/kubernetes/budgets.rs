//! PodDisruptionBudgets, and the eviction of pods that asks them.

use serde_json::{Value, json};

use super::objects::metadata;
use super::{Target, resources};
use super::{User, bad_request, not_found, status};
use crate::call::{self, Answer, Call};
use crate::cluster::Cluster;
use crate::spec::{Budget, WorkloadKind};
use crate::state::{Event, State, stamp};
use crate::workload::Workload;

/// What a budget says of its workload now.
struct Counted {
    spec: Value,
    /// The ready pods that must stay.
    desired: usize,
    healthy: usize,
    expected: usize,
}

impl Counted {
    fn of(workload: &Workload) -> Option<Self> {
        let (wanted, healthy) = (workload.replicas, workload.ready());
        let (spec, desired) = match workload.spec.budget {
            // Evictions leave a DaemonSet's pods alone, so nobody gives it a budget.
            Budget::Usual if workload.kind() != WorkloadKind::DaemonSet && wanted > 1 => {
                (json!({ "maxUnavailable": 1 }), wanted - 1)
            }
            Budget::Usual | Budget::None => return None,
            Budget::MinAvailable(amount) => (json!({ "minAvailable": amount.json() }), amount.up(wanted)),
            Budget::MaxUnavailable(amount) => {
                (json!({ "maxUnavailable": amount.json() }), wanted.saturating_sub(amount.up(wanted)))
            }
        };
        Some(Self { spec, desired, healthy, expected: wanted })
    }

    fn allowed(&self) -> usize {
        if self.expected == 0 { 0 } else { self.healthy.saturating_sub(self.desired) }
    }
}

pub(super) fn budget(cluster: &Cluster, workload: &Workload) -> Option<Value> {
    let counted = Counted::of(workload)?;
    let meta = metadata(cluster, "PodDisruptionBudget", Some(workload.namespace()), workload.name());
    let mut spec = counted.spec.clone();
    spec["selector"] = json!({ "matchLabels": super::workloads::selector_labels(workload) });
    let is_allowed = counted.allowed() > 0;
    let condition = json!({
        "type": "DisruptionAllowed", "status": if is_allowed { "True" } else { "False" }, "message": "", "observedGeneration": 1,
        "reason": if is_allowed { "SufficientPods" } else { "InsufficientPods" }, "lastTransitionTime": stamp(workload.changed),
    });
    Some(json!({
        "metadata": meta,
        "spec": spec,
        "status": {
            "observedGeneration": 1, "expectedPods": counted.expected, "currentHealthy": counted.healthy,
            "desiredHealthy": counted.desired, "disruptionsAllowed": counted.allowed(), "conditions": [condition],
        },
    }))
}

/// `POST .../pods/NAME/eviction`.
pub(super) fn evict(
    state: &mut State,
    call: &Call,
    cluster_id: &str,
    user: &User,
    (namespace, name): (&str, &str),
) -> Answer {
    let resource = &resources::POD_EVICTION;
    let target = Target { resource, namespace: Some(namespace.to_owned()), name: Some(name.to_owned()) };
    if let Some(refused) = super::forbidden(state, call, cluster_id, user, &target) {
        return refused;
    }
    let Some(body) = call.json() else {
        return bad_request("the object provided is unrecognized (must be of type Eviction)");
    };
    if body["kind"] != "Eviction"
        || !["policy/v1", "policy/v1beta1"].map(Value::from).contains(&body["apiVersion"])
    {
        return bad_request("the object provided is unrecognized (must be of type Eviction)");
    }
    if body["metadata"]["name"].as_str().is_some_and(|given| given != name) {
        return bad_request("name in URL does not match name in Eviction object");
    }
    let pods = Target { resource: &resources::POD, ..target };
    let Some(cluster) = state.clusters.get(cluster_id) else { return not_found(&pods, name) };
    let here = cluster.workloads.values().filter(|workload| workload.namespace() == namespace);
    let found = here.flat_map(|workload| workload.pods.iter().map(move |pod| (workload, pod)));
    let Some((workload, pod)) = found.into_iter().find(|(_, pod)| pod.name == name) else {
        return not_found(&pods, name);
    };
    let uid = super::pods::uid(cluster, workload, pod);
    if body
        .pointer("/deleteOptions/preconditions/uid")
        .and_then(Value::as_str)
        .is_some_and(|given| given != uid)
    {
        let message = format!(
            "Operation cannot be fulfilled on pods \"{name}\": the UID in the precondition ({}) does not match the UID in record ({uid}). The object might have been deleted and then recreated",
            body["deleteOptions"]["preconditions"]["uid"].as_str().unwrap_or_default()
        );
        return status(409, "Conflict", &message, &json!({ "name": name, "kind": "pods" }));
    }
    // A pod that never ran is not what the budget protects; one that is not ready may go while the others are enough.
    let never_ran = super::pod_status::phase(cluster, workload, pod) == "Pending";
    let refused = Counted::of(workload).filter(|counted| {
        let is_spare = !pod.ready && counted.healthy >= counted.desired && counted.desired > 0;
        !never_ran && !is_spare && counted.allowed() == 0
    });
    if let Some(counted) = refused {
        let cause = format!(
            "The disruption budget {} needs {} healthy pods and has {} currently",
            workload.name(),
            counted.desired,
            counted.healthy
        );
        let details = json!({ "causes": [{ "reason": "DisruptionBudget", "message": cause }] });
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        return status(429, "TooManyRequests", message, &details);
    }
    let is_dry = call.get("dryRun").is_some() || body.pointer("/deleteOptions/dryRun/0").is_some();
    if !is_dry {
        let (key, now) = (workload.key.clone(), state.now);
        let is_due = state.clusters.get_mut(cluster_id).is_some_and(|cluster| cluster.evict(&key, name, now));
        if is_due {
            state.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload: key });
        }
    }
    call::json(
        201,
        &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }),
    )
}
