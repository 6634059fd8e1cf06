//! A soak that need not be waited for.

use super::metric::{Metric, Tolerance, weigh_looks};
use super::spread::median;
use super::timeline::{Grid, Times};
use super::{Direction, MIN_CONTROLS, MetricKind};

/// Minutes from one early look to the next, and of the first.
pub const EARLY_MINUTES: u32 = 5;
/// Deviations that two successive looks must show. Windows of minutes have fatter tails than those of an hour: at 6 one
/// healthy metric in a thousand would end its soak. Measured, see docs/judge.md.
pub const EARLY: f64 = 12.0;
/// Nothing is clearer.
const MOST: f64 = 1e6;

/// What two successive looks show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Early {
    /// The worse direction.
    pub direction: Direction,
    /// Deviations of the mean, of the look that shows less.
    pub z: f64,
    /// The change at the later look as a share of the value, positive is worse; what controls show is taken off.
    pub change: f64,
}

/// Whether a soak is so clearly worse that its end need not be awaited: the whole soak up to `times.until`, and that less
/// its last [`EARLY_MINUTES`], both show a mean that is worse by more than is intolerable and by more than [`EARLY`]
/// deviations, of windows as short as they are; and both still do when the middle of the controls, if it became worse
/// itself, is taken off. For critical metrics. Rates are no such metrics: a share of few requests is no evidence, and
/// errors are counted ([`super::broken`]). `None` also where nothing is known.
pub fn early(
    metric: &Metric<'_>,
    controls: &[Metric<'_>],
    times: Times,
    tolerance: Tolerance,
) -> Option<Early> {
    if metric.kind == MetricKind::ErrorRate {
        return None;
    }
    let found = metric.bad.each().iter().filter_map(|direction| {
        let own = Successive::of(metric, times, tolerance, *direction)?;
        if own.reach([0.0; 2]) <= EARLY {
            return None;
        }
        let by = shared(controls, times, tolerance, *direction);
        let z = own.reach(by.map(|by| -by));
        let change = (own.shift[1] - by[1]).exp_m1();
        (z > EARLY).then_some(Early { direction: *direction, z, change })
    });
    found.reduce(|one, other| if other.z > one.z { other } else { one })
}

/// Two successive early looks at one metric in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Successive {
    limit: f64,
    shift: [f64; 2],
    scale: [f64; 2],
}

impl Successive {
    /// The soak up to `times.until`, and less its last [`EARLY_MINUTES`]; `None` where either is unknown or too short.
    pub fn of(metric: &Metric<'_>, times: Times, tolerance: Tolerance, direction: Direction) -> Option<Self> {
        let last = Grid::of(metric.before.step()).points(EARLY_MINUTES);
        let length = metric.after.between(times.settled, times.until).values().len();
        let earlier = length.checked_sub(last).filter(|points| *points >= last)?;
        let (scale, evidence) = weigh_looks(metric, times, direction, &[earlier, length]);
        let looks = evidence?.looks;
        let [first, second] = looks.as_slice() else { return None };
        (first.is_known() && second.is_known()).then(|| Self {
            limit: tolerance.on(scale, metric.kind).1,
            shift: [first.shift[0], second.shift[0]],
            scale: [first.scale[0], second.scale[0]],
        })
    }

    /// The deviations that both looks show, had they been worse by so much; none where either is not intolerable.
    pub fn reach(&self, more: [f64; 2]) -> f64 {
        let each = self.shift.iter().zip(self.scale).zip(more).map(|((shift, scale), more)| {
            let shift = shift + more;
            // What never moved has no scale.
            if shift > self.limit { (shift / scale).min(MOST) } else { 0.0 }
        });
        each.fold(MOST, f64::min)
    }
}

/// What the controls in their middle became worse by, in each look; nothing with too few of them.
fn shared(controls: &[Metric<'_>], times: Times, tolerance: Tolerance, direction: Direction) -> [f64; 2] {
    let known = controls.iter().filter_map(|control| Successive::of(control, times, tolerance, direction));
    let known: Vec<Successive> = known.collect();
    if known.len() < MIN_CONTROLS {
        return [0.0; 2];
    }
    [0, 1].map(|n| {
        let mut shifts: Vec<f64> = known.iter().map(|looks| looks.shift[n]).collect();
        median(&mut shifts).max(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{TIMES, latency, series};

    fn at(own: f64, minutes: i64, theirs: &[f64]) -> Option<Early> {
        let own = series(1, 5, 0.05, own);
        let theirs: Vec<_> = (20..).zip(theirs).map(|(seed, by)| series(seed, 5, 0.05, *by)).collect();
        let controls: Vec<Metric<'_>> = theirs.iter().map(latency).collect();
        let times = Times { until: TIMES.settled + minutes * 60, ..TIMES };
        early(&latency(&own), &controls, times, Tolerance::of(MetricKind::Latency))
    }

    #[test]
    fn two_looks_end_a_clear_case() {
        let found = at(3.0, 10, &[]).unwrap();
        assert!((found.change - 2.0).abs() < 0.3 && found.z > 12.0, "{found:?}");
        // One look is none, and neither is none.
        assert_eq!(at(3.0, 5, &[]), None);
        assert_eq!(at(3.0, 0, &[]), None);
    }

    #[test]
    fn what_can_wait_waits() {
        for minutes in (10..=60).step_by(5) {
            assert_eq!(at(1.0, minutes, &[]), None);
            // Clear, and less than intolerable.
            assert_eq!(at(1.17, minutes, &[]), None);
            assert_eq!(at(0.3, minutes, &[]), None);
        }
    }

    #[test]
    fn what_the_controls_suffer_too_is_no_reason() {
        assert_eq!(at(3.0, 10, &[3.0, 2.9, 3.1]), None);
        assert!(at(3.0, 10, &[1.0, 1.0, 1.0]).is_some());
        // One proves nothing; and that they became better accuses nobody.
        assert!(at(3.0, 10, &[3.0]).is_some());
        assert_eq!(at(1.0, 10, &[0.2, 0.2, 0.2]), None);
        let (alone, beside) = (at(3.0, 10, &[]).unwrap(), at(3.0, 10, &[0.2, 0.2, 0.2]).unwrap());
        assert_eq!(alone, beside);
    }

    #[test]
    fn a_share_of_few_requests_is_no_evidence() {
        let worse = series(1, 5, 0.05, 3.0);
        let rate = Metric { kind: MetricKind::ErrorRate, ..latency(&worse) };
        assert_eq!(early(&rate, &[], TIMES, Tolerance::of(MetricKind::ErrorRate)), None);
    }

    /// What never moved has no scale; a point that is missing is no look.
    #[test]
    fn constants_and_gaps() {
        let constant = series(5, 3, 0.0, 1.0).times(0.0);
        let points = |soak: Option<f64>| -> Vec<Option<f64>> {
            let of = |n: i64| if constant.start() + n * 300 >= TIMES.settled { soak } else { Some(2.0) };
            (0..).zip(constant.values()).map(|(n, _)| of(n)).collect()
        };
        let with = |soak| crate::Series::new(constant.start(), 300, &points(soak)).unwrap();
        let found = |soak| early(&latency(&with(soak)), &[], TIMES, Tolerance::of(MetricKind::Latency));
        assert!(found(Some(2.5)).is_some_and(|found| (found.change - 0.25).abs() < 1e-9));
        assert_eq!(found(Some(2.35)), None);
        assert_eq!(found(None), None);
    }
}
