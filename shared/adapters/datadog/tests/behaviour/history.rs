//! Days of metrics, in points of five minutes.

use guard_domain::ClusterId;
use guard_domain::soak::STEP;
use guard_tasks::{ErrorName, HistoryAsked, HistoryReader as _};
use jiff::Timestamp;
use serde_json::json;

use crate::world::{Asked, World, all, ok, row, series};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(name: &str) -> ClusterId {
    ClusterId::parse(name).unwrap()
}

fn is_legacy(asked: &Asked) -> bool {
    asked.metric().contains("request.count.total")
}

fn asks_for(asked: &Asked, cluster: &str) -> bool {
    asked.metric().contains(&format!("kube_cluster_name:{cluster}"))
        || asked.metric().contains(&format!("({cluster},"))
        || asked.metric().contains(&format!(",{cluster})"))
}

/// Every series has a value of its own, so none can be taken for another.
fn value(asked: &Asked) -> f64 {
    let text = asked.metric();
    let metrics = ["p95:", "p99:", "cpu.usage", "memory.usage", "request.count.total", "request.count"];
    let which = metrics.iter().zip(1..).find(|(part, _)| text.contains(*part)).map_or(0, |(_, n)| n);
    f64::from(which) + if text.contains("response_code:5*") { 0.5 } else { 0.0 }
}

#[tokio::test]
async fn each_metric_is_on_the_grid_and_gaps_stay_gaps() {
    let world = World::new(|asked| {
        if is_legacy(asked) {
            return all(&[]);
        }
        let value = Some(value(asked));
        all(&[series("eks-1", &[(0, value), (STEP, None), (2 * STEP, value), (4 * STEP, value)])])
    });
    let found =
        world.datadog.history(&[row("eks-1")], HistoryAsked::All, at(100), at(4 * STEP)).await.unwrap();
    let history = &found[&id("eks-1")];
    let whole = [
        (&history.requests, 6.0),
        (&history.errors, 6.5),
        (&history.latency_p95, 1.0),
        (&history.latency_p99, 2.0),
        (&history.proxy_cpu, 3.0),
        (&history.proxy_memory, 4.0),
    ];
    for (series, value) in whole {
        assert_eq!((series.start(), series.step()), (0, STEP));
        // The first begins before what was asked for, the last belongs to the next window.
        let there: Vec<bool> = series.values().iter().map(|value| !value.is_nan()).collect();
        assert_eq!(there, [false, false, true, false]);
        assert!((series.values()[2] - value).abs() < 1e-12, "{:?}", series.values());
    }
    let asked: Vec<String> = world.asked().iter().map(|asked| asked.metric().to_owned()).collect();
    assert_eq!(
        asked,
        [
            "sum:istio.mesh.request.count.total{reporter:destination,kube_cluster_name:eks-1} by {kube_cluster_name}.as_count().rollup(sum, 300)",
            "p95:istio.mesh.request.duration.milliseconds{reporter:destination,kube_cluster_name:eks-1} by {kube_cluster_name}.rollup(300)",
            "p99:istio.mesh.request.duration.milliseconds{reporter:destination,kube_cluster_name:eks-1} by {kube_cluster_name}.rollup(300)",
            "sum:kubernetes.cpu.usage.total{kube_container_name:istio-proxy,kube_cluster_name:eks-1} by {kube_cluster_name}.rollup(avg, 300)",
            "sum:kubernetes.memory.usage{kube_container_name:istio-proxy,kube_cluster_name:eks-1} by {kube_cluster_name}.rollup(avg, 300)",
            "sum:istio.mesh.request.count{reporter:destination,kube_cluster_name:eks-1} by {kube_cluster_name}.as_count().rollup(sum, 300)",
            "sum:istio.mesh.request.count{reporter:destination,response_code:5*,kube_cluster_name:eks-1} by {kube_cluster_name}.as_count().rollup(sum, 300)",
        ]
    );
}

#[tokio::test]
async fn a_look_in_between_asks_for_what_is_critical() {
    let world = World::new(|asked| {
        if is_legacy(asked) { all(&[]) } else { all(&[series("eks-1", &[(0, Some(value(asked)))])]) }
    });
    let asked = HistoryAsked::Critical;
    let found = world.datadog.history(&[row("eks-1")], asked, at(0), at(STEP)).await.unwrap();
    let history = &found[&id("eks-1")];
    assert_eq!((history.latency_p99.values()[0], history.errors.values()[0]), (2.0, 6.5));
    assert!(history.proxy_cpu.values()[0].is_nan() && history.proxy_memory.values()[0].is_nan());
    assert_eq!(world.asked().len(), 5);
}

