use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::{CLUSTER, body, get, token, world};

#[test]
fn old_replica_sets_have_no_pods_and_can_be_left_out() {
    let world = world();
    let sets = |query: &str| {
        let (status, list) = get(&world, &format!("/apis/apps/v1/replicasets{query}"));
        assert_eq!(status, 200);
        list["items"].as_array().unwrap().clone()
    };
    let all = sets("");
    let deployments = get(&world, "/apis/apps/v1/deployments").1["items"].as_array().unwrap().len();
    assert_eq!(all.len(), 3 * deployments);
    let alive = sets("?fieldSelector=status.replicas!%3D0");
    assert_eq!(alive.len(), deployments);
    assert!(alive.iter().all(|set| set["status"]["replicas"].as_u64().unwrap() > 0));
    assert_eq!(sets("?fieldSelector=status.replicas%3D0").len(), 2 * deployments);
}

#[test]
fn metadata_alone_is_given_to_whom_asks_for_it_first() {
    let world = world();
    let ask = |path: &str, accept: &str| {
        let hex = world.state().clusters[CLUSTER].hex_id.clone();
        let request = Request::get(format!("https://{hex}.gr7.eu-west-1.eks.amazonaws.com{path}"))
            .header("authorization", format!("Bearer {}", token(&world, CLUSTER)))
            .header("accept", accept);
        let answer = world.handle(request.body(Bytes::new()).unwrap());
        assert_eq!(answer.status(), 200);
        body(&answer)
    };
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = ask("/api/v1/namespaces/shop/pods", partial);
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    let item = &list["items"][0];
    assert_eq!(item["kind"], "PartialObjectMetadata");
    assert!(
        item["metadata"]["uid"].is_string() && item.get("spec").is_none() && item.get("status").is_none()
    );
    let one = ask(
        "/api/v1/namespaces/data/pods/ledger-0",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json",
    );
    assert_eq!((&one["kind"], one.get("spec")), (&json!("PartialObjectMetadata"), None));
    let whole = ask("/api/v1/namespaces/shop/pods", &format!("application/json, {partial}"));
    assert_eq!(whole["kind"], "PodList");
}

/// What changes between two pages is not in the later one: every page is of the first one's moment.
#[test]
fn pages_are_of_one_moment() {
    let world = world();
    let (_, first) = get(&world, "/api/v1/namespaces?limit=2");
    let next = first["metadata"]["continue"].as_str().unwrap().to_owned();
    world.show(CLUSTER, "namespaces", Vec::clear);
    let (_, rest) = get(&world, &format!("/api/v1/namespaces?limit=100&continue={next}"));
    assert!(rest["items"].as_array().unwrap().len() > 3);
    // Read to its end, it is kept no longer: asked again it is made anew.
    let (_, again) = get(&world, &format!("/api/v1/namespaces?limit=100&continue={next}"));
    assert_eq!(again["items"], json!([]));
}
