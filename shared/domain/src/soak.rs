//! Is the cluster as well with the new version as it was before?
//!
//! The simple judge: shares of 5xx and medians of p95 latency against fixed thresholds. It says FAIL only for what the
//! configuration calls intolerable, never PASS without data, EXTERNAL when clusters that were not upgraded moved alike,
//! and MARGINAL close to what is intolerable. The calibrated judge of the design replaces it.

use crate::{Thresholds, TrafficWindow};

/// Fewer errors than this are no evidence, whatever their share.
const MIN_ERRORS: f64 = 10.0;
/// Below this share of minutes with data a window says nothing.
const MIN_COVERAGE: f64 = 0.5;
/// From this share of what is tolerable on, a rise is too close to call.
const MARGIN: f64 = 0.7;
/// Fewer controls than this could have moved by chance.
const MIN_CONTROLS: usize = 2;
/// A rise is explained from outside while it is at most so many times the rise of the middle control.
const ALIKE: f64 = 2.0;

pub use crate::judge::{SoakOutcome, SoakVerdict};

/// The traffic of one cluster, after the change and before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// Windows before the change, of the same length: just before, and the same hours a day earlier. What was as bad in
    /// any of them is not the new version's doing.
    pub baselines: Vec<TrafficWindow>,
    /// The soak so far; `None` when Datadog has no series.
    pub soak: Option<TrafficWindow>,
}

/// One measure, before and now. `None` where either cannot be read.
struct Rises {
    /// Share of 5xx answers, 0 to 1.
    errors: Option<(f64, f64)>,
    /// Median p95 latency, milliseconds.
    latency: Option<(f64, f64)>,
}

impl Traffic {
    /// What can be compared, or why nothing can.
    fn rises(&self, thresholds: &Thresholds, window_minutes: u32) -> Result<Rises, String> {
        let Some(soak) = &self.soak else {
            return Err("Datadog has no request series since the change".into());
        };
        let baselines: Vec<&TrafficWindow> =
            self.baselines.iter().filter(|window| window.requests > 0.0).collect();
        if baselines.is_empty() {
            return Err("there is no baseline to compare with".into());
        }
        if f64::from(soak.minutes_seen) < f64::from(window_minutes) * MIN_COVERAGE {
            return Err(format!("data for {} of {window_minutes} minutes", soak.minutes_seen));
        }
        #[expect(clippy::cast_precision_loss, reason = "a request volume is far below 2^52")]
        let volume = thresholds.min_request_volume as f64;
        if soak.requests < volume {
            return Err(format!("{:.0} requests, {volume:.0} are needed", soak.requests));
        }
        let worst = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
        let errors_before = worst(&mut baselines.iter().filter_map(|window| window.error_ratio()));
        let latency_before = worst(&mut baselines.iter().filter_map(|w| median(&w.latency_p95_ms)));
        Ok(Rises {
            errors: soak.error_ratio().map(|now| (errors_before.unwrap_or(0.0), now)),
            latency: latency_before.filter(|before| *before > 0.0).zip(median(&soak.latency_p95_ms)),
        })
    }
}

/// How bad one measure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Fine,
    Close,
    Intolerable,
}