/// In the older mode `istio.mesh.request.count` is a gauge that only grows: it is never read as a count.
#[tokio::test]
async fn the_two_modes_of_the_integration_are_never_mixed() {
    let world = World::new(|asked| {
        let old = series("old", &[(0, Some(value(asked)))]);
        let new = series("new", &[(0, Some(value(asked)))]);
        match (asks_for(asked, "old"), asks_for(asked, "new")) {
            (true, true) if is_legacy(asked) => all(&[old]),
            (true, true) => all(&[old, new]),
            (true, false) => all(&[old]),
            (false, _) => all(&[new]),
        }
    });
    let found =
        world.datadog.history(&[row("old"), row("new")], HistoryAsked::All, at(0), at(STEP)).await.unwrap();
    let numbers = |name: &str| {
        let history = &found[&id(name)];
        (history.requests.values()[0], history.errors.values()[0], history.latency_p95.values()[0])
    };
    assert_eq!((numbers("old"), numbers("new")), ((5.0, 5.5, 1.0), (6.0, 6.5, 1.0)));
    let newer: Vec<_> =
        world.asked().into_iter().filter(|asked| asked.metric().contains("request.count{")).collect();
    assert!(newer.len() == 2 && newer.iter().all(|asked| !asks_for(asked, "old")), "{newer:?}");
}

#[tokio::test]
async fn many_days_of_many_clusters_are_few_calls() {
    let world = World::new(|asked| {
        let from: i64 = asked.query["from"].parse().unwrap();
        let to: i64 = asked.query["to"].parse().unwrap();
        assert!((to - from) / STEP <= 1_440, "Datadog would answer in coarser points");
        if is_legacy(asked) {
            return all(&[]);
        }
        let (_, list) = asked.metric().split_once("IN (").unwrap();
        let (list, _) = list.split_once(')').unwrap();
        all(&list.split(',').map(|cluster| series(cluster, &[(from, Some(1.0))])).collect::<Vec<_>>())
    });
    let rows: Vec<_> = (0..75).map(|n| row(&format!("eks-{n:02}"))).collect();
    let days = 9 * 86_400;
    let found = world.datadog.history(&rows, HistoryAsked::All, at(0), at(days)).await.unwrap();
    assert_eq!(found.len(), 75);
    let there = found[&id("eks-74")].requests.present().count();
    assert_eq!(there, 2, "both parts of the time");
    assert_eq!(world.asked().len(), 28, "seven metrics, two parts of the time, two lots of clusters");
}

#[tokio::test]
async fn a_cluster_without_requests_is_absent_and_one_without_errors_has_none() {
    let world = World::new(|asked| {
        if is_legacy(asked) || asked.metric().contains("response_code") {
            return all(&[]);
        }
        let busy = series("busy", &[(0, Some(1.0))]);
        let idle = series("idle", &[(0, Some(1.0))]);
        if asked.metric().contains("request.count") { all(&[busy]) } else { all(&[busy, idle]) }
    });
    let found =
        world.datadog.history(&[row("busy"), row("idle")], HistoryAsked::All, at(0), at(STEP)).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&id("busy")]);
    assert!(found[&id("busy")].errors.values()[0].is_nan());
    assert!(world.datadog.history(&[], HistoryAsked::All, at(0), at(STEP)).await.unwrap().is_empty());
}

/// Datadog makes points coarser without a word but the interval: averages of an hour are quieter than those of minutes.
#[tokio::test]
async fn coarser_points_are_refused() {
    let world = World::new(|_| {
        ok(&json!({"status": "ok", "series": [{
            "scope": "kube_cluster_name:eks-1", "tag_set": ["kube_cluster_name:eks-1"],
            "interval": 600, "pointlist": [[0, 1.0]]
        }]}))
    });
    let error = world.datadog.history(&[row("eks-1")], HistoryAsked::All, at(0), at(STEP)).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Internal);
    assert!(error.chain().contains("points of 600 seconds"), "{}", error.chain());
}
