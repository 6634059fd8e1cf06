//! The metrics.

use guard_datadog::Datadog;
use guard_domain::{ClusterId, ClusterRecord, IntegrationMode, MemoryFacts};
use guard_lambda::SystemClock;
use guard_simulation::Fleet;
use guard_tasks::{
    Clock as _, ErrorName, IntegrationReader, MemoryAsked, MemoryReader, MonitorReader, TrafficReader,
};
use jiff::{SignedDuration, Timestamp};

use crate::environment::{given, given_or, wanted};
use crate::world::{Outside, reads};

pub(crate) trait Metrics: TrafficReader + MemoryReader + IntegrationReader + MonitorReader {}

impl<T: TrafficReader + MemoryReader + IntegrationReader + MonitorReader> Metrics for T {}

struct Subject {
    metrics: Box<dyn Metrics>,
    /// The same service, with keys that it does not know.
    stranger: Box<dyn Metrics>,
    /// A cluster with traffic, where one is known.
    known: Option<ClusterRecord>,
    now: Timestamp,
}

async fn reading(subject: &Subject) {
    let Subject { metrics, stranger, known, now } = subject;
    let from = *now - SignedDuration::from_hours(1);
    let invented = invented();
    let mut rows = vec![invented.clone()];
    rows.extend(known.clone());
    let traffic = metrics.traffic(&rows, from, *now).await.unwrap();
    assert!(!traffic.contains_key(&invented.cluster_id), "no data is never a zero");
    assert_eq!(metrics.monitors(&invented).await.unwrap(), []);
    let asked = MemoryAsked { istiod: true, nodes: true };
    let memory = metrics.memory(&invented, from, *now, asked).await.unwrap();
    assert_eq!(memory, MemoryFacts::default(), "no data is never a zero");
    let mode = metrics.integration(&invented, from, *now).await.unwrap();
    assert_eq!(mode, IntegrationMode::OpenMetrics);
    if let Some(known) = known {
        let window = &traffic[&known.cluster_id];
        assert!(window.requests > 0.0 && (0.0..=window.requests).contains(&window.errors), "{window:?}");
        assert!((1..=61).contains(&window.minutes_seen), "{window:?}");
        assert!(window.latency_p95_ms.iter().all(|value| value.is_finite() && *value >= 0.0), "{window:?}");
        metrics.monitors(known).await.unwrap();
        let memory = metrics.memory(known, from, *now, asked).await.unwrap();
        let left = memory.node_left_percent.unwrap_or_default();
        assert!(
            (0.0..=100.0).contains(&left) && memory.istiod_used.is_none_or(|used| used > 0.0),
            "{memory:?}"
        );
    }
    let error = stranger.traffic(&rows, from, *now).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
    let error = stranger.monitors(&invented).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}

/// A row for a cluster that nobody has.
pub(crate) fn invented() -> ClusterRecord {
    let mut row = Fleet::new(1, 1, None, None).unwrap().rows.remove(0);
    row.cluster_id = ClusterId::parse("guard-live-no-such-cluster").unwrap();
    row.datadog_tags.cluster = "guard-live-no-such-cluster".into();
    row
}

fn datadog(site: &str, api: &str, app: &str) -> Box<dyn Metrics> {
    Box::new(Datadog::new(reads(), site, api.to_owned().into(), app.to_owned().into()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_keeps_the_contract() {
    let outside = Outside::open().await;
    let (site, spec) = (&outside.served.datadog_url, &outside.fleet.world);
    let subject = Subject {
        metrics: datadog(site, &spec.datadog_api_key, &spec.datadog_app_key),
        stranger: datadog(site, "no-such-key", "no-such-key"),
        known: Some(outside.fleet.rows[0].clone()),
        now: outside.world.now(),
    };
    reading(&subject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_datadog_is_read() {
    let names = ["DATADOG_TEST_API_KEY", "DATADOG_TEST_APP_KEY"];
    let Some([api, app]) = wanted("Datadog", names) else { return };
    let site = given_or("DATADOG_TEST_SITE", "datadoghq.com");
    let known = given("DATADOG_TEST_CLUSTER").map(|cluster| {
        let mut row = invented();
        row.datadog_tags.cluster = cluster;
        if let Some(env) = given("DATADOG_TEST_ENV") {
            row.datadog_tags.env = env;
        }
        row.cluster_id = ClusterId::parse("guard-live-known-cluster").unwrap();
        row
    });
    let subject = Subject {
        metrics: datadog(&site, &api, &app),
        stranger: datadog(&site, "no-such-key", "no-such-key"),
        known,
        now: SystemClock.now(),
    };
    reading(&subject).await;
}
