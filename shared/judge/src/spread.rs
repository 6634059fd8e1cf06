//! Middle and spread of a sample.

use super::float;
use super::window::quantile;

/// From a median absolute deviation to a standard deviation, for a normal distribution.
const MAD_TO_SD: f64 = 1.482_602_218_505_602;

/// Where a sample lies and how wide it is. NaN of an empty sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The median.
    pub(super) middle: f64,
    /// Standard deviation by the median absolute deviation from the median.
    pub(super) mad: f64,
    /// Standard deviation.
    pub(super) sd: f64,
}

impl Spread {
    /// Of a sample without NaN; `scratch` is overwritten.
    pub(super) fn of(sample: &[f64], scratch: &mut Vec<f64>) -> Self {
        if sample.is_empty() {
            return Self { middle: f64::NAN, mad: f64::NAN, sd: f64::NAN };
        }
        scratch.clear();
        scratch.extend_from_slice(sample);
        let middle = median(scratch);
        for value in scratch.iter_mut() {
            *value = (*value - middle).abs();
        }
        let mad = median(scratch) * MAD_TO_SD;
        let n = float(sample.len());
        let mean = sample.iter().sum::<f64>() / n;
        let squares = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { middle, mad, sd: (squares / n).sqrt() }
    }

    /// The wider of the two: the plain deviation carries news of the tail.
    pub(super) fn scale(self) -> f64 {
        self.mad.max(self.sd)
    }

    /// By which baselines are compared: a few wild placebos weigh less.
    pub(super) fn rank(self) -> f64 {
        self.mad.max(0.6 * self.sd)
    }
}

/// The median; the values are put in another order. NaN of none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    let upper = *upper;
    if n % 2 == 1 {
        return upper;
    }
    f64::midpoint(below.iter().copied().fold(f64::NEG_INFINITY, f64::max), upper)
}

/// The weighted median of pairs of value and weight: where half of the weight lies below. NaN of none.
pub(super) fn weighted_median(pairs: &mut [(f64, f64)]) -> f64 {
    pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let half = pairs.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (value, weight) in pairs.iter() {
        below += weight;
        if below >= half {
            return *value;
        }
    }
    f64::NAN
}

/// A quantile of a sample in any order; the values are sorted. NaN of none.
pub(super) fn quantile_of(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, q)
}
