//! One look at a cluster of which one part answers badly, or not at all: that part is told, and nothing else is missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use guard_domain::ClusterFacts;
use guard_http::cluster_access::ClusterAccess as _;
use guard_http::{Call, FailureKind, Transport, TransportError};
use guard_kubernetes::Clusters;
use guard_tasks::{ClusterHealthReader as _, Extent};
use serde_json::json;

use crate::objects::{daemon_set, istiod_pod, pod, replica_set, replicated};
use crate::world::{Answer, Door, MINUTE, PODS, World, plain, row, status};

const PROXY: &str = "istio/proxyv2:1.29.3";

/// Sources of charts; a Flux that does not serve one of these kinds has none of it.
const CHARTS: [&str; 3] = [
    "/apis/source.toolkit.fluxcd.io/v1/helmrepositories",
    "/apis/source.toolkit.fluxcd.io/v1/ocirepositories",
    "/apis/source.toolkit.fluxcd.io/v1/helmcharts",
];

/// Every list of a look, and what hangs on it.
const LISTS: [(&str, &[&str]); 20] = [
    (PODS, &["istiod", "workloads", "strays", "system_pods", "mesh"]),
    ("/apis/apps/v1/deployments", &["istiod", "workloads", "strays"]),
    ("/apis/apps/v1/replicasets", &["workloads", "strays"]),
    ("/apis/apps/v1/statefulsets", &["workloads", "strays"]),
    ("/apis/apps/v1/daemonsets", &["workloads", "strays"]),
    ("/api/v1/nodes", &["nodes"]),
    ("/api/v1/namespaces", &["namespaces"]),
    ("/apis", &["flux", "chart_sources"]),
    (CHARTS[0], &["chart_sources"]),
    (CHARTS[1], &["chart_sources"]),
    (CHARTS[2], &["chart_sources"]),
    (crate::world::KUSTOMIZATIONS, &["flux"]),
    (crate::world::SOURCES, &["flux"]),
    (crate::world::RELEASES, &["flux"]),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &["definitions"]),
    ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", &["webhooks"]),
    ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", &["webhooks"]),
    ("/apis/discovery.k8s.io/v1/namespaces/istio-system/endpointslices", &["webhooks"]),
    ("/apis/policy/v1/poddisruptionbudgets", &["budgets"]),
    ("/apis/networking.istio.io/v1alpha3/envoyfilters", &["envoy_filters"]),
];

