//! Member accounts and clusters: a role whose trust fits the functions, and a ClusterRole that fits the calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use guard_simulation::{Fault, Fleet, Occasion, Scenario, Story, What};
use serde_json::{Value, json};

use crate::access::{of_role, role_of};
use crate::stack::{Stack, names_in, read};
use crate::yaml;

const GIVEN: [(&str, &str); 3] =
    [("GuardAccountId", "999999999999"), ("ExternalId", "guard-4f1c"), ("AccessEntryCluster", "eks-1")];

#[test]
fn the_member_role_trusts_the_functions_that_assume_it_and_no_other() {
    let guard = Stack::of_guard(&[]);
    let mut assuming = Vec::new();
    for function in names_in("functions") {
        if of_role(&guard, &role_of(&guard, &function)).iter().any(|(action, _)| action == "sts:AssumeRole") {
            assuming.push(format!("arn:aws:iam::999999999999:role/guard-*-{function}"));
        }
    }
    let role = Stack::new("infra/member-role.yaml", &GIVEN).resource("MemberRole");
    let trust = &role.properties["AssumeRolePolicyDocument"]["Statement"];
    assert_eq!(trust.as_array().unwrap().len(), 1);
    assert_eq!(trust[0]["Principal"], json!({"AWS": "arn:aws:iam::999999999999:root"}));
    assert_eq!(trust[0]["Condition"]["StringEquals"], json!({"sts:ExternalId": "guard-4f1c"}));
    let mut trusted: Vec<&str> = trust[0]["Condition"]["ArnLike"]["aws:PrincipalArn"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arn| arn.as_str().unwrap())
        .collect();
    trusted.sort_unstable();
    assuming.sort();
    assert_eq!(trusted, assuming);
    // By default the stack may assume roles of the name that this template gives by default.
    let may = of_role(&guard, &role_of(&guard, "pre-check"));
    let name = role.properties["RoleName"].as_str().unwrap();
    assert!(may.contains(&("sts:AssumeRole".to_owned(), format!("arn:aws:iam::*:role/{name}"))));
}

#[test]
fn the_member_role_may_look_at_clusters_and_nothing_else() {
    let stack = Stack::new("infra/member-role.yaml", &GIVEN);
    let may = of_role(&stack, &stack.resource("MemberRole"));
    let clusters = "arn:aws:eks:*:123456789012:cluster/*".to_owned();
    assert_eq!(may, BTreeSet::from([("eks:DescribeCluster".to_owned(), clusters)]));
    let entry = stack.resource("AccessEntry").properties;
    assert_eq!((&entry["ClusterName"], &entry["KubernetesGroups"]), (&json!("eks-1"), &json!(["guard"])));
    assert_eq!(entry.get("AccessPolicies"), None);
}

/// Verb, API group and resource.
type Call = (String, String, String);

/// What a request to an API server asks for; `None` for what everybody may ask.
fn asked(operation: &str) -> Option<Call> {
    let (method, rest) = operation.split_once(' ').unwrap();
    let path: Vec<&str> = rest.split('/').skip(1).collect();
    let (group, inner) = match path[..] {
        ["api", _, ref inner @ ..] => ("", inner),
        // Discovery.
        ["apis" | "version"] => return None,
        ["apis", group, _, ref inner @ ..] => (group, inner),
        _ => crate::stack::fail(&format!("{operation} is no request that is known here")),
    };
    if let ["namespaces", _, "pods", _, "proxy", ..] = inner {
        return Some(("get".to_owned(), String::new(), "pods/proxy".to_owned()));
    }
    let (resource, has_name) = match inner {
        [resource] | ["namespaces", _, resource] => (resource, false),
        ["namespaces", _, resource, _] | [resource, _] => (resource, true),
        _ => crate::stack::fail(&format!("{operation} is no request that is known here")),
    };
    let verb = match (method, has_name) {
        ("GET", false) => "list",
        ("GET", true) => "get",
        ("PATCH", true) => "patch",
        ("POST", false) => "create",
        _ => crate::stack::fail(&format!("{operation} is no request that is known here")),
    };
    Some((verb.to_owned(), group.to_owned(), (*resource).to_owned()))
}

