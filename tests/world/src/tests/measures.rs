//! What a test can ask of the whole course of a story.

use super::{CLUSTER, evict, get, mark, propose, restart_all, wait, with_workloads, world};
use crate::{Disturbance, Strategy, WorkloadKind, WorkloadSpec};

#[test]
fn every_roll_is_told_with_its_mark_and_what_ran_before() {
    let world = world();
    mark(&world, WorkloadKind::Deployment, "shop", "cart", "run-1/up");
    wait(&world, 100);
    mark(&world, WorkloadKind::Deployment, "shop", "cart", "run-1/up");
    mark(&world, WorkloadKind::Deployment, "shop", "cart", "run-1/back");
    let rolls = world.rolls(CLUSTER);
    let marks: Vec<&str> = rolls.iter().filter_map(|roll| roll.mark.as_deref()).collect();
    assert_eq!(marks, ["run-1/up", "run-1/back"], "the same mark begins nothing");
    assert_eq!((rolls[0].name.as_str(), rolls[0].waits), ("cart", false));
    assert_eq!(rolls[0].proxies, [("1.30.1".to_owned(), 3)].into());
    assert!(rolls[1].at > rolls[0].at);
}

#[test]
fn the_worst_moments_are_kept_by_namespace() {
    let team = |namespace: &str, name: &str| WorkloadSpec::new(namespace, name, WorkloadKind::Deployment, 4);
    let world = with_workloads(vec![
        team("a", "one").rolling(2, 0),
        team("a", "two").rolling(2, 0),
        team("a", "four").rolling(2, 0),
        team("b", "three"),
    ]);
    let of = |pods: usize, workloads: usize| Disturbance { pods, workloads };
    assert_eq!(world.worst_moments(CLUSTER).cluster, of(0, 0));
    mark(&world, WorkloadKind::Deployment, "a", "one", "x");
    wait(&world, 120);
    mark(&world, WorkloadKind::Deployment, "a", "two", "x");
    mark(&world, WorkloadKind::Deployment, "a", "four", "x");
    mark(&world, WorkloadKind::Deployment, "b", "three", "x");
    wait(&world, 120);
    let worst = world.worst_moments(CLUSTER);
    assert_eq!(worst.cluster, of(5, 3));
    assert_eq!((worst.namespaces["a"], worst.namespaces["b"]), (of(4, 2), of(1, 1)));
    assert_eq!(world.cluster(CLUSTER).unwrap().max_unavailable_pods, 5);
}

#[test]
fn charts_that_roll_gateways_disturb_no_application() {
    let world = world();
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 30 * 60);
    let rolled: Vec<String> = world.rolls(CLUSTER).into_iter().map(|roll| roll.name).collect();
    assert_eq!(rolled, ["istiod", "istio-ingressgateway"]);
    assert_eq!(world.worst_moments(CLUSTER).cluster, Disturbance::default());
}

#[test]
fn an_evicted_pod_of_an_on_delete_workload_counts() {
    let spec =
        WorkloadSpec::new("team", "store", WorkloadKind::StatefulSet, 3).replaced_by(Strategy::OnDelete);
    let world = with_workloads(vec![spec]);
    evict(&world, "team", "store-2");
    assert_eq!(world.worst_moments(CLUSTER).namespaces["team"], Disturbance { pods: 1, workloads: 1 });
}

#[test]
fn proxies_ahead_are_found_when_nothing_moves() {
    let world = world();
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 30 * 60);
    restart_all(&world, "up");
    assert!(world.proxies_ahead_at_rest(CLUSTER).is_empty());
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 15 * 60);
    let ahead = world.proxies_ahead_at_rest(CLUSTER);
    assert_eq!(ahead.len(), 15, "{ahead:?}");
    let (_, pods) = get(&world, "/api/v1/namespaces/shop/pods?labelSelector=app%3Dcart");
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap();
    assert!(ahead.contains(&format!("shop/{name}")));
    mark(&world, WorkloadKind::Deployment, "shop", "cart", "back");
    assert!(world.proxies_ahead_at_rest(CLUSTER).is_empty(), "while something rolls nothing is said");
    wait(&world, 120);
    assert_eq!(world.proxies_ahead_at_rest(CLUSTER).len(), 12);
}
