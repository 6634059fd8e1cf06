//! Errors are counts: ten of them say something, three say nothing, and none of few requests says nothing either.

use statrs::distribution::{Beta, Binomial, ContinuousCDF as _, DiscreteCDF as _, Normal};

use super::spread::median;

/// Fewer errors are no evidence, whatever their share.
pub const MIN_ERRORS: f64 = 10.0;
/// No p-value is smaller: a normal quantile of less is infinite.
const LEAST: f64 = 1e-300;

/// Requests and errors of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Requests.
    pub requests: f64,
    /// Of them, errors.
    pub errors: f64,
}

impl Counts {
    /// Share of errors, 0 to 1; none of no requests.
    pub fn share(self) -> Option<f64> {
        (self.requests > 0.0).then(|| (self.errors / self.requests).clamp(0.0, 1.0))
    }

    /// With 95 %, the share is below this.
    pub fn at_most(self) -> f64 {
        let (errors, fine) = (self.errors.max(0.0), (self.requests - self.errors).max(0.0));
        if fine <= 0.0 {
            return 1.0;
        }
        Beta::new(errors + 1.0, fine).map_or(1.0, |share| share.inverse_cdf(0.95))
    }
}

/// How much wider than chance errors spread over windows of the same length: 1 where they are independent. From windows of
/// the past; what lies in the middle of them counts, for incidents are not the rule.
pub fn overdispersion(windows: &[Counts]) -> f64 {
    let (requests, errors) =
        windows.iter().fold((0.0, 0.0), |(n, k), window| (n + window.requests, k + window.errors));
    if requests <= 0.0 || errors <= 0.0 {
        return 1.0;
    }
    let share = errors / requests;
    let mut squares: Vec<f64> = windows
        .iter()
        .filter(|window| window.requests > 0.0)
        .map(|window| {
            let expected = window.requests * share;
            (window.errors - expected).powi(2) / (expected * (1.0 - share)).max(f64::MIN_POSITIVE)
        })
        .collect();
    // The median of a chi-square of one degree is 0.455.
    let middle = median(&mut squares) / 0.455;
    if middle.is_nan() { 1.0 } else { middle.max(1.0) }
}

/// How clearly the share of errors rose, as a normal quantile: given all errors of both windows, how likely are so many in
/// the second (conditional binomial test)? Counts are divided by the overdispersion first. Zero with too few errors.
pub fn rise(before: Counts, after: Counts, overdispersion: f64) -> f64 {
    if after.errors < MIN_ERRORS || before.requests <= 0.0 || after.requests <= 0.0 {
        return 0.0;
    }
    let by = overdispersion.max(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of errors, not below 0"
    )]
    let whole = |count: f64| (count.max(0.0) / by).round() as u64;
    let (first, second) = (whole(before.errors), whole(after.errors));
    let part = after.requests / (before.requests + after.requests);
    let Ok(chance) = Binomial::new(part, first + second) else { return 0.0 };
    let p = if second == 0 { 1.0 } else { chance.sf(second - 1) };
    Normal::standard().inverse_cdf(1.0 - p.clamp(LEAST, 1.0)).clamp(-1e6, quantile_of(p))
}

/// The normal quantile of a small p-value, where `1 - p` is 1 to a computer.
fn quantile_of(p: f64) -> f64 {
    -Normal::standard().inverse_cdf(p.clamp(LEAST, 1.0 - f64::EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: f64, errors: f64) -> Counts {
        Counts { requests, errors }
    }

    #[test]
    fn few_errors_are_no_evidence() {
        assert!(rise(counts(60_000.0, 0.0), counts(1_200.0, 9.0), 1.0).abs() < 1e-9);
        assert!(rise(counts(60_000.0, 12.0), counts(60_000.0, 90.0), 1.0) > 6.0);
        assert!(rise(counts(60_000.0, 90.0), counts(60_000.0, 95.0), 1.0) < 1.0);
        assert!(rise(counts(60_000.0, 90.0), counts(60_000.0, 12.0), 1.0) < 0.0);
    }

    /// Against tables: 10 of 10 in the second half is one in 1,024, 3.1 deviations.
    #[test]
    fn a_rise_is_a_normal_quantile() {
        let z = rise(counts(1_000.0, 0.0), counts(1_000.0, 10.0), 1.0);
        assert!((z - 3.097).abs() < 0.01, "{z}");
        // So unlikely that 1 - p is 1.
        assert!(rise(counts(1e6, 0.0), counts(1e6, 1e5), 1.0) > 30.0);
    }

    #[test]
    fn what_comes_in_bursts_needs_more() {
        let even: Vec<Counts> = (0..48).map(|n| counts(10_000.0, 20.0 + f64::from(n % 9) - 4.0)).collect();
        assert!(overdispersion(&even) < 1.5);
        let bursts: Vec<Counts> =
            (0..48).map(|n| counts(10_000.0, if n % 2 == 0 { 5.0 } else { 60.0 })).collect();
        let by = overdispersion(&bursts);
        assert!(by > 10.0, "{by}");
        let (before, after) = (counts(60_000.0, 200.0), counts(60_000.0, 260.0));
        assert!(rise(before, after, 1.0) > 2.5 && rise(before, after, by) < 1.5);
    }

    /// The rule of three: none of 3,000 is below 0.1 %.
    #[test]
    fn none_of_few_says_little() {
        assert!((counts(3_000.0, 0.0).at_most() - 0.001).abs() < 1e-5);
        assert!(counts(300.0, 0.0).at_most() > 0.009);
        assert!((counts(0.0, 0.0).at_most() - 1.0).abs() < 1e-12);
        assert!((counts(5.0, 5.0).at_most() - 1.0).abs() < 1e-12);
    }
}
