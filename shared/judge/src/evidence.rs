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

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: f64 = 0.1;

    /// Placebos of one size, so that a deviation is what each shows, and the tail is what a placebo reaches.
    fn look(minutes: f64, shift: Statistics, size: f64) -> LookEvidence {
        let placebo = |k: usize| [if k.is_multiple_of(2) { size } else { -size }; STATISTICS];
        LookEvidence::of(minutes, std::iter::once(shift).chain((0..100).map(placebo)).collect())
    }

    fn of(looks: &[(Statistics, f64)]) -> Evidence {
        let looks = looks.iter().zip([60.0, 120.0, 240.0]);
        Evidence::of(looks.map(|((shift, size), minutes)| look(minutes, *shift, *size)).collect(), None)
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn a_shift_of_several_statistics_is_their_weighted_sum() {
        // A deviation of the two-point placebos, by the median deviation, is 1.4826 of their size.
        let unit = look(60.0, [0.0; STATISTICS], 1.0).scale[0];
        assert!(close(unit, 1.482_602_218_505_602));
        let of = |each: Statistics| {
            let scaled = each.map(|z| z * unit);
            of(&[(scaled, 1.0), (scaled, 1.0)])
        };
        let tail = of([0.0; STATISTICS]).tail;
        assert!(close(tail, (1.0 / unit).sqrt()), "{tail}");
        let strength = |each: Statistics| of(each).strength(MARGIN) * tail;
        assert!(close(strength([4.0, 0.0, 0.0, 0.0, 0.0]), 0.55 * 4.0));
        assert!(close(strength([2.0, 0.0, 4.0, 0.0, 1.0]), 0.55 * 4.0 + 0.275 * 3.0));
        // The weakest of five counts nothing, and neither does what is tolerable.
        assert!(close(strength([4.0, 4.0, 4.0, 4.0, 3.0]), 1.375 * 4.0));
        assert!(close(strength([0.1 / unit, 4.0, 0.0, 0.0, 0.0]), 0.55 * 4.0));
        // Worse by so much is what a shift by so much is.
        let worse = of([1.0, 2.0, 3.0, 4.0, 5.0]).worse(unit);
        assert!(close(worse.strength(MARGIN), of([2.0, 3.0, 4.0, 5.0, 6.0]).strength(MARGIN)));
        assert!(close(of([1.0; STATISTICS]).shifted(unit, MARGIN), of([2.0; STATISTICS]).strength(MARGIN)));
    }

    /// Of two looks the weaker, of which the second has 0.8 of the bar; of two pairs the better; one alone is worth less.
    #[test]
    fn looks_confirm_one_another() {
        let of = |looks: &[f64]| {
            let all: Vec<_> = looks.iter().map(|shift| ([*shift; STATISTICS], 1.0)).collect();
            let evidence = of(&all);
            evidence.strength(MARGIN) * evidence.tail * evidence.looks[0].scale[0] / 1.375
        };
        assert!(close(of(&[3.0]), 2.0));
        assert!(close(of(&[3.0, 2.4]), 3.0) && close(of(&[3.0, 1.6]), 2.0) && close(of(&[2.0, 9.0]), 2.0));
        assert!(close(of(&[1.0, 3.0, 2.4]), 3.0) && close(of(&[3.0, 2.4, 0.0]), 3.0));
    }

    #[test]
    fn the_strongest_statistic_is_the_one_that_all_looks_show() {
        let looks = |first: Statistics, second: Statistics| of(&[(first, 1.0), (second, 0.5)]);
        assert_eq!(looks([0.0; STATISTICS], [0.0; STATISTICS]).strongest(MARGIN), 0);
        assert_eq!(looks([3.0; STATISTICS], [3.0; STATISTICS]).strongest(MARGIN), 0);
        let (first, second) = ([1.0, 9.0, 2.0, 3.0, 1.0], [9.0, 0.1, 9.0, 1.2, 9.0]);
        // 2.0 of the first look, beside 9.0 of the second; 3.0 has 2.4, for the second is twice as quiet.
        assert_eq!(looks(first, second).strongest(MARGIN), 3);
        assert_eq!(looks(first, [9.0, 0.1, 9.0, 0.9, 9.0]).strongest(MARGIN), 2);
    }

    #[test]
    fn a_look_is_known_by_shift_and_scale() {
        assert!(look(60.0, [1.0; STATISTICS], 1.0).is_known());
        assert!(!look(60.0, UNKNOWN, 1.0).is_known());
        assert!(!LookEvidence::of(60.0, vec![[1.0; STATISTICS]]).is_known());
    }

    #[test]
    fn a_placebo_is_judged_as_the_change_is() {
        let evidence = of(&[([1.0; STATISTICS], 1.0), ([1.0; STATISTICS], 1.0)]);
        for (number, shift) in [(0, 1.0), (1, -1.0)] {
            let same = of(&[([shift; STATISTICS], 1.0), ([shift; STATISTICS], 1.0)]);
            assert_eq!(evidence.placebo(number, 1.5, MARGIN), Some(same.shifted(1.5, MARGIN)));
        }
        assert_eq!(evidence.placebo(100, 1.5, MARGIN), None);
        let mut torn = evidence;
        torn.looks[1].placebos[3] = UNKNOWN;
        assert_eq!(torn.placebo(3, 1.5, MARGIN), None);
    }
}
