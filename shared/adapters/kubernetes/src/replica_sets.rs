//! Which Deployment a pod of a ReplicaSet belongs to. A name cannot tell: `web-5d4f` may be any Deployment's, or an Argo
//! Rollout's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Client;

use crate::list::List;
use crate::object::{Named, Owner};
use crate::pods::MeshPod;

/// Each Deployment keeps ten old ReplicaSets (`revisionHistoryLimit`), and none of them has a pod. This is one of the few
/// fields that API servers select by:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>.
const WITH_PODS: &str = "status.replicas!=0";

/// Namespaces read one by one before all are.
const NAMESPACES_MAX: usize = 5;

/// What controls each ReplicaSet, by its uid; those that nothing controls are not in it.
pub(crate) type Owners = HashMap<String, Owner>;

/// The owners of the ReplicaSets of these pods.
pub(crate) async fn owners(client: &Client, pods: &[MeshPod]) -> Result<Owners, TaskError> {
    let mut wanted = BTreeMap::<&str, &str>::new();
    for pod in pods.iter().filter(|pod| pod.has_proxy()) {
        if let Some(owner) = pod.owner.as_ref().filter(|owner| owner.is_apps("ReplicaSet")) {
            wanted.insert(&owner.uid, &pod.namespace);
        }
    }
    if wanted.is_empty() {
        return Ok(Owners::new());
    }
    let mut known = read(client, List::of::<ReplicaSet>().with_field(WITH_PODS)).await?;
    // A set that was made a moment ago has pods before its status counts them.
    wanted.retain(|uid, _| !known.contains_key(*uid));
    let namespaces: BTreeSet<&str> = wanted.into_values().collect();
    if namespaces.len() > NAMESPACES_MAX {
        known.extend(read(client, List::of::<ReplicaSet>()).await?);
    } else {
        for namespace in namespaces {
            known.extend(read(client, List::within::<ReplicaSet>(namespace)).await?);
        }
    }
    Ok(known.into_iter().filter_map(|(uid, owner)| Some((uid, owner?))).collect())
}

async fn read(client: &Client, list: List) -> Result<HashMap<String, Option<Owner>>, TaskError> {
    let sets = list.metadata_only().read(client, |set: Named| {
        let owner = set.metadata.controller().cloned();
        set.metadata.uid.map(|uid| (uid, owner))
    });
    Ok(sets.await.context("list replica sets")?.into_iter().collect())
}
