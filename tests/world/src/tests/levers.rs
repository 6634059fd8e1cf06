use jiff::SignedDuration;
use serde_json::Value;

use super::{CLUSTER, get, gitlab, propose, restart, wait, world};
use crate::System;

#[test]
fn a_suspended_flux_applies_nothing() {
    let world = world();
    world.suspend_flux(CLUSTER, true);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.1"));
    let path = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/istio";
    assert_eq!(get(&world, path).1["spec"]["suspend"], true);
    world.suspend_flux(CLUSTER, false);
    wait(&world, 600);
    assert_eq!(world.cluster(CLUSTER).unwrap().istiod_version.as_deref(), Some("1.30.5"));
}

#[test]
fn a_failed_helm_upgrade_stays_failed_until_the_way_back() {
    let world = world();
    world.fail_helm_upgrade(CLUSTER, "1.30.5", "context deadline exceeded");
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    let path = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/istio-system/helmreleases/istio-base";
    let (_, failed) = get(&world, path);
    assert_eq!(failed["status"]["conditions"][0]["reason"], "UpgradeFailed");
    assert_eq!(failed["status"]["history"][0]["status"], "failed");
    assert_eq!(failed["status"]["upgradeFailures"], 1);
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 3600);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert!(cluster.releases.values().all(|words| words == "deployed"), "{:?}", cluster.releases);
}

#[test]
fn a_stalled_istiod_keeps_its_old_pods() {
    let world = world();
    world.stall_istiod(CLUSTER, true);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    let cluster = world.cluster(CLUSTER).unwrap();
    assert_eq!(cluster.istiod_version.as_deref(), Some("1.30.1"));
    let (_, istiod) = get(&world, "/apis/apps/v1/namespaces/istio-system/deployments/istiod");
    assert_eq!(istiod["status"]["updatedReplicas"], 1);
    assert_eq!(istiod["status"]["replicas"], 3);
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 3600);
    let (_, istiod) = get(&world, "/apis/apps/v1/namespaces/istio-system/deployments/istiod");
    assert_eq!((&istiod["status"]["replicas"], &istiod["status"]["updatedReplicas"]), (&2.into(), &2.into()));
}

#[test]
fn a_stalled_workload_stops_at_its_first_pod() {
    let world = world();
    world.stall_workload(CLUSTER, "shop", "web");
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 3600);
    restart(&world, "deployments", "Deployment", "shop", "web", "1.30.5");
    wait(&world, 3600);
    let web = || world.cluster(CLUSTER).unwrap().workloads.into_iter().find(|one| one.name == "web").unwrap();
    assert_eq!((web().ready, web().settled), (3, false));
    world.release_workload(CLUSTER, "shop", "web");
    wait(&world, 300);
    assert_eq!((web().ready, web().settled), (4, true));
}

#[test]
fn an_outage_answers_with_its_status_for_its_time() {
    let world = world();
    let (from, until) =
        (world.now() + SignedDuration::from_secs(10), world.now() + SignedDuration::from_secs(20));
    world.outage(System::GitLab, from, until, 503);
    let ask = || gitlab(&world, "GET", "", &Value::Null).0;
    assert_eq!(ask(), 200);
    wait(&world, 10);
    assert_eq!(ask(), 503);
    wait(&world, 10);
    assert_eq!(ask(), 200);
    assert_eq!(world.calls()[&System::GitLab], 3);
    assert_eq!(world.requests().iter().map(|one| one.status).collect::<Vec<_>>(), [200, 503, 200]);
    assert!(world.traffic()[&System::GitLab].bytes_out > 0);
}

#[test]
fn an_unknown_host_is_named() {
    let world = world();
    let request = http::Request::get("https://example.org/").body(bytes::Bytes::new()).unwrap();
    let answer = world.handle(request);
    assert_eq!(answer.status(), 502);
    assert!(String::from_utf8_lossy(answer.body()).contains("example.org"));
}

#[test]
fn no_request_makes_the_world_panic() {
    use crate::chance::mix;
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
    let parts = [
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
        CLUSTER,
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
    let queries = [
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
    let bodies = [
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
    let mut draw = 1_u64;
    let mut pick = |count: usize| {
        draw = mix(draw);
        usize::try_from(draw % count as u64).unwrap()
    };
    for _ in 0..6_000 {
        let mut path = String::new();
        for _ in 0..pick(9) {
            path = format!("{path}/{}", parts[pick(parts.len())]);
        }
        let uri = format!(
            "https://{}{}{}",
            hosts[pick(5)],
            if path.is_empty() { "/" } else { &path },
            queries[pick(queries.len())]
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
            .body(bytes::Bytes::from(bodies[pick(bodies.len())]));
        if let Ok(request) = request {
            assert!(world.handle(request).status().as_u16() < 500);
        }
    }
}
