//! The dry run of a pod, and istiod's own metrics.

use guard_domain::{InjectionProbe, ProbeOutcome};
use guard_tasks::{ClusterHealthReader as _, Extent};
use http::Method;
use serde_json::{Value, json};

use crate::objects::istiod_pod;
use crate::world::{Answer, MINUTE, PODS, World, parameter, plain, reply, row, status};

const NAMESPACES: &str = "/api/v1/namespaces";

/// A cluster whose injector does this to a pod.
fn injecting(does: impl Fn(Value) -> Answer + Send + Sync + 'static) -> World {
    let world = World::hooked(Box::new(move |call| {
        (call.request.method() == Method::POST)
            .then(|| does(serde_json::from_slice(call.request.body()).unwrap()))
    }));
    world.add(NAMESPACES);
    world
}

async fn outcome(world: &World) -> Result<ProbeOutcome, String> {
    let probes = world.clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap().injection;
    probes.map(|mut probes| probes.remove(0).outcome).map_err(|unread| unread.why)
}

#[tokio::test]
async fn the_proxy_is_found_in_either_list_of_containers() {
    for list in ["containers", "initContainers"] {
        let world = injecting(move |mut pod| {
            let proxy =
                json!({"name": "istio-proxy", "image": "mirror:5000/istio/proxyv2:1.29.3-distroless"});
            match pod["spec"][list].as_array_mut() {
                Some(containers) => containers.push(proxy),
                None => pod["spec"][list] = json!([proxy]),
            }
            Ok(reply(201, &pod))
        });
        let wanted = ProbeOutcome::Injected(Some("1.29.3".parse().unwrap()));
        assert_eq!(outcome(&world).await, Ok(wanted), "{list}");
    }
    let bare = injecting(|pod| Ok(reply(201, &pod)));
    assert_eq!(outcome(&bare).await, Ok(ProbeOutcome::Bare));
}

#[tokio::test]
async fn nothing_is_ever_made_and_every_revision_is_tried() {
    let world = injecting(|pod| Ok(reply(201, &pod)));
    for (name, labels) in [
        ("a", json!({"istio-injection": "enabled"})),
        ("b", json!({"istio.io/rev": "1-29"})),
        ("c", json!({"istio.io/rev": "1-29"})),
        ("d", json!({})),
    ] {
        world.put(NAMESPACES, [json!({"metadata": {"name": name, "labels": labels}})]);
    }
    let probes = world.clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap().injection.unwrap();
    let tried: Vec<&str> = probes.iter().map(|probe: &InjectionProbe| probe.revision.as_str()).collect();
    assert_eq!(tried, ["1-29", "default"]);
    let asked = world.asked();
    let posts: Vec<_> = asked.iter().filter(|call| call.request.method() == Method::POST).collect();
    assert_eq!(posts.len(), 2);
    for post in posts {
        assert_eq!(parameter(post, "dryRun").as_deref(), Some("All"));
        assert_eq!(post.request.uri().path(), "/api/v1/namespaces/guard-probe/pods");
    }
    let labels = |call: &guard_http::Call| -> Value {
        serde_json::from_slice::<Value>(call.request.body()).unwrap()["metadata"]["labels"].clone()
    };
    let posts: Vec<Value> =
        asked.iter().filter(|call| call.request.method() == Method::POST).map(labels).collect();
    assert_eq!(posts, [json!({"istio.io/rev": "1-29"}), json!({"sidecar.istio.io/inject": "true"})]);
}

/// What stops the pod is an answer. What stops GUARD is none.
#[tokio::test]
async fn a_pod_that_is_stopped_is_an_answer_and_a_missing_permission_is_none() {
    let webhook = "Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": failed to call webhook: Post \"https://istiod.istio-system.svc:443/inject?timeout=10s\": context deadline exceeded";
    let denied = "admission webhook \"policy.example.com\" denied the request: no pods on Fridays";
    for (code, reason, message) in [(500, "InternalError", webhook), (403, "Forbidden", denied)] {
        let found = outcome(&injecting(move |_| Ok(status(code, reason, message)))).await.unwrap();
        let ProbeOutcome::Refused(why) = found else { panic!("{found:?}") };
        assert!(why.contains(message.split(": ").last().unwrap()), "{why}");
    }
    let missing = "pods is forbidden: User \"guard\" cannot create resource \"pods\" in API group \"\" in the namespace \"guard-probe\"";
    let found = outcome(&injecting(move |_| Ok(status(403, "Forbidden", missing)))).await;
    assert!(found.unwrap_err().contains("cannot create resource"));
    let gone = "namespaces \"guard-probe\" not found";
    let found = outcome(&injecting(move |_| Ok(status(404, "NotFound", gone)))).await;
    assert!(found.unwrap_err().contains("namespace guard-probe is not there: apply docs/rbac.yaml"));
    let cut = outcome(&injecting(|_| Ok(plain(201, "{\"spec\": {\"cont")))).await;
    assert!(cut.is_err(), "{cut:?}");
}

/// A ready istiod with these metrics.
fn counting(answer: impl Fn() -> Answer + Send + Sync + 'static) -> World {
    let world = World::hooked(Box::new(move |call| {
        call.request.uri().path().ends_with("/proxy/metrics").then(&answer)
    }));
    let mut istiod = istiod_pod("istio/pilot:1.29.3");
    istiod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    world.put(PODS, [istiod]);
    world
}

#[tokio::test]
async fn istiods_metrics_are_read_from_its_pods_and_from_nobody_else() {
    let text = "# TYPE pilot_xds gauge\npilot_xds{version=\"1.29.3\"} 4\n# TYPE pilot_total_xds_rejects counter\npilot_total_xds_rejects{type=\"lds\"} 2\n";
    let world = counting(move || Ok(plain(200, text)));
    let found = world.clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap().control_plane.unwrap();
    assert_eq!((found.proxies(), found.rejects), (4, 2));
    let asked = world.asked();
    let paths: Vec<&str> =
        asked.iter().map(|call| call.request.uri().path()).filter(|path| path.contains("proxy")).collect();
    assert_eq!(paths, ["/api/v1/namespaces/istio-system/pods/istiod-x:15014/proxy/metrics"]);
}

#[tokio::test]
async fn metrics_that_cannot_be_read_are_no_zeros() {
    let forbidden = "pods \"istiod-x\" is forbidden: User \"guard\" cannot get resource \"pods/proxy\"";
    for (answer, words) in [
        (status(403, "Forbidden", forbidden), "cannot get resource"),
        (status(503, "ServiceUnavailable", "error trying to reach service"), "error trying to reach service"),
        (plain(200, "<html>not metrics</html>"), "read the metrics of istio-system/istiod-x"),
    ] {
        let world = counting(move || Ok(answer.clone()));
        let why = world
            .clusters
            .health(&row(), Extent::Whole, MINUTE)
            .await
            .unwrap()
            .control_plane
            .unwrap_err()
            .why;
        assert!(why.contains(words), "{why}");
    }
    let nobody = World::new();
    let why =
        nobody.clusters.health(&row(), Extent::Whole, MINUTE).await.unwrap().control_plane.unwrap_err().why;
    assert!(why.contains("no pod of istiod is ready"), "{why}");
}