/// Parts of what is known that are not, with why.
fn unread(facts: ClusterFacts) -> Vec<(&'static str, String, bool)> {
    let told =
        |name, error: Option<guard_domain::Unread>| error.map(|unread| (name, unread.why, unread.may_pass));
    [
        told("eks", facts.eks.err()),
        told("kubernetes_version", facts.kubernetes_version.err()),
        told("nodes", facts.nodes.err()),
        told("flux", facts.flux.err()),
        told("chart_sources", facts.chart_sources.err()),
        told("istiod", facts.istiod.err()),
        told("workloads", facts.workloads.err()),
        told("strays", facts.strays.err()),
        told("system_pods", facts.system_pods.err()),
        told("mesh", facts.mesh.err()),
        told("definitions", facts.definitions.err()),
        told("webhooks", facts.webhooks.err()),
        told("budgets", facts.budgets.err()),
        told("envoy_filters", facts.envoy_filters.err()),
        told("namespaces", facts.namespaces.err()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A cluster in which every list is asked for, and one of them answered by somebody else.
fn world(path: &'static str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> World {
    let world = World::hooked(Box::new(move |call| (call.request.uri().path() == path).then(&answer)));
    for (list, _) in LISTS {
        if list != "/apis" {
            world.add(list);
        }
    }
    world.put(
        PODS,
        [
            istiod_pod("istio/pilot:1.29.3"),
            pod("apps/v1", "ReplicaSet", "web-1", PROXY),
            pod("apps/v1", "StatefulSet", "db", PROXY),
            pod("apps/v1", "DaemonSet", "agent", PROXY),
        ],
    );
    world.put("/apis/apps/v1/replicasets", [replica_set("web-1", "apps/v1", "Deployment", "web")]);
    world.put("/apis/apps/v1/deployments", [replicated("shop", "web")]);
    world.put("/apis/apps/v1/statefulsets", [replicated("shop", "db")]);
    world.put("/apis/apps/v1/daemonsets", [daemon_set("agent")]);
    let hook = json!({"metadata": {"name": "i", "labels": {"istio.io/rev": "default"}}, "webhooks": [
        {"name": "h", "sideEffects": "None", "admissionReviewVersions": ["v1"],
         "clientConfig": {"service": {"name": "istiod", "namespace": "istio-system"}}}]});
    world.put("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", [hook]);
    world
}

fn with(answer: http::Response<Bytes>, name: &'static str, value: &str) -> http::Response<Bytes> {
    let mut answer = answer;
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

type Fault = (&'static str, bool, fn() -> Answer);

/// What comes instead of a list: words that are told, and whether asking again may help.
const FAULTS: [Fault; 13] = [
    ("status 401: Unauthorized", false, || Ok(status(401, "Unauthorized", "Unauthorized"))),
    ("status 403: Forbidden", false, || Ok(status(403, "Forbidden", "may not"))),
    ("status 404: 404 page not found", false, || Ok(plain(404, "404 page not found\n"))),
    ("status 410: Expired", false, || Ok(status(410, "Expired", "too old"))),
    ("retry after 7 s", true, || Ok(with(plain(429, "Too many requests"), "retry-after", "7"))),
    ("retry after wed, 21 oct 2026", true, || {
        Ok(with(plain(429, "Too many requests"), "retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"))
    }),
    ("status 500: InternalError", true, || Ok(status(500, "InternalError", "etcd"))),
    ("status 503", true, || Ok(plain(503, "upstream connect error"))),
    ("no answer in time", true, || Err(TransportError::new(FailureKind::Timeout, "no answer in time"))),
    ("the connection broke", true, || Err(TransportError::new(FailureKind::Cut, "the connection broke"))),
    ("unreadable answer: EOF", false, || {
        Ok(plain(200, r#"{"kind": "APIGroupList", "metadata": {}, "items": [{"metadata": {"na"#))
    }),
    ("unreadable answer", false, || Ok(plain(200, "<html>login</html>"))),
    ("unreadable answer: missing field", false, || Ok(plain(200, "{}"))),
];

#[tokio::test]
async fn a_bad_answer_is_told_once_and_everything_else_is_known() {
    for (path, parts) in LISTS {
        let whole = world("/nowhere", || unreachable!("nobody asks for that"));
        assert_eq!(unread(whole.clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap()), [], "{path}");
        assert!(whole.asked().iter().any(|call| call.request.uri().path() == path), "{path} is asked for");
        for (words, may_pass, fault) in FAULTS {
            let facts = world(path, fault).clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap();
            let missing = unread(facts);
            let names: BTreeSet<&str> = missing.iter().map(|one| one.0).collect();
            if CHARTS.contains(&path) && words.contains("404") {
                assert_eq!(names, BTreeSet::new(), "{path}");
                continue;
            }
            assert_eq!(names, parts.iter().copied().collect(), "{path}: {words}: {missing:?}");
            for (_, why, passing) in &missing {
                let said = why.to_lowercase();
                // A list of groups without any has none of Flux's.
                let has_no_groups = path == "/apis" && said.contains("no api group");
                assert!(has_no_groups || said.contains(&words.to_lowercase()), "{path}: {words}: {why}");
                assert_eq!(*passing, may_pass, "{path}: {why}");
                assert!(!why.contains("hush"), "{why}");
            }
        }
    }
}

/// An API server of which one list never answers, and no transport gives it up.
struct Silent {
    inner: World,
    path: &'static str,
}

#[async_trait]
impl Transport for Silent {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        if call.request.uri().path() == self.path {
            std::future::pending::<()>().await;
        }
        Ok(self.inner.answer(&call))
    }
}

/// The clock of this test goes on by itself when nothing else happens: nobody waits.
#[tokio::test(start_paused = true)]
async fn a_part_that_never_answers_ends_with_its_time() {
    for (path, parts) in LISTS {
        let inner = world("/nowhere", || unreachable!("nobody asks for that"));
        let door = Door("ACTIVE");
        assert!(door.access(&row()).await.is_ok());
        let clusters = Clusters::new(Arc::new(Silent { inner, path }), Arc::new(door));
        let started = tokio::time::Instant::now();
        let missing = unread(clusters.health(&row(), Extent::Whole, Duration::from_secs(20)).await.unwrap());
        let names: BTreeSet<&str> = missing.iter().map(|one| one.0).collect();
        assert_eq!(names, parts.iter().copied().collect(), "{path}: {missing:?}");
        assert!(missing.iter().all(|one| one.1.contains("not read within 20 s") && one.2), "{missing:?}");
        assert_eq!(
            started.elapsed(),
            Duration::from_secs(20),
            "{path}: all at once, not one after the other"
        );
    }
}
