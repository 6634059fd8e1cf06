//! What is said of one window of a series: where its middle is, and its edges.
//!
//! The trimmed mean finds partial faults that a median misses. The low quantiles are quiet where a metric jumps between
//! two modes, and a step lifts them too; the high one finds faults that touch a part of the requests.

use super::float;

/// How many numbers say what a window is like.
pub(super) const STATISTICS: usize = 5;

/// The 5 % trimmed mean and the quantiles 0.1, 0.25, 0.5 and 0.9, interpolated. NaN in a window with too few points.
pub(super) type Statistics = [f64; STATISTICS];

/// What each statistic is called.
pub(super) const NAMES: [&str; STATISTICS] =
    ["mean", "10th percentile", "25th percentile", "median", "90th percentile"];

/// A window that tells nothing.
pub(super) const UNKNOWN: Statistics = [f64::NAN; STATISTICS];

/// Below this share of its points a window says nothing.
const MIN_COVERAGE: f64 = 0.5;

const QUANTILES: [f64; 4] = [0.1, 0.25, 0.5, 0.9];
const TRIMMED: f64 = 0.05;

/// The statistics of sorted values, of a window with room for so many.
fn of_sorted(sorted: &[f64], room: usize) -> Statistics {
    let n = sorted.len();
    if n == 0 || float(n) < float(room) * MIN_COVERAGE {
        return UNKNOWN;
    }
    let mut found = UNKNOWN;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a twentieth of a length")]
    let cut = (float(n) * TRIMMED) as usize;
    let middle = sorted.get(cut..n - cut).unwrap_or(sorted);
    found[0] = middle.iter().sum::<f64>() / float(middle.len());
    for (slot, q) in found.iter_mut().skip(1).zip(QUANTILES) {
        *slot = quantile(sorted, q);
    }
    found
}

/// A quantile of sorted values, interpolated between neighbours; NaN of none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = float(last) * q.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a length")]
    let below = place as usize;
    let (low, high) = (sorted[below.min(last)], sorted[(below + 1).min(last)]);
    low + (high - low) * (place - float(below))
}

/// A window that moves over a series and keeps its values sorted.
#[derive(Debug, Default)]
struct Sorted(Vec<f64>);

impl Sorted {
    fn insert(&mut self, value: f64) {
        if !value.is_nan() {
            let at = self.0.partition_point(|other| other.total_cmp(&value).is_lt());
            self.0.insert(at, value);
        }
    }

    fn remove(&mut self, value: f64) {
        let at = self.0.partition_point(|other| other.total_cmp(&value).is_lt());
        if self.0.get(at).is_some_and(|other| other.to_bits() == value.to_bits()) {
            self.0.remove(at);
        }
    }
}

/// The statistics of windows of one length. Window `k` begins `k * stride` points before `first`. Values outside of the
/// series are missing. A window costs the points that enter and leave, not its length.
pub(super) fn backwards(
    values: &[f64],
    first: isize,
    length: usize,
    stride: usize,
    count: usize,
) -> Vec<Statistics> {
    let mut found = vec![UNKNOWN; count];
    let at = |index: isize| usize::try_from(index).ok().and_then(|n| values.get(n)).copied();
    let (length_i, stride_i) = (signed(length), signed(stride.max(1)));
    let mut window = Sorted(Vec::with_capacity(length + 1));
    // From the oldest on: what is inside, as [from, to).
    let (mut from, mut to) = (isize::MIN, isize::MIN);
    for (k, slot) in found.iter_mut().enumerate().rev() {
        let start = first - signed(k) * stride_i;
        let end = start + length_i;
        if start >= to {
            window.0.clear();
            (from, to) = (start, start);
        }
        while from < start {
            if let Some(value) = at(from) {
                window.remove(value);
            }
            from += 1;
        }
        while to < end {
            if let Some(value) = at(to) {
                window.insert(value);
            }
            to += 1;
        }
        *slot = of_sorted(&window.0, length);
    }
    found
}

/// The statistics of one window.
pub(super) fn of(values: &[f64], room: usize) -> Statistics {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    of_sorted(&sorted, room)
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}
