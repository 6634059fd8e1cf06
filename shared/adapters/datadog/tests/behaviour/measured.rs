//! Memory, and the names of request series.

use guard_domain::{IntegrationMode, MemoryFacts};
use guard_tasks::{IntegrationReader as _, MemoryAsked, MemoryReader as _};
use jiff::Timestamp;

use crate::world::{World, all, row, series};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn the_fullest_moment_counts_and_the_smallest_limit() {
    let world = World::new(|asked| {
        let points: &[(i64, Option<f64>)] = match asked.metric() {
            text if text.contains(".usage") => {
                &[(0, Some(9e9)), (300, Some(4e8)), (600, Some(7e8)), (900, None)]
            }
            text if text.contains(".limits") => &[(300, Some(2e9)), (600, Some(1e9))],
            _ => &[(300, Some(0.5)), (600, Some(0.25))],
        };
        all(&[series("eks-1", points)])
    });
    let asked = MemoryAsked { istiod: true, nodes: true };
    let found = world.datadog.memory(&row("EKS-1"), at(60), at(1200), asked).await.unwrap();
    let expected =
        MemoryFacts { istiod_used: Some(7e8), istiod_limit: Some(1e9), node_left_percent: Some(25.0) };
    assert_eq!(found, expected);
    let asked: Vec<String> = world.asked().iter().map(|one| one.metric().to_owned()).collect();
    assert_eq!(
        asked,
        [
            "max:kubernetes.memory.usage{kube_cluster_name:eks-1,kube_container_name:discovery} by {kube_cluster_name}.rollup(max, 300)",
            "min:kubernetes.memory.limits{kube_cluster_name:eks-1,kube_container_name:discovery} by {kube_cluster_name}.rollup(min, 300)",
            "min:system.mem.pct_usable{kube_cluster_name:eks-1} by {kube_cluster_name}.rollup(min, 300)",
        ]
    );
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_read_and_no_data_is_absent() {
    let world = World::new(|_| all(&[]));
    for (asked, calls) in
        [(MemoryAsked { istiod: false, nodes: false }, 0), (MemoryAsked { istiod: true, nodes: false }, 2)]
    {
        let found = world.datadog.memory(&row("eks-1"), at(60), at(1200), asked).await.unwrap();
        assert_eq!((found, world.asked().len()), (MemoryFacts::default(), calls));
    }
}

#[tokio::test]
async fn one_series_of_the_older_name_is_the_older_mode() {
    for (points, mode) in [
        (&[(300, Some(5.0))][..], IntegrationMode::Legacy),
        (&[(300, None)], IntegrationMode::OpenMetrics),
        (&[], IntegrationMode::OpenMetrics),
    ] {
        let world = World::new(move |_| all(&[series("eks-1", points)]));
        assert_eq!(world.datadog.integration(&row("eks-1"), at(60), at(1200)).await.unwrap(), mode);
        assert!(world.asked()[0].metric().starts_with("sum:istio.mesh.request.count.total{"));
    }
}
