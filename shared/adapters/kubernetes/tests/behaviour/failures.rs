//! Refusals and silence.

use std::sync::atomic::{AtomicUsize, Ordering};

use guard_http::{FailureKind, TransportError};
use guard_tasks::{
    ClusterHealthReader as _, DataPlaneReader as _, ErrorName, Extent, RolloutReader as _, TaskError,
};

use crate::objects::{pod, replicated};
use crate::world::{PODS, World, parameter, plain, row, status};

async fn workloads(world: &World) -> TaskError {
    let error = world.clusters.data_plane(&row(), false).await.unwrap_err();
    assert!(!error.chain().contains("hush") && !error.chain().contains("limit="), "{error}");
    assert!(error.chain().starts_with("read the data plane of eks-1: list pods: "), "{error}");
    error
}

#[tokio::test]
async fn refusals_are_named_in_either_form() {
    let table = [
        (400, "BadRequest", ErrorName::Rejected),
        (401, "Unauthorized", ErrorName::Denied),
        (403, "Forbidden", ErrorName::Denied),
        (404, "NotFound", ErrorName::Rejected),
        (409, "Conflict", ErrorName::Conflict),
        (500, "InternalError", ErrorName::Transient),
        (504, "Timeout", ErrorName::Transient),
        (302, "Found", ErrorName::Internal),
    ];
    for (code, reason, name) in table {
        let world = World::hooked(Box::new(move |_| Some(Ok(status(code, reason, "in words")))));
        let error = workloads(&world).await;
        assert_eq!(error.name, name, "{error}");
        let expected = format!("Kubernetes GET /api/v1/pods: status {code}: {reason}: in words");
        assert!(error.chain().ends_with(&expected), "{error}");
        assert_eq!(world.asked().len(), 1, "kube does not retry");
    }
    let world = World::hooked(Box::new(|_| Some(Ok(plain(404, "404 page not found\n")))));
    let error = workloads(&world).await;
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.chain().ends_with("status 404: 404 page not found"), "{error}");
}

#[tokio::test]
async fn a_throttled_call_says_when_to_come_back() {
    let world = World::hooked(Box::new(|_| {
        let mut answer = plain(429, "Too many requests, please try again later.");
        answer.headers_mut().insert("retry-after", "1".parse().unwrap());
        Some(Ok(answer))
    }));
    let error = workloads(&world).await;
    assert_eq!(error.name, ErrorName::Throttled);
    assert!(error.chain().contains("retry after 1 s: Too many requests"), "{error}");
}

#[tokio::test]
async fn silence_keeps_the_name_the_transport_gave_it() {
    for kind in FailureKind::ALL {
        let world = World::hooked(Box::new(move |_| Some(Err(TransportError::new(kind, "why")))));
        let error = workloads(&world).await;
        assert_eq!(error.name, kind.error_name());
        let expected = format!("Kubernetes GET /api/v1/pods: {}: why", kind.as_str());
        assert!(error.chain().ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_not_an_empty_list() {
    for body in ["", "<html>", "{}", r#"{"items": 5}"#, "\u{0}"] {
        let world = World::hooked(Box::new(move |_| Some(Ok(plain(200, body)))));
        assert_eq!(workloads(&world).await.name, ErrorName::Internal, "{body}");
    }
}

/// Lets the continue token of the first `times` second pages expire.
fn expiring(times: usize) -> World {
    let seen = AtomicUsize::new(0);
    let world = World::hooked(Box::new(move |call| {
        let is_late = parameter(call, "continue").is_some() && seen.fetch_add(1, Ordering::Relaxed) < times;
        is_late.then(|| Ok(status(410, "Expired", "The provided continue parameter is too old")))
    }));
    world.put(PODS, (0..700).map(|_| pod("apps/v1", "StatefulSet", "db", "istio/proxyv2:1.29.3")));
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    world
}

/// The server's own offer: it knows where the list was.
#[tokio::test]
async fn a_list_that_expires_goes_on_where_the_server_says() {
    let seen = AtomicUsize::new(0);
    let world = World::hooked(Box::new(move |call| {
        let is_late = parameter(call, "continue").as_deref() == Some("500")
            && seen.fetch_add(1, Ordering::Relaxed) == 0;
        is_late.then(|| {
            let mut body: serde_json::Value =
                serde_json::from_slice(status(410, "Expired", "too old").body()).unwrap();
            body["metadata"]["continue"] = "600".into();
            Ok(crate::world::reply(410, &body))
        })
    }));
    world.put(PODS, (0..700).map(|_| pod("apps/v1", "StatefulSet", "db", "istio/proxyv2:1.29.3")));
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    let found = world.clusters.data_plane(&row(), false).await.unwrap().workloads;
    assert_eq!(found[0].proxies[0].1, 600, "500 before, and the 100 after the place it was given");
}

#[tokio::test]
async fn a_list_that_expires_is_begun_again_once() {
    let found = expiring(1).clusters.data_plane(&row(), false).await.unwrap().workloads;
    assert_eq!(found[0].proxies[0].1, 700, "no pod is counted twice");
    let error = workloads(&expiring(2)).await;
    assert!(error.chain().contains("status 410: Expired"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_is_not_active_is_told_and_not_touched() {
    let world = World::with("UPDATING", Box::new(|_| panic!("it is left alone")));
    let health = world.clusters.health(&row(), Extent::Whole, crate::world::MINUTE).await.unwrap();
    assert_eq!(health.eks.unwrap().status, "UPDATING");
    assert!(health.nodes.is_err() && health.workloads.is_err(), "what was not read is not empty");
    let rollout = world.clusters.rollout(&row()).await.unwrap_err();
    let workloads = world.clusters.data_plane(&row(), false).await.unwrap_err();
    for error in [rollout, workloads] {
        assert_eq!(error.name, ErrorName::Conflict);
        assert!(error.chain().contains("EKS says UPDATING"), "{error}");
    }
}

#[test]
fn debug_shows_no_token() {
    assert!(!format!("{:?}", World::new().clusters).contains("hush"));
}
