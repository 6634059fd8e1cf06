//! The clusters that are as large as any of the fleet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CLUSTER, get, mark, patch, wait};
use crate::{ClusterSpec, Strategy, WorkloadKind, World, WorldSpec};

fn pages(world: &World, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let (status, page) = get(world, &format!("{path}?limit=500&continue={next}"));
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["metadata"]["continue"].as_str() {
            Some(token) => token.clone_into(&mut next),
            None => return all,
        }
    }
}

#[test]
fn two_thousand_workloads_of_every_shape_are_restarted_once() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    spec.clusters[0] = ClusterSpec::of_two_thousand(CLUSTER, "210000000001");
    let workloads = spec.clusters[0].workloads.clone();
    assert_eq!(workloads.len(), 2_000);
    let world = World::new(spec);
    assert_eq!(
        get(&world, "/api/v1/namespaces").1["items"].as_array().unwrap().len(),
        101,
        "one is for dry runs"
    );
    let shapes: BTreeSet<(WorkloadKind, bool, bool)> =
        workloads.iter().map(|one| (one.kind, one.native_sidecar, one.nodes.is_some())).collect();
    assert!(shapes.len() >= 7, "{shapes:?}");
    let before = pages(&world, "/api/v1/pods").len();
    for (number, one) in workloads.iter().enumerate() {
        assert_eq!(mark(&world, one.kind, &one.namespace, &one.name, "one").0, 200);
        if number % 100 == 99 {
            wait(&world, 60);
        }
    }
    wait(&world, 120);
    let rolls = world.rolls(CLUSTER);
    assert_eq!((rolls.len(), rolls.iter().filter(|roll| roll.waits).count()), (2_000, 20 + 20));
    let marked = |pod: &Value| pod["metadata"]["annotations"]["guard.istio.io/restart"] == "one";
    let pods = pages(&world, "/api/v1/pods");
    let waiting = workloads.iter().filter(|one| one.paused || one.strategy == Strategy::OnDelete).count();
    // istiod and the gateway are not restarted.
    assert_eq!((pods.len(), pods.iter().filter(|pod| !marked(pod)).count()), (before, 2 * waiting + 4));
    let seen = world.cluster(CLUSTER).unwrap();
    assert!(seen.workloads.iter().all(|one| one.settled && one.ready == one.replicas));
    assert!(world.worst_moments(CLUSTER).cluster.workloads <= 200);
}

/// What is kept of a list is never older than what it lists.
#[test]
fn a_list_shows_every_change() {
    let world = World::new(WorldSpec::healthy(1, "1.30.1"));
    let one = |world: &World, path: &str, name: &str| -> Value {
        let (_, list) = get(world, path);
        let mut items = list["items"].as_array().unwrap().clone().into_iter();
        items.find(|one| one["metadata"]["name"] == name).unwrap()
    };
    let whole = |mut object: Value| {
        for field in ["kind", "apiVersion"] {
            object.as_object_mut().unwrap().remove(field);
        }
        object
    };
    for second in 0..120 {
        if second % 45 == 0 {
            mark(&world, WorkloadKind::Deployment, "shop", "cart", &second.to_string());
            mark(&world, WorkloadKind::StatefulSet, "data", "ledger", &second.to_string());
        }
        if second == 30 {
            let note = json!({ "metadata": { "annotations": { "note": "of its own" } } });
            let path = "/apis/apps/v1/namespaces/shop/deployments/cart";
            assert_eq!(patch(&world, path, "application/merge-patch+json", &note).0, 200);
        }
        if second == 70 {
            world.stall_workload_for_good(CLUSTER, "shop", "cart", crate::Trouble::CrashLoop);
        }
        for (list, name) in [
            ("/apis/apps/v1/namespaces/shop/deployments", "cart"),
            ("/apis/apps/v1/namespaces/data/statefulsets", "ledger"),
            ("/api/v1/namespaces/data/pods", "ledger-2"),
        ] {
            let (status, single) = get(&world, &format!("{list}/{name}"));
            if status == 200 {
                assert_eq!(one(&world, list, name), whole(single), "{second} s: {list}/{name}");
            }
        }
        let (_, pods) = get(&world, "/api/v1/namespaces/shop/pods");
        for pod in pods["items"].as_array().unwrap() {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let (_, single) = get(&world, &format!("/api/v1/namespaces/shop/pods/{name}"));
            assert_eq!(*pod, whole(single), "{second} s: {name}");
        }
        wait(&world, 1);
    }
}
