//! What a metric's own past says before any change: how often the judge would have cried wolf there, and how small a
//! change it would have seen.
//!
//! The pseudo-changes are those that a soak beginning now would be compared with, judged by the same formula with the same
//! looks. They lie ten minutes apart and their windows overlap, so 250 of them are far fewer independent cases: none of
//! 250 is no proof of a rate below 1 %.

use super::evidence::Evidence;
use super::metric::{LOOKS, Metric, Record, Tolerance, weigh_looks};
use super::rules::{Sign, grounds};
use super::spread::median;
use super::timeline::{Grid, Scale, Times};
use super::{MetricKind, float};

/// A change counts as seen where it is in so many of the pseudo-changes.
const POWER: f64 = 0.8;
/// A larger factor is not asked for.
const MOST: f64 = 3.0;
/// The smallest change is found to `2^-20` of the largest.
const HALVINGS: usize = 20;

/// What the past of one metric says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Pseudo-changes in the past.
    pub placebos: usize,
    /// Share of them that would have reached the threshold, 0 to 1.
    pub false_rate: f64,
    /// The smallest change for the worse that four of five of them would have shown: a share of the value (0.1 is 10 %;
    /// of what should not become less, 0.25 is a fifth less), for rates a difference (0.001 is 0.1 point). `None` where
    /// not even a factor of 3, or of a rate the whole, would be seen.
    pub smallest_seen: Option<f64>,
}

/// How often a cluster would have been taken back with nothing changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FalseRollbacks {
    /// Pseudo-changes in the past.
    pub placebos: usize,
    /// Share of them with grounds for a rollback, 0 to 1.
    pub rate: f64,
}

/// The pseudo-changes of one metric, as a soak that begins at some moment would be compared with them.
#[derive(Debug, Clone)]
pub struct Past {
    /// One a direction that is bad.
    directions: Vec<Evidence>,
    scale: Scale,
    margin: f64,
    /// The largest shift that is asked for.
    most: f64,
}

/// What the past of a metric up to a moment says of a soak of so many minutes, at threshold `k`. Of the metric, what comes
/// after that moment is not read. `None` with too little history.
pub fn sensitivity(
    metric: &Metric<'_>,
    at: i64,
    soak_minutes: u32,
    tolerance: Tolerance,
    k: f64,
) -> Option<Sensitivity> {
    Past::of(metric, at, soak_minutes, tolerance)?.sensitivity(k)
}

/// The share of simultaneous pseudo-changes of one cluster at which its metrics together would have been grounds for a
/// rollback; each metric with whether it is critical. All are of one step and up to the same moment. Grounds that need a
/// second cluster are not among them. `None` where nothing is known.
pub fn false_rollback_rate(metrics: &[(Past, bool)]) -> Option<FalseRollbacks> {
    let (mut placebos, mut taken_back) = (0, 0);
    for number in 0..metrics.iter().map(|(past, _)| past.len()).max()? {
        let signs: Vec<Sign> = (0..)
            .zip(metrics)
            .filter_map(|(metric, (past, is_critical))| past.sign(number, metric, *is_critical))
            .collect();
        if !signs.is_empty() {
            placebos += 1;
            taken_back += grounds(&[signs]).iter().flatten().count();
        }
    }
    (placebos > 0).then(|| FalseRollbacks { placebos, rate: float(taken_back) / float(placebos) })
}

impl Past {
    /// The past up to a moment, for a soak of so many minutes; `None` with too little history.
    pub fn of(metric: &Metric<'_>, at: i64, soak_minutes: u32, tolerance: Tolerance) -> Option<Self> {
        let grid = Grid::of(metric.before.step());
        let mut looks: Vec<u32> = LOOKS.into_iter().filter(|minutes| *minutes <= soak_minutes).collect();
        if looks.is_empty() {
            looks.push(soak_minutes.max(1));
        }
        let lengths: Vec<usize> = looks.into_iter().map(|minutes| grid.points(minutes)).collect();
        let times = Times { change: at, settled: at, until: at };
        let metric = Metric { after: metric.before, record: Record::UpToTheChange, ..*metric };
        let mut directions = Vec::new();
        for direction in metric.bad.each() {
            directions.push(weigh_looks(&metric, times, *direction, &lengths).1?);
        }
        let past = metric.before.between(metric.before.start(), at);
        let scale = Scale::of(metric.kind, &past);
        let most = match scale {
            Scale::Ratio { .. } => MOST.ln(),
            Scale::Difference if metric.kind == MetricKind::ErrorRate => 1.0,
            Scale::Difference => {
                let mut sizes: Vec<f64> = past.present().map(f64::abs).collect();
                median(&mut sizes) * (MOST - 1.0)
            }
        };
        Some(Self { directions, scale, margin: tolerance.on(scale, metric.kind).0, most })
    }

