//! PodDisruptionBudgets and evictions.

use serde_json::{Value, json};

use super::{CLUSTER, evict, get, mark, post, wait, with_workloads};
use crate::{Amount, Budget, Grant, WorkloadKind, WorkloadSpec, World};

fn team(name: &str, replicas: u32) -> WorkloadSpec {
    WorkloadSpec::new("team", name, WorkloadKind::Deployment, replicas)
}

fn budget(world: &World, name: &str) -> Value {
    get(world, &format!("/apis/policy/v1/namespaces/team/poddisruptionbudgets/{name}")).1
}

fn names(world: &World, app: &str) -> Vec<String> {
    let (_, list) = get(world, &format!("/api/v1/namespaces/team/pods?labelSelector=app%3D{app}"));
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn budgets_are_counted_live() {
    let world = with_workloads(vec![
        team("usual", 3),
        team("one", 1),
        team("bare", 3).with_budget(Budget::None),
        team("least", 3).with_budget(Budget::MinAvailable(3.into())),
        team("shares", 5).with_budget(Budget::MaxUnavailable(Amount::Percent(30))),
    ]);
    let numbers = |name: &str| {
        let status = budget(&world, name)["status"].take();
        let number = |field: &str| status[field].as_u64().unwrap();
        (
            number("expectedPods"),
            number("currentHealthy"),
            number("desiredHealthy"),
            number("disruptionsAllowed"),
        )
    };
    assert_eq!(numbers("usual"), (3, 3, 2, 1));
    assert_eq!(numbers("least"), (3, 3, 3, 0));
    assert_eq!(numbers("shares"), (5, 5, 3, 2));
    assert_eq!(
        budget(&world, "shares")["spec"],
        json!({ "maxUnavailable": "30%", "selector": { "matchLabels": { "app": "shares" } } })
    );
    assert_eq!(budget(&world, "least")["spec"]["minAvailable"], 3);
    for none in ["one", "bare"] {
        assert_eq!(budget(&world, none)["reason"], "NotFound", "{none}");
    }
    // A roll asks no budget, and a budget sees what a roll does.
    mark(&world, WorkloadKind::Deployment, "team", "least", "one");
    wait(&world, 3);
    assert_eq!(numbers("least"), (3, 2, 3, 0));
    world.set_budget(CLUSTER, "team", "usual", Budget::MinAvailable(Amount::Percent(100)));
    assert_eq!(numbers("usual"), (3, 3, 3, 0));
}

#[test]
fn an_eviction_asks_the_budget() {
    let world =
        with_workloads(vec![team("web", 3), team("guarded", 2).with_budget(Budget::MinAvailable(2.into()))]);
    let (first, second) = (&names(&world, "web")[0], &names(&world, "web")[1]);
    let (status, answer) = evict(&world, "team", first);
    assert_eq!((status, &answer["kind"], &answer["status"]), (201, &json!("Status"), &json!("Success")));
    assert_eq!(evict(&world, "team", first).1["reason"], "NotFound", "it is gone");
    let (status, refused) = evict(&world, "team", second);
    assert_eq!((status, &refused["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(refused["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    let cause = &refused["details"]["causes"][0];
    assert_eq!(cause["reason"], "DisruptionBudget");
    assert_eq!(cause["message"], "The disruption budget web needs 2 healthy pods and has 2 currently");
    assert_eq!(evict(&world, "team", &names(&world, "guarded")[0]).0, 429);
    wait(&world, 60);
    assert_eq!(names(&world, "web").len(), 3, "made anew");
    assert_eq!(evict(&world, "team", second).0, 201);
    let evicted: Vec<String> = world.evictions(CLUSTER).into_iter().map(|one| one.pod).collect();
    assert_eq!(evicted, [first.clone(), second.clone()]);
    assert!(world.rolls(CLUSTER).is_empty());
}

#[test]
fn evictions_are_checked() {
    let world = with_workloads(vec![team("web", 3)]);
    let name = names(&world, "web")[0].clone();
    let path = format!("/api/v1/namespaces/team/pods/{name}/eviction");
    let body = |kind: &str, name: &str| json!({ "apiVersion": "policy/v1", "kind": kind, "metadata": { "name": name, "namespace": "team" } });
    assert_eq!(post(&world, &path, &body("Pod", &name)).0, 400);
    assert_eq!(post(&world, &path, &body("Eviction", "other")).0, 400);
    let mut other = body("Eviction", &name);
    other["deleteOptions"] = json!({ "preconditions": { "uid": "1-2" } });
    assert_eq!(post(&world, &path, &other).0, 409);
    assert_eq!(post(&world, &format!("{path}?dryRun=All"), &body("Eviction", &name)).0, 201);
    assert_eq!(names(&world, "web").len(), 3, "a dry run");
    assert_eq!(post(&world, &path.replace("/team/", "/shop/"), &body("Eviction", &name)).0, 404);
    let grant = |verb: &str| Grant {
        groups: vec![String::new()],
        resources: vec!["pods/eviction".to_owned()],
        verbs: vec![verb.to_owned()],
        namespace: None,
    };
    world.allow_only(CLUSTER, vec![grant("get")]);
    let (status, refused) = post(&world, &path, &body("Eviction", &name));
    let message = format!("pods \"{name}\" is forbidden: User \"");
    assert_eq!(
        (status, refused["message"].as_str().unwrap().starts_with(&message)),
        (403, true),
        "{refused}"
    );
    world.allow_only(CLUSTER, vec![grant("create")]);
    assert_eq!(post(&world, &path, &body("Eviction", &name)).0, 201);
    world.forbid(CLUSTER, "pods/eviction");
    assert_eq!(post(&world, &path, &body("Eviction", &name)).0, 403);
}

#[test]
fn a_pod_that_serves_nobody_may_go() {
    let world = with_workloads(vec![team("web", 3)]);
    world.stall_workload_for_good(CLUSTER, "team", "web", crate::Trouble::CrashLoop);
    let before = names(&world, "web");
    assert_eq!(evict(&world, "team", &before[0]).0, 201);
    wait(&world, 60);
    let stuck = names(&world, "web").into_iter().find(|name| !before.contains(name)).unwrap();
    assert_eq!(evict(&world, "team", &before[1]).0, 429, "the budget is used up");
    assert_eq!(evict(&world, "team", &stuck).0, 201, "the others are enough");
}