/// Judges one cluster beside its controls: clusters of the same kind that were not upgraded.
pub fn judge(thresholds: &Thresholds, own: &Traffic, controls: &[Traffic], minutes: u32) -> SoakVerdict {
    let insufficient =
        |reason: String| SoakVerdict { outcome: SoakOutcome::Insufficient, reasons: vec![reason] };
    let rises = match own.rises(thresholds, minutes) {
        Ok(rises) => rises,
        Err(reason) => return insufficient(reason),
    };
    let beside: Vec<Rises> =
        controls.iter().filter_map(|control| control.rises(thresholds, minutes).ok()).collect();
    let mut reasons = Vec::new();
    let mut worst = Weight::Fine;
    let mut all_explained = true;
    let mut weigh = |weight: Weight, rise: f64, of_controls: &[f64], sentence: String| {
        worst = worst.max(weight);
        let mut words = sentence;
        if weight == Weight::Intolerable {
            let is_explained = of_controls.len() >= MIN_CONTROLS
                && median(of_controls).is_some_and(|middle| rise <= middle * ALIKE);
            all_explained &= is_explained;
            if is_explained {
                words = format!("{words}, as on {} clusters that were not upgraded", of_controls.len());
            }
        }
        reasons.push(words);
    };
    if let (Some((before, now)), Some(soak)) = (rises.errors, &own.soak) {
        let weight = errors(thresholds, before, now, soak.errors);
        let of_controls: Vec<f64> =
            beside.iter().filter_map(|r| r.errors).map(|(before, now)| now - before).collect();
        let sentence = format!(
            "5xx {:.3} % of {:.0} requests, before {:.3} %, tolerable {:.3} %{}",
            now * 100.0,
            soak.requests,
            before * 100.0,
            thresholds.error_rate_max * 100.0,
            said(weight, "too many")
        );
        weigh(weight, now - before, &of_controls, sentence);
    }
    if let Some((before, now)) = rises.latency {
        let percent = |(before, now): (f64, f64)| (now / before - 1.0) * 100.0;
        let rise = percent((before, now));
        let weight = weight(rise, thresholds.latency_increase_percent);
        let of_controls: Vec<f64> = beside.iter().filter_map(|r| r.latency).map(percent).collect();
        let sentence = format!(
            "p95 latency {now:.0} ms, before {before:.0} ms, {rise:+.1} %, tolerable +{:.0} %{}",
            thresholds.latency_increase_percent,
            said(weight, "too slow")
        );
        weigh(weight, rise, &of_controls, sentence);
    } else if worst == Weight::Intolerable {
        reasons.push("no p95 latency to compare".into());
    } else {
        // A latency nobody can read must not pass; a definite no on errors stays one.
        return insufficient("no p95 latency to compare".into());
    }
    let outcome = match worst {
        Weight::Fine => SoakOutcome::Pass,
        Weight::Close => SoakOutcome::Marginal,
        Weight::Intolerable if all_explained => SoakOutcome::External,
        Weight::Intolerable => SoakOutcome::Fail,
    };
    SoakVerdict { outcome, reasons }
}

fn weight(value: f64, tolerable: f64) -> Weight {
    if value > tolerable {
        Weight::Intolerable
    } else if value > tolerable * MARGIN {
        Weight::Close
    } else {
        Weight::Fine
    }
}

/// Errors weigh when their share is high and has risen; the lighter of the two counts.
fn errors(thresholds: &Thresholds, before: f64, now: f64, count: f64) -> Weight {
    if count < MIN_ERRORS {
        return Weight::Fine;
    }
    weight(now, thresholds.error_rate_max).min(weight(now - before, thresholds.error_rate_increase_max))
}