    /// What it says at threshold `k`; `None` where no pseudo-change is known.
    pub fn sensitivity(&self, k: f64) -> Option<Sensitivity> {
        let known: Vec<usize> = (0..self.len()).filter(|number| self.strength(*number).is_some()).collect();
        if known.is_empty() {
            return None;
        }
        let share = |reaches: &dyn Fn(usize) -> bool| {
            float(known.iter().filter(|number| reaches(**number)).count()) / float(known.len())
        };
        let false_rate = share(&|number| self.strength(number).is_some_and(|strength| strength >= k));
        let seen = |evidence: &Evidence, more: f64| {
            share(&|number| evidence.placebo(number, more, self.margin).is_some_and(|strength| strength >= k))
                >= POWER
        };
        let smallest = |evidence: &Evidence| {
            let (mut low, mut high) = (0.0, self.most);
            if !seen(evidence, high) {
                return None;
            }
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(low, high);
                if seen(evidence, middle) { high = middle } else { low = middle }
            }
            Some(high)
        };
        // Of two directions the one that is seen worse.
        let worst =
            self.directions.iter().map(smallest).try_fold(0.0, |worst: f64, shift| Some(worst.max(shift?)));
        let smallest_seen = worst.map(|shift| match self.scale {
            Scale::Ratio { .. } => shift.exp_m1(),
            Scale::Difference => shift,
        });
        Some(Sensitivity { placebos: known.len(), false_rate, smallest_seen })
    }

    fn len(&self) -> usize {
        let looks = self.directions.iter().flat_map(|evidence| &evidence.looks);
        looks.map(|look| look.placebos.len()).max().unwrap_or(0)
    }

    /// Of the worse direction.
    fn strength(&self, number: usize) -> Option<f64> {
        let each = self.directions.iter().map(|evidence| evidence.placebo(number, 0.0, self.margin));
        each.flatten().reduce(f64::max)
    }

    fn sign(&self, number: usize, metric: usize, is_critical: bool) -> Option<Sign> {
        // What a sum over clusters would need is not known of one.
        self.strength(number).map(|strength| Sign {
            metric,
            is_critical,
            strength,
            z: f64::NAN,
            shift: f64::NAN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{CHANGE, latency, series};

    const TOLERANCE: Tolerance = Tolerance { tolerable: 0.1, intolerable: 0.2 };

    fn of(metric: &Metric<'_>, k: f64) -> Sensitivity {
        sensitivity(metric, CHANGE, 120, TOLERANCE, k).unwrap()
    }

    #[test]
    fn a_calm_past_cries_no_wolf_and_sees_little() {
        let calm = series(1, 9, 0.05, 1.0);
        let found = of(&latency(&calm), 2.75);
        assert_eq!((found.placebos, found.false_rate), (250, 0.0));
        let smallest = found.smallest_seen.unwrap();
        assert!(smallest > 0.1 && smallest < 0.2, "{smallest}");
        // A noisy one sees less.
        let noisy = of(&latency(&series(1, 9, 0.6, 1.0)), 2.75).smallest_seen.unwrap();
        assert!(noisy > smallest * 1.2, "{noisy} {smallest}");
    }

    /// What it says is what the judge does: a change a little larger is found there, one a little smaller is not always.
    #[test]
    fn the_smallest_change_is_where_four_of_five_are_seen() {
        let calm = series(3, 9, 0.3, 1.0);
        let past = Past::of(&latency(&calm), CHANGE, 120, TOLERANCE).unwrap();
        let smallest = past.sensitivity(2.75).unwrap().smallest_seen.unwrap().ln_1p();
        let seen = |shift: f64| {
            let evidence = &past.directions[0];
            (0..250).filter(|n| evidence.placebo(*n, shift, past.margin).is_some_and(|s| s >= 2.75)).count()
        };
        assert!(seen(smallest) >= 200 && seen(smallest - 0.001) < 200, "{}", seen(smallest));
    }

    #[test]
    fn a_lower_threshold_sees_more_and_cries_oftener() {
        let wild = series(5, 9, 0.6, 1.0);
        let (low, high) = (of(&latency(&wild), 0.3), of(&latency(&wild), 5.0));
        assert!(low.false_rate > 0.0 && low.false_rate < 0.5 && high.false_rate <= low.false_rate, "{low:?}");
        assert!(low.smallest_seen < high.smallest_seen, "{low:?} {high:?}");
        assert_eq!(of(&latency(&wild), 1e9).smallest_seen, None);
    }

    /// Nothing after the moment is read, and nothing is said of a past that is too short.
    #[test]
    fn only_the_past_counts() {
        let (calm, faulty) = (series(1, 5, 0.05, 1.0), series(1, 5, 0.05, 3.0));
        assert_eq!(of(&latency(&calm), 2.75), of(&latency(&faulty), 2.75));
        assert_eq!(sensitivity(&latency(&calm), CHANGE - 4 * 86_400 - 72_000, 120, TOLERANCE, 2.75), None);
        assert_eq!(sensitivity(&latency(&calm), i64::MIN, 120, TOLERANCE, 2.75), None);
        let empty = crate::Series::new(CHANGE - 86_400 * 3, 300, &[None; 800]).unwrap();
        assert_eq!(sensitivity(&latency(&empty), CHANGE, 120, TOLERANCE, 2.75), None);
    }

    /// An incident of the past would have taken the cluster back: by one critical metric, or by two of any kind.
    #[test]
    fn simultaneous_incidents_are_false_rollbacks() {
        let with = |seed: u64, from: i64, to: i64| {
            let calm = series(seed, 9, 0.05, 1.0);
            let points = (0..).zip(calm.values()).map(|(n, value)| {
                let at = calm.start() + n * calm.step();
                Some(if at >= CHANGE - from && at < CHANGE - to { value * 4.0 } else { *value })
            });
            crate::Series::new(calm.start(), calm.step(), &points.collect::<Vec<_>>()).unwrap()
        };
        let past = |series: &crate::Series| Past::of(&latency(series), CHANGE, 120, TOLERANCE).unwrap();
        let calm = past(&series(1, 9, 0.05, 1.0));
        let (one, same, other) =
            (past(&with(1, 72_000, 64_800)), past(&with(2, 72_000, 64_800)), past(&with(3, 36_000, 28_800)));
        let rate = |metrics: &[(Past, bool)]| {
            let found = false_rollback_rate(metrics).unwrap();
            assert_eq!(found.placebos, 250);
            found.rate
        };
        assert!(rate(&[(calm.clone(), true), (calm.clone(), true)]) < 1e-9);
        assert!(rate(&[(one.clone(), true), (calm.clone(), false)]) > 0.0);
        assert!(rate(&[(one.clone(), false), (calm, false)]) < 1e-9);
        assert!(rate(&[(one.clone(), false), (same, false)]) > 0.0);
        assert!(rate(&[(one, false), (other, false)]) < 1e-9);
        assert_eq!(false_rollback_rate(&[]), None);
    }

    /// A factor of three, of a rate the whole, of what has no ratio three times its usual size.
    #[test]
    fn what_is_asked_for_at_most() {
        let calm = series(1, 5, 0.05, 1.0);
        let below = calm.times(-1.0);
        let most = |metric: Metric<'_>| Past::of(&metric, CHANGE, 120, TOLERANCE).unwrap().most;
        assert!((most(latency(&calm)) - 3.0_f64.ln()).abs() < 1e-9);
        let rate = Metric { kind: MetricKind::ErrorRate, ..latency(&calm) };
        assert!((most(rate) - 1.0).abs() < 1e-9);
        let past = below.between(below.start(), CHANGE);
        let mut sizes: Vec<f64> = past.present().map(f64::abs).collect();
        assert!((most(latency(&below)) - 2.0 * median(&mut sizes)).abs() < 1e-9);
        // Only the record counts, whatever the metric says of a soak.
        let other = Metric { record: Record::OfAnotherTime, ..latency(&calm) };
        assert_eq!(of(&other, 2.75), of(&latency(&calm), 2.75));
    }

    /// Of one critical metric alone the rate is that of its own false alarms at the bar of one alone.
    #[test]
    fn one_critical_metric_is_taken_back_as_often_as_it_cries() {
        let wild = series(5, 9, 0.6, 1.0);
        let past =
            Past::of(&latency(&wild), CHANGE, 120, Tolerance { tolerable: 0.0, intolerable: 0.2 }).unwrap();
        let found = false_rollback_rate(&[(past.clone(), true)]).unwrap();
        let own = past.sensitivity(crate::CRITICAL).unwrap();
        assert_eq!(found.placebos, own.placebos);
        assert!((found.rate - own.false_rate).abs() < 1e-12);
    }
}
