//! istiod's own counters, read from each of its pods through the API server.

use guard_domain::{ControlPlaneFacts, IstioVersion, MeshRole};
use guard_tasks::{Context as _, TaskError};
use http::Request;
use kube::Client;
use prometheus_parse::{Sample, Scrape, Value};

use crate::error;
use crate::pods::MeshPod;

/// Where istiod shows its metrics.
const PORT: u16 = 15014;

/// Connected proxies; every istiod shows it, from its first moment on.
const CONNECTED: &str = "pilot_xds";

/// Added up over the ready pods. One that is not ready answers nothing, and proxies are not connected to it.
pub(crate) async fn facts(client: &Client, pods: &[MeshPod]) -> Result<ControlPlaneFacts, TaskError> {
    let mut sum = None;
    for pod in pods.iter().filter(|pod| pod.role == MeshRole::Istiod && pod.is_ready) {
        let doing = format!("read the metrics of {}/{}", pod.namespace, pod.name);
        let path = format!("/api/v1/namespaces/{}/pods/{}:{PORT}/proxy/metrics", pod.namespace, pod.name);
        let request =
            Request::get(path).body(Vec::new()).map_err(|error| TaskError::internal(error.to_string()))?;
        let text = error::named(client.request_text(request).await, &doing)?;
        sum.get_or_insert_with(ControlPlaneFacts::default).add(counters(&text).context(doing)?);
    }
    sum.ok_or_else(|| TaskError::rejected("no pod of istiod is ready, so none was asked for its metrics"))
}

/// The counters of one pod, in Prometheus' text format.
fn counters(text: &str) -> Result<ControlPlaneFacts, TaskError> {
    // It reads the clock for samples that bring no time of their own; nobody asks when these were taken.
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())));
    let scrape = scrape.map_err(|_| TaskError::internal("no metrics in Prometheus' text format"))?;
    let mut found = ControlPlaneFacts::default();
    let mut is_istiods = false;
    for sample in &scrape.samples {
        let Some(count) = count(sample) else { continue };
        match sample.metric.as_str() {
            CONNECTED => {
                is_istiods = true;
                let version = sample.labels.get("version").and_then(|text| IstioVersion::parse(text).ok());
                if count > 0 {
                    let one = vec![(version, count)];
                    found.add(ControlPlaneFacts { connected: one, ..ControlPlaneFacts::default() });
                }
            }
            "pilot_xds_pushes"
                if sample.labels.get("type").is_some_and(|kind| kind.ends_with("_senderr")) =>
            {
                found.unsent += count;
            }
            "pilot_xds_pushes" => found.pushes += count,
            "pilot_xds_write_timeout" => found.unsent += count,
            "pilot_total_xds_rejects" => found.rejects += count,
            "pilot_total_xds_internal_errors" => found.internal_errors += count,
            _ => {}
        }
    }
    if is_istiods { Ok(found) } else { Err(TaskError::internal(format!("the metrics hold no {CONNECTED}"))) }
}

/// A whole number that is not negative; anything else is no count.
fn count(sample: &Sample) -> Option<u64> {
    let (Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value)) = &sample.value else {
        return None;
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on both sides")]
    (0.0..=9e15).contains(value).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As istiod 1.30 writes it, shortened.
    const METRICS: &str = "\
# HELP pilot_xds Number of endpoints connected to this pilot using XDS.
# TYPE pilot_xds gauge
pilot_xds{version=\"1.29.3\"} 3
pilot_xds{version=\"1.30.5\"} 27
pilot_xds{version=\"65536.65536.65536\"} 0
# TYPE pilot_xds_pushes counter
pilot_xds_pushes{type=\"cds\"} 40
pilot_xds_pushes{type=\"lds\"} 2
pilot_xds_pushes{type=\"lds_senderr\"} 1
# TYPE pilot_xds_write_timeout counter
pilot_xds_write_timeout 2
# TYPE pilot_total_xds_rejects counter
pilot_total_xds_rejects{type=\"type.googleapis.com/envoy.config.listener.v3.Listener\"} 5
pilot_total_xds_rejects{type=\"type.googleapis.com/envoy.config.cluster.v3.Cluster\"} 6
# TYPE pilot_total_xds_internal_errors counter
pilot_total_xds_internal_errors 7
";

    #[test]
    fn istiods_counters_are_added_up() {
        let v = |text: &str| IstioVersion::parse(text).ok();
        let mut found = counters(METRICS).unwrap();
        assert_eq!(found.connected, [(v("1.29.3"), 3), (v("1.30.5"), 27)]);
        let numbers = |f: &ControlPlaneFacts| [f.proxies(), f.pushes, f.unsent, f.rejects, f.internal_errors];
        assert_eq!(numbers(&found), [30, 42, 3, 11, 7]);
        found.add(counters("# TYPE pilot_xds gauge\npilot_xds{version=\"1.30.5\"} 1\n").unwrap());
        assert_eq!(numbers(&found), [31, 42, 3, 11, 7]);
    }

    #[test]
    fn what_istiod_would_not_write_is_no_zero() {
        for text in
            ["", "<html>", "pilot_info{version=\"1.30.5\"} 1\n", "pilot_xds{version=\"1.30.5\"} NaN\n"]
        {
            assert!(counters(text).is_err(), "{text}");
        }
    }
}