#[tokio::test(flavor = "current_thread")]
async fn the_cluster_role_allows_the_calls_of_a_run_and_nothing_else() {
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let hook = move |occasion: &Occasion| -> Option<Fault> {
        if let What::Call { system: "Kubernetes", operation } = &occasion.what {
            kept.lock().unwrap().insert(operation.clone());
        }
        None
    };
    // Checks, both directions, restarts of every kind of workload; what the events say of one that does not come up, and pods
    // that GUARD evicts are added.
    let mut fleet = Fleet::new(5, 1, None, None).unwrap();
    fleet.config.policy.nudge_flux = true;
    Story::with_faults(Scenario::Regression, fleet, hook).unwrap().play().await.unwrap();
    let mut used: BTreeSet<Call> =
        seen.lock().unwrap().iter().filter_map(|operation| asked(operation)).collect();
    // Pods that GUARD evicts, and events of a workload that does not come up: tests/rbac.rs plays these.
    used.extend(
        [("create", "pods/eviction"), ("list", "events")]
            .map(|(verb, resource)| (verb.to_owned(), String::new(), resource.to_owned())),
    );
    let documents = yaml::documents(&read("docs/rbac.yaml"));
    let of_kind = |kind: &'static str| documents.iter().filter(move |one| one["kind"] == kind);
    let allowed = |role: &Value| -> BTreeSet<Call> {
        role["rules"].as_array().unwrap().iter().flat_map(each).collect()
    };
    let [reads, restarts, nudges] = of_kind("ClusterRole").collect::<Vec<_>>()[..] else {
        panic!("three roles")
    };
    let narrow: Vec<&Value> = of_kind("Role").collect();
    let all = [reads, restarts, nudges].into_iter().chain(narrow.iter().copied());
    assert_eq!(all.flat_map(&allowed).collect::<BTreeSet<Call>>(), used);
    // What would be too much everywhere holds in one namespace each.
    let places: Vec<(&str, BTreeSet<Call>)> =
        narrow.iter().map(|role| (role["metadata"]["namespace"].as_str().unwrap(), allowed(role))).collect();
    let only =
        |verb: &str, resource: &str| BTreeSet::from([(verb.to_owned(), String::new(), resource.to_owned())]);
    assert_eq!(
        places,
        [("istio-system", only("get", "pods/proxy")), ("guard-probe", only("create", "pods"))]
    );
    for (role, binding) in narrow.iter().zip(of_kind("RoleBinding")) {
        assert_eq!(binding["subjects"][0]["name"], "guard");
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
        assert_eq!(binding["metadata"]["namespace"], role["metadata"]["namespace"]);
    }
    assert!(allowed(reads).iter().all(|(verb, _, _)| verb == "list" || verb == "get"));
    assert!(allowed(restarts).iter().all(|(verb, group, resource)| {
        (verb == "patch" && group == "apps") || (verb == "create" && resource == "pods/eviction")
    }));
    assert!(
        allowed(nudges)
            .iter()
            .all(|(verb, group, _)| verb == "patch" && group.ends_with("toolkit.fluxcd.io"))
    );
    for (role, binding) in [reads, restarts, nudges].into_iter().zip(of_kind("ClusterRoleBinding")) {
        assert_eq!(binding["subjects"][0]["name"], "guard", "the group of the access entry");
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    }
    assert_eq!(documents.len(), 11);
}

/// istioctl reads for itself and is not seen here. What may be said: it reads, and no Secret but those of one namespace.
#[test]
fn the_analyzers_role_only_reads_and_no_secret_outside_of_istios_namespace() {
    let documents = yaml::documents(&read("docs/rbac-analyze.yaml"));
    let of_kind =
        |kind: &str| -> Vec<&Value> { documents.iter().filter(|one| one["kind"] == kind).collect() };
    let rules =
        |one: &Value| -> BTreeSet<Call> { one["rules"].as_array().unwrap().iter().flat_map(each).collect() };
    let (wide, narrow) = (of_kind("ClusterRole"), of_kind("Role"));
    assert_eq!((wide.len(), narrow.len()), (1, 1));
    for (verb, group, resource) in rules(wide[0]).iter().chain(&rules(narrow[0])) {
        assert!(["get", "list", "watch"].contains(&verb.as_str()), "{verb} {resource}");
        assert!(!(group == "*" || group.is_empty() && resource == "*"), "{verb} {group}/{resource}");
    }
    assert!(rules(wide[0]).iter().all(|(_, _, resource)| resource != "secrets" && resource != "configmaps"));
    assert_eq!(narrow[0]["metadata"]["namespace"], "istio-system");
    let secrets: Vec<Call> =
        rules(narrow[0]).into_iter().filter(|(_, _, resource)| resource == "secrets").collect();
    assert_eq!(secrets, [("list".to_owned(), String::new(), "secrets".to_owned())]);
    for binding in of_kind("ClusterRoleBinding").into_iter().chain(of_kind("RoleBinding")) {
        assert_eq!(binding["subjects"][0]["name"], "guard");
    }
}

fn each(rule: &Value) -> Vec<Call> {
    let texts = |key: &str| -> Vec<String> {
        rule[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = Vec::new();
    for verb in texts("verbs") {
        for group in texts("apiGroups") {
            all.extend(
                texts("resources").into_iter().map(|resource| (verb.clone(), group.clone(), resource)),
            );
        }
    }
    all
}