fn said(weight: Weight, intolerable: &str) -> String {
    match weight {
        Weight::Fine => String::new(),
        Weight::Close => ": too close to call".into(),
        Weight::Intolerable => format!(": {intolerable}"),
    }
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

    fn traffic(baselines: &[TrafficWindow], soak: Option<TrafficWindow>) -> Traffic {
        Traffic { baselines: baselines.to_vec(), soak }
    }

    fn against(
        baselines: &[TrafficWindow],
        soak: Option<TrafficWindow>,
        controls: &[Traffic],
    ) -> SoakOutcome {
        judge(&Thresholds::default(), &traffic(baselines, soak), controls, 60).outcome
    }

    fn outcome(soak: Option<TrafficWindow>) -> SoakOutcome {
        against(&[window(60_000.0, 12.0, 100.0)], soak, &[])
    }

    #[test]
    fn as_before_is_a_pass() {
        assert_eq!(outcome(Some(window(60_000.0, 15.0, 104.0))), SoakOutcome::Pass);
    }

    #[test]
    fn more_errors_than_tolerable_and_than_before_is_a_fail() {
        assert_eq!(outcome(Some(window(60_000.0, 90.0, 100.0))), SoakOutcome::Fail);
        // Above the limit but as before: not the new version's doing.
        let high = [window(60_000.0, 90.0, 100.0)];
        assert_eq!(against(&high, Some(window(60_000.0, 95.0, 100.0)), &[]), SoakOutcome::Pass);
        // Nine errors of 1,200 requests are too few to say.
        assert_eq!(outcome(Some(window(1_200.0, 9.0, 100.0))), SoakOutcome::Pass);
    }

    #[test]
    fn slower_than_every_baseline_is_a_fail() {
        assert_eq!(outcome(Some(window(60_000.0, 12.0, 111.0))), SoakOutcome::Fail);
        let slow_yesterday = [window(60_000.0, 12.0, 100.0), window(60_000.0, 12.0, 110.0)];
        assert_eq!(against(&slow_yesterday, Some(window(60_000.0, 12.0, 111.0)), &[]), SoakOutcome::Pass);
    }

    #[test]
    fn close_to_intolerable_is_marginal() {
        assert_eq!(outcome(Some(window(60_000.0, 12.0, 106.9))), SoakOutcome::Pass);
        assert_eq!(outcome(Some(window(60_000.0, 12.0, 107.5))), SoakOutcome::Marginal);
        assert_eq!(outcome(Some(window(60_000.0, 12.0, 109.9))), SoakOutcome::Marginal);
        // 0.08 % is above 0.7 of 0.1 %, and its rise of 0.06 % is intolerable: the lighter counts.
        assert_eq!(outcome(Some(window(60_000.0, 48.0, 100.0))), SoakOutcome::Marginal);
    }

    #[test]
    fn what_the_controls_suffer_too_comes_from_outside() {
        let before = [window(60_000.0, 12.0, 100.0)];
        let bad = || Some(window(60_000.0, 600.0, 150.0));
        let alike = traffic(&before, Some(window(60_000.0, 500.0, 140.0)));
        let calm = traffic(&before, Some(window(60_000.0, 14.0, 101.0)));
        let controls = |all: &[&Traffic]| all.iter().map(|one| (*one).clone()).collect::<Vec<_>>();
        assert_eq!(against(&before, bad(), &controls(&[&alike, &alike])), SoakOutcome::External);
        assert_eq!(against(&before, bad(), &controls(&[&alike, &alike, &calm])), SoakOutcome::External);
        // One control proves nothing, calm ones accuse the version, and so do controls that suffer much less.
        assert_eq!(against(&before, bad(), &controls(&[&alike])), SoakOutcome::Fail);
        assert_eq!(against(&before, bad(), &controls(&[&alike, &calm, &calm])), SoakOutcome::Fail);
        let little = traffic(&before, Some(window(60_000.0, 200.0, 120.0)));
        assert_eq!(against(&before, bad(), &controls(&[&little, &little])), SoakOutcome::Fail);
        // Each intolerable measure needs its own explanation.
        let only_slow = traffic(&before, Some(window(60_000.0, 12.0, 150.0)));
        assert_eq!(against(&before, bad(), &controls(&[&only_slow, &only_slow])), SoakOutcome::Fail);
        // Controls without data are no controls.
        let silent = traffic(&before, None);
        assert_eq!(against(&before, bad(), &controls(&[&alike, &silent])), SoakOutcome::Fail);
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
        let soak = || Some(window(60_000.0, 12.0, 100.0));
        assert_eq!(against(&[], soak(), &[]), SoakOutcome::Insufficient);
        assert_eq!(against(&[TrafficWindow::default()], soak(), &[]), SoakOutcome::Insufficient);
    }

    proptest! {
        #[test]
        fn more_errors_never_turn_a_fail_into_a_pass(errors in 0.0f64..5_000.0, more in 0.0f64..5_000.0, p95 in 1.0f64..500.0) {
            let less = outcome(Some(window(60_000.0, errors, p95)));
            let worse = outcome(Some(window(60_000.0, errors + more, p95)));
            prop_assert!(less != SoakOutcome::Fail || worse == SoakOutcome::Fail);
        }

        #[test]
        fn without_controls_nothing_is_external(errors in 0.0f64..5_000.0, p95 in 1.0f64..500.0) {
            prop_assert_ne!(outcome(Some(window(60_000.0, errors, p95))), SoakOutcome::External);
        }
    }
}
