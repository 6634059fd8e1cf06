//! Is there anything to compare the soak with?

use super::{Check, Source, Subject, is_open};
use crate::{Finding, TrafficWindow};

pub(super) const CHECK: Check = Check {
    asks: "Does Datadog have enough requests to compare with?",
    because: "The soak is judged against the time before the change. Without series, or with few requests, every verdict \
              would be a guess; no data is never a pass.",
    reads: &[Source::Traffic],
    codes: &[
        is_open("NO_BASELINE", "there is no request series for the cluster's tags"),
        is_open("NO_LATENCY_BASELINE", "there are requests and no 95th percentile of their latency"),
        is_open("THIN_BASELINE", "there are fewer requests than validation.thresholds.min_request_volume"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let environment = &subject.planned.record.environment;
    let volume = subject.config.validation.thresholds_of(environment).min_request_volume;
    Some(match subject.baseline.as_ref().ok()? {
        None => vec![Finding::unknown(
            "NO_BASELINE",
            subject.name(),
            "Datadog has no request series for this cluster",
            "check the Istio integration and the registry's datadog_tags",
        )],
        Some(window) if lacks_volume(window, volume) => vec![Finding::unknown(
            "THIN_BASELINE",
            subject.name(),
            format!("{:.0} requests in the baseline window, {volume} are needed", window.requests),
            "choose a busier hour, a longer soak, or lower validation.thresholds.min_request_volume",
        )],
        // The soak would end without an answer, and a person be asked.
        Some(window) if window.latency_p95_ms.is_empty() => vec![Finding::unknown(
            "NO_LATENCY_BASELINE",
            subject.name(),
            "Datadog has no p95 of istio.mesh.request.duration.milliseconds for this cluster",
            "report histograms as distributions (histogram_buckets_as_distributions), with percentiles enabled",
        )],
        Some(_) => Vec::new(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a request volume is far below 2^52")]
fn lacks_volume(window: &TrafficWindow, volume: u64) -> bool {
    window.requests < volume as f64
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn no_series_and_too_few_requests_are_no_answer() {
        finds(&CHECK, "NO_BASELINE", |scene| scene.baseline = Ok(None));
        finds(&CHECK, "THIN_BASELINE", |scene| {
            scene.baseline.as_mut().unwrap().as_mut().unwrap().requests = 3.0;
        });
        finds(&CHECK, "NO_LATENCY_BASELINE", |scene| {
            scene.baseline.as_mut().unwrap().as_mut().unwrap().latency_p95_ms.clear();
        });
    }
}
