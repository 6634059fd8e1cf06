use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{CLUSTER, assume, bearer, body, get, patch, presigned, restart, token, wait, with_token, world};
use crate::World;

fn version(world: &World, token: &str) -> StatusCode {
    with_token(world, CLUSTER, token, "/version").status()
}

#[test]
fn a_token_is_checked_as_the_authenticator_does() {
    let world = world();
    let (key, session) = assume(&world, CLUSTER);
    let good = presigned(&world, &key, &session);
    assert_eq!(version(&world, &bearer(&good)), 200);
    assert_eq!(version(&world, &bearer(&format!("{good}&x-id=GetCallerIdentity"))), 401);
    assert_eq!(version(&world, &bearer(&good.replace("%3Bx-k8s-aws-id", ""))), 401);
    assert_eq!(version(&world, &bearer(&good.replace("eu-west-1.amazonaws", "us-east-1.amazonaws"))), 401);
    assert_eq!(version(&world, &bearer(&good.replace(&key, "ASIAUNKNOWN"))), 401);
    assert_eq!(version(&world, &bearer(&format!("{good}&X-Amz-Expires=60"))), 401);
    assert_eq!(version(&world, bearer(&good).trim_start_matches("k8s-aws-v1.")), 401);
    assert_eq!(version(&world, &token(&world, "test-euw1-2")), 401, "the other cluster's role");
    wait(&world, 15 * 60);
    assert_eq!(version(&world, &bearer(&good)), 200);
    wait(&world, 1);
    assert_eq!(version(&world, &bearer(&good)), 401);
}

#[test]
fn without_a_token_only_the_version_is_told() {
    let world = world();
    let hex = world.state().clusters[CLUSTER].hex_id.clone();
    let ask = |path: &str| {
        let uri = format!("https://{hex}.gr7.eu-west-1.eks.amazonaws.com{path}");
        world.handle(Request::get(uri).body(Bytes::new()).unwrap())
    };
    assert_eq!(ask("/version").status(), 200);
    let refused = ask("/api/v1/pods");
    assert_eq!(refused.status(), 403);
    let message = "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
    assert_eq!(body(&refused)["message"], message);
}

#[test]
fn eks_describes_a_cluster_to_its_own_role() {
    let world = world();
    let (key, _) = assume(&world, CLUSTER);
    let ask = |key: &str, name: &str| {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={key}/20260923/eu-west-1/eks/aws4_request, Signature=0");
        let request = Request::get(format!("https://eks.eu-west-1.amazonaws.com/clusters/{name}"));
        world.handle(request.header("authorization", signed).body(Bytes::new()).unwrap())
    };
    let answer = ask(&key, CLUSTER);
    let cluster = &body(&answer)["cluster"];
    assert_eq!(cluster["status"], "ACTIVE");
    let hex = world.state().clusters[CLUSTER].hex_id.clone();
    assert_eq!(cluster["endpoint"], format!("https://{hex}.gr7.eu-west-1.eks.amazonaws.com"));
    assert!(world.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(ask(&key, "test-euw1-2").status(), 403);
    assert_eq!(ask("AKIABASE", CLUSTER).status(), 403);
    let missing = ask(&key, "nowhere");
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["x-amzn-errortype"], "ResourceNotFoundException");
}

#[test]
fn an_external_id_must_match() {
    let mut spec = crate::WorldSpec::healthy(1, "1.30.1");
    spec.clusters[0].external_id = Some("guard-42".to_owned());
    let role = spec.clusters[0].role_arn.clone();
    let world = World::new(spec);
    let ask = |extra: &str| {
        let form = format!("Action=AssumeRole&RoleArn={role}&RoleSessionName=guard{extra}");
        let request = Request::post("https://sts.eu-west-1.amazonaws.com/")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIABASE/x, Signature=0");
        world.handle(request.body(Bytes::from(form)).unwrap())
    };
    let refused = ask("");
    assert_eq!(refused.status(), 403);
    assert!(String::from_utf8_lossy(refused.body()).contains("<Code>AccessDenied</Code>"));
    assert_eq!(ask("&ExternalId=guard-42").status(), 200);
}

