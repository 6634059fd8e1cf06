//! What the soak can see, for the person who is asked to merge.

use super::description::Checked;
use super::escape;
use crate::Plan;
use crate::soak::{Prospect, SoakMetric};

/// The section of a merge request.
pub(super) fn render(plan: &Plan, checks: &[Checked]) -> String {
    let minutes = plan.config.validation.soak_period_minutes;
    let mut text = String::from("### What the soak can see\n\n");
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line(&format!(
        "After the restarts GUARD watches the metrics for {minutes} minutes and compares them with the days before. It has \
         judged each cluster at moments of its own past, with nothing changed: how often would it have been taken back, and \
         which rise of one metric alone would have been seen at four of five of them? Smaller ones are seen where several \
         metrics or clusters show them.\n"
    ));
    line(
        "| cluster | requests | answers 5xx | taken back for nothing | p95 latency from | p99 latency from | share of 5xx from |\n\
         |---|---|---|---|---|---|---|",
    );
    for check in checks {
        let environment = plan.cluster(&check.cluster_id).map_or("", |planned| &planned.record.environment);
        let least = plan.config.validation.thresholds_of(environment).min_request_volume;
        let (requests, errors) = match &check.baseline {
            Some(window) if window.requests < to_f64(least) => (
                format!("{:.0} (fewer than {least}: such a window says nothing)", window.requests),
                format!("{:.0}", window.errors),
            ),
            Some(window) => (format!("{:.0}", window.requests), format!("{:.0}", window.errors)),
            None => ("no data".to_owned(), "no data".to_owned()),
        };
        let mut cells = vec![escape(check.cluster_id.as_str()), requests, errors];
        cells.extend(columns(check.prospect.as_ref()));
        line(&format!("| {} |", cells.join(" | ")));
    }
    line("");
    text
}

fn columns(prospect: Option<&Prospect>) -> [String; 4] {
    let unknown = || "not known".to_owned();
    let Some(prospect) = prospect else { return [unknown(), unknown(), unknown(), unknown()] };
    let smallest = |metric: SoakMetric| match prospect.smallest_seen.get(&metric) {
        None => unknown(),
        Some(None) => "not seen".to_owned(),
        Some(Some(change)) if metric == SoakMetric::Errors => {
            format!("+{:.3} points", (change * 100.0 * 1_000.0).ceil() / 1_000.0)
        }
        Some(Some(change)) => format!("+{:.0} %", (change * 100.0).ceil()),
    };
    [
        format!("{:.1} % of {}", prospect.false_rollbacks * 100.0, prospect.placebos),
        smallest(SoakMetric::LatencyP95),
        smallest(SoakMetric::LatencyP99),
        smallest(SoakMetric::Errors),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a volume of requests is far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_called_nothing() {
        assert_eq!(columns(None), ["not known"; 4]);
        let smallest_seen = [
            (SoakMetric::LatencyP95, Some(0.1371)),
            (SoakMetric::LatencyP99, None),
            (SoakMetric::Errors, Some(0.000_611)),
        ];
        let prospect = Prospect {
            placebos: 250,
            false_rollbacks: 0.004,
            smallest_seen: smallest_seen.into_iter().collect(),
        };
        assert_eq!(columns(Some(&prospect)), ["0.4 % of 250", "+14 %", "not seen", "+0.062 points"]);
    }
}
