//! Is the cluster as well with the new version as it was before?
//!
//! The simple judge: shares of 5xx and medians of p95 latency against fixed thresholds. It says FAIL only for what the
//! configuration calls intolerable, and never PASS without data. The calibrated judge of the design replaces it.

use serde::{Deserialize, Serialize};

use crate::{Thresholds, TrafficWindow};

/// Fewer errors than this are no evidence, whatever their share.
const MIN_ERRORS: f64 = 10.0;
/// Below this share of minutes with data a window says nothing.
const MIN_COVERAGE: f64 = 0.5;

/// The answer for one cluster at one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoakVerdict {
    /// Pass, fail or not yet known.
    pub outcome: SoakOutcome,
    /// Why, as sentences with numbers.
    pub reasons: Vec<String>,
}

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoakOutcome {
    /// Nothing intolerable was seen, with enough data to see it.
    Pass,
    /// Something intolerable was seen.
    Fail,
    /// Too little data for either.
    Insufficient,
}

/// Judges one cluster. `baselines` are windows before the change, of the same length: just before, and the same hours a
/// day earlier. What was as bad in any of them is not the new version's doing.
pub fn judge(
    thresholds: &Thresholds,
    baselines: &[TrafficWindow],
    soak: Option<&TrafficWindow>,
    window_minutes: u32,
) -> SoakVerdict {
    let insufficient =
        |reason: String| SoakVerdict { outcome: SoakOutcome::Insufficient, reasons: vec![reason] };
    let Some(soak) = soak else {
        return insufficient("Datadog has no request series since the change".into());
    };
    let baselines: Vec<&TrafficWindow> = baselines.iter().filter(|window| window.requests > 0.0).collect();
    if baselines.is_empty() {
        return insufficient("there is no baseline to compare with".into());
    }
    if f64::from(soak.minutes_seen) < f64::from(window_minutes) * MIN_COVERAGE {
        return insufficient(format!("data for {} of {window_minutes} minutes", soak.minutes_seen));
    }
    #[expect(clippy::cast_precision_loss, reason = "a request volume is far below 2^52")]
    let volume = thresholds.min_request_volume as f64;
    if soak.requests < volume {
        return insufficient(format!("{:.0} requests, {volume:.0} are needed", soak.requests));
    }

    let mut reasons = Vec::new();
    let mut has_failed = false;
    if let Some(now) = soak.error_ratio() {
        let before = baselines.iter().filter_map(|window| window.error_ratio()).fold(0.0, f64::max);
        let is_bad = now > thresholds.error_rate_max
            && now > before + thresholds.error_rate_increase_max
            && soak.errors >= MIN_ERRORS;
        has_failed |= is_bad;
        reasons.push(format!(
            "5xx {:.3} % of {:.0} requests, before {:.3} %, tolerable {:.3} %{}",
            now * 100.0,
            soak.requests,
            before * 100.0,
            thresholds.error_rate_max * 100.0,
            if is_bad { ": too many" } else { "" }
        ));
    }
    let before = baselines
        .iter()
        .filter_map(|window| median(&window.latency_p95_ms))
        .fold(None, |top: Option<f64>, m| Some(top.map_or(m, |t| t.max(m))));
    match (median(&soak.latency_p95_ms), before) {
        (Some(now), Some(before)) if before > 0.0 => {
            let rise = (now / before - 1.0) * 100.0;
            let is_bad = rise > thresholds.latency_increase_percent;
            has_failed |= is_bad;
            reasons.push(format!(
                "p95 latency {now:.0} ms, before {before:.0} ms, {rise:+.1} %, tolerable +{:.0} %{}",
                thresholds.latency_increase_percent,
                if is_bad { ": too slow" } else { "" }
            ));
        }
        // A latency nobody can read must not pass; a definite no on errors stays one.
        _ if !has_failed => return insufficient("no p95 latency to compare".into()),
        _ => reasons.push("no p95 latency to compare".into()),
    }
    SoakVerdict { outcome: if has_failed { SoakOutcome::Fail } else { SoakOutcome::Pass }, reasons }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(requests: f64, errors: f64, p95: f64) -> TrafficWindow {
        TrafficWindow { requests, errors, latency_p95_ms: vec![p95; 60], minutes_seen: 60 }
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests read better with windows by value")]
    fn outcome(soak: Option<TrafficWindow>) -> SoakOutcome {
        judge(&Thresholds::default(), &[window(60_000.0, 12.0, 100.0)], soak.as_ref(), 60).outcome
    }

    #[test]
    fn as_before_is_a_pass() {
        assert_eq!(outcome(Some(window(60_000.0, 15.0, 104.0))), SoakOutcome::Pass);
    }

    #[test]
    fn more_errors_than_tolerable_and_than_before_is_a_fail() {
        assert_eq!(outcome(Some(window(60_000.0, 90.0, 100.0))), SoakOutcome::Fail);
        // Above the limit but as before: not the new version's doing.
        let verdict = judge(
            &Thresholds::default(),
            &[window(60_000.0, 90.0, 100.0)],
            Some(&window(60_000.0, 95.0, 100.0)),
            60,
        );
        assert_eq!(verdict.outcome, SoakOutcome::Pass);
        // Nine errors of 1,200 requests are too few to say.
        assert_eq!(outcome(Some(window(1_200.0, 9.0, 100.0))), SoakOutcome::Pass);
    }

    #[test]
    fn slower_than_every_baseline_is_a_fail() {
        assert_eq!(outcome(Some(window(60_000.0, 12.0, 111.0))), SoakOutcome::Fail);
        let slow_yesterday = [window(60_000.0, 12.0, 100.0), window(60_000.0, 12.0, 110.0)];
        let verdict =
            judge(&Thresholds::default(), &slow_yesterday, Some(&window(60_000.0, 12.0, 111.0)), 60);
        assert_eq!(verdict.outcome, SoakOutcome::Pass);
    }

    #[test]
    fn silence_is_never_a_pass() {
        assert_eq!(outcome(None), SoakOutcome::Insufficient);
        assert_eq!(outcome(Some(window(10.0, 0.0, 100.0))), SoakOutcome::Insufficient);
        assert_eq!(
            outcome(Some(TrafficWindow { minutes_seen: 29, ..window(60_000.0, 12.0, 100.0) })),
            SoakOutcome::Insufficient
        );
        assert_eq!(
            outcome(Some(TrafficWindow { latency_p95_ms: vec![], ..window(60_000.0, 12.0, 100.0) })),
            SoakOutcome::Insufficient
        );
        let soak = window(60_000.0, 12.0, 100.0);
        assert_eq!(judge(&Thresholds::default(), &[], Some(&soak), 60).outcome, SoakOutcome::Insufficient);
        assert_eq!(
            judge(&Thresholds::default(), &[TrafficWindow::default()], Some(&soak), 60).outcome,
            SoakOutcome::Insufficient
        );
    }

    proptest! {
        #[test]
        fn more_errors_never_turn_a_fail_into_a_pass(errors in 0.0f64..5_000.0, more in 0.0f64..5_000.0, p95 in 1.0f64..500.0) {
            let less = outcome(Some(window(60_000.0, errors, p95)));
            let worse = outcome(Some(window(60_000.0, errors + more, p95)));
            prop_assert!(less != SoakOutcome::Fail || worse == SoakOutcome::Fail);
        }
    }
}
