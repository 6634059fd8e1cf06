//! What was seen of one metric: shifts, their usual size, and how strongly both speak.

use super::baseline::Baseline;
use super::spread::{Spread, quantile_of};
use super::window::{STATISTICS, Statistics, UNKNOWN};

/// The second of two looks has a lower bar.
const CONFIRM: f64 = 0.8;
/// Nothing is stronger: a metric that never moved has no scale.
const MOST: f64 = 1e6;
/// The own tail is read here, and is not below this.
const TAIL: (f64, f64) = (0.95, 0.2);

/// One look: the soak from its beginning up to some length.
#[derive(Debug, Clone, PartialEq)]
pub struct LookEvidence {
    /// Length, minutes.
    pub minutes: f64,
    /// The shift of each statistic in the bad direction, less what placebos shift by in the middle.
    pub shift: [f64; STATISTICS],
    /// One standard deviation of that.
    pub scale: [f64; STATISTICS],
    /// The shifts at pseudo-changes, of each statistic, the latest first, less their middle.
    pub placebos: Vec<[f64; STATISTICS]>,
}

/// What was seen of one metric in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// From the shortest to the longest.
    pub looks: Vec<LookEvidence>,
    /// What the threshold is multiplied by: above 1 where the own past has a heavy tail.
    pub tail: f64,
    /// Baselines, one a statistic; none where the record is of another time.
    pub(super) baselines: Option<[Baseline; STATISTICS]>,
}

/// What the strongest statistics count. One alone may be chance, and needs nearly twice what four together need. The sum
/// is such that `k` means what it means for the strongest alone.
const WEIGHTS: [f64; STATISTICS] = [0.55, 0.275, 0.275, 0.275, 0.0];

/// What a threshold is multiplied by where there is one look only.
const ALONE: f64 = 1.5;

impl LookEvidence {
    /// Shifts, the real one first, then those of the placebos.
    pub(super) fn of(minutes: f64, mut shifts: Vec<Statistics>) -> Self {
        let mut scale = UNKNOWN;
        let (mut sample, mut scratch) = (Vec::with_capacity(shifts.len()), Vec::new());
        for statistic in 0..STATISTICS {
            sample.clear();
            sample.extend(shifts.iter().skip(1).map(|all| all[statistic]).filter(|value| !value.is_nan()));
            let spread = Spread::of(&sample, &mut scratch);
            scale[statistic] = spread.scale();
            for all in &mut shifts {
                all[statistic] -= spread.middle;
            }
        }
        let mut shifts = shifts.into_iter();
        let shift = shifts.next().unwrap_or(UNKNOWN);
        Self { minutes, shift, scale, placebos: shifts.collect() }
    }

    /// The soak and its comparison have enough points.
    pub(super) fn is_known(&self) -> bool {
        !self.shift[0].is_nan() && !self.scale[0].is_nan()
    }
}

impl Evidence {
    pub(super) fn of(looks: Vec<LookEvidence>, baselines: Option<[Baseline; STATISTICS]>) -> Self {
        Self { tail: tail(&looks), looks, baselines }
    }

    /// The same, had the soak been worse by so much.
    #[must_use]
    pub fn worse(&self, by: f64) -> Self {
        let mut worse = self.clone();
        for shift in worse.looks.iter_mut().flat_map(|look| &mut look.shift) {
            *shift += by;
        }
        worse
    }

    /// The statistic that shows most; the mean where none shows anything.
    pub(super) fn strongest(&self, margin: f64) -> usize {
        let reached = |s: usize| {
            let looks = self
                .looks
                .iter()
                .map(|look| if look.shift[s] > margin { look.shift[s] / look.scale[s] } else { 0.0 });
            looks.fold(f64::INFINITY, f64::min)
        };
        let mut best = 0;
        for statistic in 1..STATISTICS {
            if reached(statistic) > reached(best) {
                best = statistic;
            }
        }
        best
    }

    /// How strongly the soak speaks against the new version, in units of the threshold `k`: the weighted sum, over
    /// statistics, of what both of two looks show; the better of two pairs of looks. Shifts up to `margin` count as
    /// nothing, whatever their spread. Zero: nothing was seen.
    pub fn strength(&self, margin: f64) -> f64 {
        self.shifted(0.0, margin)
    }

    /// The same, had the soak been worse by so much.
    pub fn shifted(&self, more: f64, margin: f64) -> f64 {
        self.of_shifts(|look| Some(&look.shift), more, margin).unwrap_or(0.0)
    }

    /// The strength of the pseudo-change with this number, had it been worse by so much; `None` where it is unknown.
    pub(super) fn placebo(&self, number: usize, more: f64, margin: f64) -> Option<f64> {
        let is_known =
            |look: &LookEvidence| look.placebos.get(number).is_some_and(|shift| !shift[0].is_nan());
        if !self.looks.iter().all(is_known) {
            return None;
        }
        self.of_shifts(|look| look.placebos.get(number), more, margin)
    }

    fn of_shifts<'a>(
        &'a self,
        shift: impl Fn(&'a LookEvidence) -> Option<&'a [f64; STATISTICS]>,
        more: f64,
        margin: f64,
    ) -> Option<f64> {
        let mut reached = Vec::with_capacity(self.looks.len());
        for look in &self.looks {
            let (mut each, shift) = ([0.0; STATISTICS], shift(look)?);
            for (s, slot) in each.iter_mut().enumerate() {
                let shift = shift[s] + more;
                *slot = if shift > margin { (shift / look.scale[s]).min(MOST) } else { 0.0 };
            }
            reached.push(each);
        }
        let of = |looks: &[[f64; STATISTICS]]| {
            let mut each = [0.0; STATISTICS];
            for (s, slot) in each.iter_mut().enumerate() {
                *slot = match looks {
                    [first, second] => first[s].min(second[s] / CONFIRM),
                    [only] => only[s] / ALONE,
                    _ => 0.0,
                };
            }
            each.sort_unstable_by(|one, other| other.total_cmp(one));
            each.iter().zip(WEIGHTS).map(|(reached, weight)| reached * weight).sum()
        };
        let best: f64 = match reached.as_slice() {
            [only] => of(std::slice::from_ref(only)),
            looks => looks.windows(2).map(of).fold(0.0, f64::max),
        };
        Some(best / self.tail)
    }
}

/// The root of the 95th percentile of what placebos reach: half way from the own tail to the pooled one.
fn tail(looks: &[LookEvidence]) -> f64 {
    let mut all = Vec::new();
    let Some(first) = looks.first() else { return 1.0 };
    for (n, placebo) in first.placebos.iter().enumerate() {
        let second = looks.get(1).and_then(|look| Some((look, look.placebos.get(n)?)));
        let reached = (0..STATISTICS).map(|s| {
            let alone = placebo[s] / first.scale[s];
            match second {
                Some((look, later)) => alone.min(later[s] / look.scale[s] / CONFIRM),
                None => alone,
            }
        });
        let reached = reached.fold(f64::NEG_INFINITY, f64::max);
        if reached.is_finite() {
            all.push(reached);
        }
    }
    let tail = quantile_of(&mut all, TAIL.0);
    if tail.is_nan() { 1.0 } else { tail.max(TAIL.1).sqrt() }
}
