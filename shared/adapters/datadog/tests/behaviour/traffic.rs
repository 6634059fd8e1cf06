//! Windows of traffic.

use guard_domain::ClusterId;
use guard_tasks::TrafficReader as _;
use jiff::Timestamp;

use crate::world::{Asked, World, all, row, series};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(name: &str) -> ClusterId {
    ClusterId::parse(name).unwrap()
}

fn is_errors(asked: &Asked) -> bool {
    asked.metric().contains("response_code:5*")
}

fn is_latency(asked: &Asked) -> bool {
    asked.metric().starts_with("p95:")
}

#[tokio::test]
async fn gaps_are_not_zeros_and_the_end_belongs_to_the_next_window() {
    let world = World::new(|asked| {
        let points: &[(i64, Option<f64>)] = if is_latency(asked) {
            &[(60, Some(12.5)), (120, None), (180, Some(20.0))]
        } else if is_errors(asked) {
            &[(60, Some(1.0)), (120, None)]
        } else {
            &[(0, Some(1e6)), (60, Some(100.0)), (120, None), (180, Some(50.0)), (240, Some(1e6))]
        };
        all(&[series("eks-1", points)])
    });
    let windows = world.datadog.traffic(&[row("eks-1")], at(60), at(240)).await.unwrap();
    let window = &windows[&id("eks-1")];
    assert_eq!((window.requests, window.errors, window.minutes_seen), (150.0, 1.0, 2));
    assert_eq!(window.latency_p95_ms, [12.5, 20.0]);

    let asked = world.asked();
    assert_eq!(asked.len(), 3, "one query a metric");
    assert_eq!(asked[0].path, "/api/v1/query");
    assert_eq!((asked[0].query["from"].as_str(), asked[0].query["to"].as_str()), ("60", "240"));
    assert_eq!(asked[0].call.request.uri().host(), Some("api.datadoghq.eu"));
    assert_eq!(asked[0].call.request.headers()["dd-api-key"], "hush-api");
    assert_eq!(asked[0].call.request.headers()["dd-application-key"], "hush-application");
}

#[tokio::test]
async fn no_data_is_no_window_and_no_5xx_series_is_no_error() {
    let world = World::new(|asked| {
        if is_errors(asked) {
            return all(&[series("silent", &[(60, Some(3.0))])]);
        }
        all(&[series("busy", &[(60, Some(10.0))]), series("gaps-only", &[(60, None)])])
    });
    let rows = [row("busy"), row("silent"), row("gaps-only")];
    let windows = world.datadog.traffic(&rows, at(60), at(120)).await.unwrap();
    assert_eq!(windows.keys().collect::<Vec<_>>(), [&id("busy")]);
    assert_eq!(windows[&id("busy")].error_ratio(), Some(0.0));
}

#[tokio::test]
async fn a_measured_zero_is_a_number() {
    let world = World::new(|_| all(&[series("idle", &[(60, Some(0.0))])]));
    let windows = world.datadog.traffic(&[row("idle")], at(60), at(120)).await.unwrap();
    assert_eq!((windows[&id("idle")].requests, windows[&id("idle")].minutes_seen), (0.0, 1));
    assert_eq!(windows[&id("idle")].error_ratio(), None);
}

#[tokio::test]
async fn many_clusters_are_asked_for_together_fifty_at_a_time() {
    let world = World::new(|asked| {
        let (_, list) = asked.metric().split_once("IN (").unwrap();
        let (list, _) = list.split_once(')').unwrap();
        let one = |cluster: &str| series(cluster, &[(60, Some(1.0))]);
        all(&list.split(',').map(one).collect::<Vec<_>>())
    });
    let rows: Vec<_> = (0..75).map(|n| row(&format!("eks-{n:02}"))).collect();
    let windows = world.datadog.traffic(&rows, at(60), at(120)).await.unwrap();
    assert_eq!(windows.len(), 75);
    assert_eq!(world.asked().len(), 6);
}

#[tokio::test]
async fn datadog_keeps_tags_in_lower_case_and_two_rows_may_share_one() {
    let world = World::new(|_| all(&[series("eks-1", &[(60, Some(1.0))])]));
    let mut twin = row("other");
    twin.datadog_tags.cluster = "eks-1".into();
    let windows = world.datadog.traffic(&[row("EKS-1"), twin], at(60), at(120)).await.unwrap();
    assert_eq!(windows.len(), 2);
    assert!(world.asked()[0].metric().contains("kube_cluster_name:eks-1"), "asked once, by one tag");
}

#[tokio::test]
async fn no_clusters_are_no_calls() {
    let world = World::new(|_| panic!("nothing to ask"));
    assert!(world.datadog.traffic(&[], at(60), at(120)).await.unwrap().is_empty());
}