#[test]
fn pages_join_to_the_whole_list() {
    let world = world();
    let (_, whole) = get(&world, "/api/v1/pods");
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    let all: Vec<String> = whole["items"].as_array().unwrap().iter().map(name).collect();
    assert!(whole["metadata"].get("continue").is_none());
    let (mut seen, mut start, mut revisions) = (Vec::new(), String::new(), BTreeSet::new());
    loop {
        let (status, page) = get(&world, &format!("/api/v1/pods?limit=7&continue={start}"));
        assert_eq!(status, 200);
        seen.extend(page["items"].as_array().unwrap().iter().map(name));
        revisions.insert(page["metadata"]["resourceVersion"].to_string());
        // Between two pages the world may change; the list keeps its revision.
        restart(&world, "deployments", "Deployment", "batch", "reports", &seen.len().to_string());
        match page["metadata"]["continue"].as_str() {
            Some(next) => {
                assert_eq!(page["metadata"]["remainingItemCount"], all.len() - seen.len());
                start = next.to_owned();
            }
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(revisions.len(), 1);
    assert_eq!(get(&world, "/api/v1/pods?continue=nonsense").0, 400);
    assert_eq!(get(&world, "/api/v1/pods?watch=true").0, 405);
}

#[test]
fn selectors_choose() {
    let world = world();
    let count = |path: &str| get(&world, path).1["items"].as_array().map(Vec::len);
    assert_eq!(count("/api/v1/pods?labelSelector=app%3Dcart"), Some(3));
    assert_eq!(count("/api/v1/namespaces/shop/pods"), Some(9));
    assert_eq!(count("/api/v1/pods?labelSelector=app%20in%20(cart,web)"), Some(7));
    assert_eq!(count("/api/v1/pods?fieldSelector=status.phase!%3DRunning"), Some(0));
    assert_eq!(count("/apis/apps/v1/deployments?fieldSelector=metadata.name%3Dcart"), Some(1));
    assert_eq!(count("/api/v1/namespaces?labelSelector=istio-injection%3Denabled"), Some(3));
    let (_, some) = get(&world, "/api/v1/pods?labelSelector=app&limit=2");
    assert!(some["metadata"].get("remainingItemCount").is_none());
    let message = |path: &str| {
        let (status, refused) = get(&world, path);
        assert_eq!((status, &refused["reason"]), (400, &json!("BadRequest")), "{path}");
        refused["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        message("/apis/apps/v1/deployments?fieldSelector=status.replicas!%3D0"),
        r#""status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace""#
    );
    assert_eq!(
        message("/api/v1/pods?fieldSelector=status.replicas!%3D0"),
        "field label not supported: status.replicas"
    );
}

#[test]
fn what_is_not_there_is_told_in_two_ways() {
    let world = world();
    let (status, missing) = get(&world, "/api/v1/namespaces/shop/pods/nobody");
    assert_eq!((status, &missing["reason"]), (404, &json!("NotFound")));
    assert_eq!(
        get(&world, "/apis/helm.toolkit.fluxcd.io/v2beta1/helmreleases"),
        (404, json!("404 page not found\n"))
    );
    assert_eq!(get(&world, "/apis/apps/v1").1["groupVersion"], "apps/v1");
    assert_eq!(get(&world, "/apis").1["groups"].as_array().unwrap().len(), 9);
}

#[test]
fn the_sidecar_sits_where_the_workload_wants_it() {
    let world = world();
    let one =
        |app: &str| get(&world, &format!("/api/v1/pods?labelSelector=app%3D{app}")).1["items"][0].take();
    let names = |pod: &Value, list: &str| -> Vec<String> {
        let all = pod["spec"][list].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names(&one("cart"), "containers"), ["istio-proxy", "cart"]);
    let native = one("search");
    assert_eq!(names(&native, "initContainers"), ["istio-init", "istio-proxy"]);
    assert_eq!(native["spec"]["initContainers"][1]["restartPolicy"], "Always");
    assert_eq!(names(&one("node-agent"), "containers"), ["node-agent"]);
    assert_eq!(names(&one("reports"), "containers"), ["reports"]);
    assert_eq!(
        one("istio-ingressgateway")["spec"]["containers"][0]["image"],
        "docker.io/istio/proxyv2:1.30.1"
    );
    assert_eq!(one("istiod")["spec"]["containers"][0]["image"], "docker.io/istio/pilot:1.30.1");
    let owner = &one("cart")["metadata"]["ownerReferences"][0];
    let path = format!("/apis/apps/v1/namespaces/shop/replicasets/{}", owner["name"].as_str().unwrap());
    let (_, set) = get(&world, &path);
    assert_eq!(set["metadata"]["uid"], owner["uid"]);
    assert_eq!(set["metadata"]["ownerReferences"][0]["name"], "cart");
}

#[test]
fn a_restart_replaces_pods_one_by_one_and_once() {
    let world = world();
    let path = "/apis/apps/v1/namespaces/shop/deployments/cart";
    let (status, patched) = restart(&world, "deployments", "Deployment", "shop", "cart", "1.30.5");
    assert_eq!(status, 200);
    assert_eq!(
        (&patched["metadata"]["generation"], &patched["status"]["observedGeneration"]),
        (&json!(2), &json!(1))
    );
    wait(&world, 5);
    let (_, rolling) = get(&world, path);
    assert_eq!(rolling["status"]["observedGeneration"], 2);
    assert_eq!(rolling["status"]["updatedReplicas"], 1);
    assert_eq!(rolling["status"]["readyReplicas"], 2);
    assert_eq!(rolling["status"]["unavailableReplicas"], 1);
    wait(&world, 120);
    let (_, done) = get(&world, path);
    assert_eq!(done["status"]["updatedReplicas"], 3);
    assert_eq!(done["status"]["readyReplicas"], 3);
    let (_, again) = restart(&world, "deployments", "Deployment", "shop", "cart", "1.30.5");
    assert_eq!(again["metadata"]["generation"], 2);
    wait(&world, 120);
    let cluster = world.cluster(CLUSTER).unwrap();
    let cart = cluster.workloads.iter().find(|one| one.name == "cart").unwrap();
    assert_eq!(cart.restarts, 1);
    assert_eq!(cluster.max_unavailable_pods, 1);
}

#[test]
fn a_stateful_set_tells_its_revisions() {
    let world = world();
    restart(&world, "statefulsets", "StatefulSet", "data", "ledger", "x");
    wait(&world, 5);
    let path = "/apis/apps/v1/namespaces/data/statefulsets/ledger";
    let (_, rolling) = get(&world, path);
    assert_ne!(rolling["status"]["currentRevision"], rolling["status"]["updateRevision"]);
    let (_, last) = get(&world, "/api/v1/namespaces/data/pods/ledger-2");
    assert_eq!(last["metadata"]["labels"]["controller-revision-hash"], rolling["status"]["updateRevision"]);
    wait(&world, 120);
    let (_, done) = get(&world, path);
    assert_eq!(done["status"]["currentRevision"], done["status"]["updateRevision"]);
    assert_eq!(done["status"]["updatedReplicas"], 3);
}

#[test]
fn patches_are_checked() {
    let world = world();
    let path = "/apis/apps/v1/namespaces/shop/deployments/cart";
    let apply = "application/apply-patch+yaml";
    let full = json!({ "apiVersion": "apps/v1", "kind": "Deployment" });
    assert_eq!(patch(&world, path, apply, &full).0, 422, "no field manager");
    let managed = format!("{path}?fieldManager=guard");
    assert_eq!(patch(&world, &managed, apply, &json!({ "kind": "Deployment" })).0, 400);
    assert_eq!(patch(&world, &managed, "text/plain", &full).0, 415);
    assert_eq!(patch(&world, &managed.replace("cart", "none"), apply, &full).0, 404);
    let merge = json!({ "spec": { "template": { "metadata": { "annotations": { "a": "b" } } } } });
    let (_, merged) = patch(&world, path, "application/strategic-merge-patch+json", &merge);
    assert_eq!(merged["metadata"]["generation"], 2);
    let dry = format!("{path}?dryRun=All");
    let other = json!({ "spec": { "template": { "metadata": { "annotations": { "a": "c" } } } } });
    patch(&world, &dry, "application/merge-patch+json", &other);
    assert_eq!(get(&world, path).1["spec"]["template"]["metadata"]["annotations"]["a"], "b");
    world.forbid(CLUSTER, "deployments");
    let (status, refused) = get(&world, path);
    assert_eq!((status, &refused["reason"]), (403, &json!("Forbidden")));
}
