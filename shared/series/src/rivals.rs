//! The usual rules, for comparison: a percentage of the mean, and the Mann-Whitney test as Kayenta has it.

use guard_domain::judge::{Direction, Series};
use statrs::distribution::{ContinuousCDF as _, Normal};

/// How far the mean of the soak lies beyond that of the baseline in the bad direction, percent of the latter. A baseline
/// whose mean is not positive has no percentages.
pub(crate) fn percent(baseline: &Series, soak: &Series, bad: Direction) -> Option<f64> {
    let (before, after) = (mean(baseline)?, mean(soak)?);
    let change = (after / before - 1.0) * 100.0;
    (before > 0.0).then_some(match bad {
        Direction::Up => change,
        Direction::Down => -change,
    })
}

/// What Kayenta asks of the interval: its nearer end lies beyond this part of the estimate.
pub(crate) const TOLERANCE: f64 = 0.25;

/// Kayenta's confidence, on both sides together.
const CONFIDENCE: f64 = 0.98;

/// The nearer end of the 98 % confidence interval of the shift, as part of the shift's estimate (Hodges and Lehmann), where
/// the shift is in the bad direction. Kayenta fails from [`TOLERANCE`] on. The interval is the one of the Mann-Whitney
/// test, by its normal approximation.
pub(crate) fn mann_whitney(baseline: &Series, soak: &Series, bad: Direction) -> Option<f64> {
    let (before, after): (Vec<f64>, Vec<f64>) = (baseline.present().collect(), soak.present().collect());
    let mut differences: Vec<f64> = after
        .iter()
        .flat_map(|after| before.iter().map(move |before| after - before))
        .map(|difference| match bad {
            Direction::Up => difference,
            Direction::Down => -difference,
        })
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "counts of points")]
    let (n, m, all) = (before.len() as f64, after.len() as f64, differences.len() as f64);
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let place = (all / 2.0 - z * (n * m * (n + m + 1.0) / 12.0).sqrt()).floor().max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and their number")]
    let nearest = *differences.get(place as usize)?;
    let estimate = *differences.get(differences.len() / 2)?;
    Some(if estimate > 0.0 { nearest / estimate } else { f64::NEG_INFINITY })
}

fn mean(series: &Series) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0.0);
    for value in series.present() {
        sum += value;
        n += 1.0;
    }
    (n > 0.0).then(|| sum / n)
}
