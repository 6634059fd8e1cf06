//! Requests nobody should send: every one gets an answer below 500.

use super::{CLUSTER, world};
use crate::chance::mix;

const PARTS: &[&str] = &[
    "api",
    "v4",
    "v1",
    "projects",
    "platform%2Ffleet",
    "repository",
    "files",
    "%ff%00",
    "tree",
    "branches",
    "commits",
    "merge_requests",
    "1",
    "99999999999999999999",
    "merge",
    "diffs",
    "notes",
    "query",
    "monitor",
    "clusters",
    "test-euw1-1",
    "apis",
    "apps",
    "namespaces",
    "shop",
    "deployments",
    "cart",
    "pods",
    "helmreleases",
    "compare",
    "merge_base",
    "raw",
    "helm.toolkit.fluxcd.io",
    "v2",
    "..",
    "main",
];

const QUERIES: &[&str] = &[
    "",
    "?from=1&to=99999999999999999999",
    "?query=sum:a{b&from=0&to=60",
    "?limit=-1",
    "?limit=1&continue=e30",
    "?page=0&per_page=0",
    "?page=18446744073709551615&per_page=100",
    "?labelSelector=a%20in%20(",
    "?refs[]=main&refs[]=",
    "?ref=%F0%9F%92%A5x%C3%A9",
    "?fieldManager=x",
    "?query=sum:istio.mesh.request.count{*}&from=-9&to=9223372036854775807",
    "?from=main&to=main",
    "?ref=main&path=%2F",
];

const BODIES: &[&str] = &[
    "",
    "null",
    "[]",
    "{",
    "{\"actions\":[1,{}],\"branch\":\"\",\"commit_message\":3}",
    "Action=AssumeRole&RoleArn=%",
    "{\"branch\":\"x\",\"commit_message\":\"m\",\"start_branch\":\"main\",\"actions\":[{\"action\":\"create\",\"file_path\":\"../x\",\"content\":\"=\",\"encoding\":\"base64\"}]}",
    "{\"source_branch\":\"main\",\"target_branch\":\"none\",\"title\":\"\"}",
    "&&&=%%%",
    "a: &x [*x]",
    "{\"metadata\":{\"annotations\":[]},\"spec\":{\"template\":7}}",
];

#[test]
fn no_request_makes_the_world_panic() {
    let world = world();
    let token = super::token(&world, CLUSTER);
    let hex = world.state().clusters[CLUSTER].hex_id.to_lowercase();
    let hosts = [
        "gitlab.example.com".to_owned(),
        "api.datadoghq.com".to_owned(),
        "sts.eu-west-1.amazonaws.com".to_owned(),
        "eks.eu-west-1.amazonaws.com".to_owned(),
        format!("{hex}.gr7.eu-west-1.eks.amazonaws.com"),
    ];
    let mut draw = 1_u64;
    let mut pick = |count: usize| {
        draw = mix(draw);
        usize::try_from(draw % count as u64).unwrap()
    };
    for _ in 0..6_000 {
        let mut path = String::new();
        for _ in 0..pick(9) {
            path = format!("{path}/{}", PARTS[pick(PARTS.len())]);
        }
        let uri = format!(
            "https://{}{}{}",
            hosts[pick(5)],
            if path.is_empty() { "/" } else { &path },
            QUERIES[pick(QUERIES.len())]
        );
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
        let kinds = ["application/apply-patch+yaml", "application/merge-patch+json", "text/plain"];
        let auth = [
            format!("Bearer {token}"),
            "AWS4-HMAC-SHA256 Credential=ASIA/x".to_owned(),
            "Bearer k8s-aws-v1.%%".to_owned(),
        ];
        let request = http::Request::builder()
            .method(methods[pick(6)])
            .uri(uri)
            .header("private-token", "glpat-world")
            .header("dd-api-key", "dd-api-world")
            .header("dd-application-key", "dd-app-world")
            .header("content-type", kinds[pick(3)])
            .header("authorization", auth[pick(3)].as_str())
            .body(bytes::Bytes::from(BODIES[pick(BODIES.len())]));
        if let Ok(request) = request {
            assert!(world.handle(request).status().as_u16() < 500);
        }
    }
}
