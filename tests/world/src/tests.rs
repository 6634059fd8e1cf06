//! The world's own behaviour, seen through its requests and its read side.

mod budgets;
mod datadog;
mod flux;
mod gitlab;
mod kubernetes;
mod large;
mod levers;
mod lists;
mod managers;
mod measures;
mod nonsense;
mod rollout;
mod served;
mod strategies;
mod troubles;

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{WorkloadKind, WorkloadSpec, World, WorldSpec};

pub(super) const PROJECT: &str = "https://gitlab.example.com/api/v4/projects/platform%2Ffleet";
pub(super) const CLUSTER: &str = "test-euw1-1";

pub(super) fn world() -> World {
    World::new(WorldSpec::healthy(2, "1.30.1"))
}

/// One cluster with these workloads and no others.
pub(super) fn with_workloads(workloads: Vec<WorkloadSpec>) -> World {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    spec.clusters[0].workloads = workloads;
    World::new(spec)
}

pub(super) fn wait(world: &World, seconds: i64) {
    world.advance_to(world.now() + SignedDuration::from_secs(seconds));
}

pub(super) fn body(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|_| json!(String::from_utf8_lossy(answer.body())))
}

/// A GitLab request with the token; the answer's status and JSON.
pub(super) fn gitlab(world: &World, method: &str, path: &str, sent: &Value) -> (u16, Value) {
    let sent = if sent.is_null() { Bytes::new() } else { Bytes::from(sent.to_string()) };
    let request = Request::builder()
        .method(method)
        .uri(format!("{PROJECT}{path}"))
        .header("PRIVATE-TOKEN", "glpat-world")
        .body(sent)
        .unwrap();
    let answer = world.handle(request);
    (answer.status().as_u16(), body(&answer))
}

/// Commits a change of one file to a new branch and opens a merge request for it.
pub(super) fn propose(world: &World, branch: &str, title: &str, from: &str, to: &str) -> u64 {
    let mut actions = Vec::new();
    for file in ["base.yaml", "istiod.yaml", "gateway.yaml"] {
        let path = format!("clusters/{CLUSTER}/istio/{file}");
        let text = world.file("main", &path).unwrap();
        actions.push(json!({ "action": "update", "file_path": path, "content": text.replace(from, to) }));
    }
    let commit =
        json!({ "branch": branch, "start_branch": "main", "commit_message": title, "actions": actions });
    assert_eq!(gitlab(world, "POST", "/repository/commits", &commit).0, 201);
    let request = json!({ "source_branch": branch, "target_branch": "main", "title": title });
    let (status, made) = gitlab(world, "POST", "/merge_requests", &request);
    assert_eq!(status, 201, "{made}");
    made["iid"].as_u64().unwrap()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    text.split(open).nth(1).unwrap().split(close).next().unwrap()
}

/// The access key id and session token of a cluster's role.
pub(super) fn assume(world: &World, cluster: &str) -> (String, String) {
    let role = world.state().clusters[cluster].spec.role_arn.clone();
    let form = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=guard-test");
    let request = Request::post("https://sts.eu-west-1.amazonaws.com/")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIABASE/20260923/eu-west-1/sts/aws4_request, Signature=0",
        )
        .body(Bytes::from(form))
        .unwrap();
    let answer = world.handle(request);
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert_eq!(answer.status(), 200, "{text}");
    let key = between(&text, "<AccessKeyId>", "</AccessKeyId>");
    (key.to_owned(), between(&text, "<SessionToken>", "</SessionToken>").to_owned())
}

/// The URL behind a token, as a client presigns it.
pub(super) fn presigned(world: &World, key: &str, token: &str) -> String {
    let date = world.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    format!(
        "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential={key}%2F20260923%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date={date}&X-Amz-Expires=60\
         &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token={token}&X-Amz-Signature={}",
        "0".repeat(64)
    )
}

pub(super) fn bearer(url: &str) -> String {
    format!("k8s-aws-v1.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(url))
}

/// A request to a cluster's API server with any bearer token.
pub(super) fn with_token(world: &World, cluster: &str, token: &str, path: &str) -> Response<Bytes> {
    let hex = world.state().clusters[cluster].hex_id.clone();
    let request = Request::get(format!("https://{hex}.gr7.eu-west-1.eks.amazonaws.com{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Bytes::new())
        .unwrap();
    world.handle(request)
}

pub(super) fn token(world: &World, cluster: &str) -> String {
    let (key, session) = assume(world, cluster);
    bearer(&presigned(world, &key, &session))
}

pub(super) fn get(world: &World, path: &str) -> (u16, Value) {
    let answer = with_token(world, CLUSTER, &token(world, CLUSTER), path);
    (answer.status().as_u16(), body(&answer))
}

/// A restart as GUARD asks for it: server-side apply of one annotation.
pub(super) fn restart(
    world: &World,
    plural: &str,
    kind: &str,
    namespace: &str,
    name: &str,
    value: &str,
) -> (u16, Value) {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}/{name}?fieldManager=guard&force=true");
    let sent = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "spec": { "template": { "metadata": { "annotations": { "guard.example.com/restarted-for": value } } } },
    });
    patch(world, &path, "application/apply-patch+yaml", &sent)
}

pub(super) fn patch(world: &World, path: &str, form: &str, sent: &Value) -> (u16, Value) {
    send(world, "PATCH", path, form, sent)
}

fn send(world: &World, method: &str, path: &str, form: &str, sent: &Value) -> (u16, Value) {
    let hex = world.state().clusters[CLUSTER].hex_id.clone();
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{hex}.gr7.eu-west-1.eks.amazonaws.com{path}"))
        .header("authorization", format!("Bearer {}", token(world, CLUSTER)))
        .header("content-type", form)
        .body(Bytes::from(sent.to_string()))
        .unwrap();
    let answer = world.handle(request);
    (answer.status().as_u16(), body(&answer))
}

/// The same with GUARD's own annotation.
pub(super) fn mark(
    world: &World,
    kind: WorkloadKind,
    namespace: &str,
    name: &str,
    value: &str,
) -> (u16, Value) {
    let kind = kind.as_str();
    let path =
        format!("/apis/apps/v1/namespaces/{namespace}/{}s/{name}?fieldManager=guard", kind.to_lowercase());
    let sent = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "spec": { "template": { "metadata": { "annotations": { "guard.istio.io/restart": value } } } },
    });
    patch(world, &path, "application/apply-patch+yaml", &sent)
}

/// Evicts a pod.
pub(super) fn evict(world: &World, namespace: &str, pod: &str) -> (u16, Value) {
    let body = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod, "namespace": namespace } });
    post(world, &format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction"), &body)
}

pub(super) fn post(world: &World, path: &str, sent: &Value) -> (u16, Value) {
    send(world, "POST", path, "application/json", sent)
}

/// Restarts everything that has a sidecar, and waits until it is done.
pub(super) fn restart_all(world: &World, value: &str) {
    for (plural, kind, namespace, name) in [
        ("deployments", "Deployment", "shop", "cart"),
        ("deployments", "Deployment", "shop", "web"),
        ("deployments", "Deployment", "shop", "search"),
        ("statefulsets", "StatefulSet", "data", "ledger"),
        ("daemonsets", "DaemonSet", "edge", "relay"),
    ] {
        assert_eq!(restart(world, plural, kind, namespace, name, value).0, 200);
    }
    wait(world, 180);
}
