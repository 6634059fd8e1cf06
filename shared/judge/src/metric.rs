//! The verdict of one metric of one cluster.

use super::baseline::Baseline;
use super::controls::{Beside, MIN_CONTROLS, beside};
use super::evidence::{Evidence, LookEvidence};
use super::null;
use super::series::Series;
use super::timeline::{Grid, Scale, Timeline, Times};
use super::verdict::SoakOutcome;
use super::window::{self, NAMES};
use super::{BadDirection, Direction, MetricKind};

/// From this strength on a metric fails, where one metric is judged alone: measured, see docs/judge.md.
pub const FAIL_AT: f64 = 2.75;
/// Below this part of it nothing is said to have been seen.
pub(super) const QUIET: f64 = 0.5;
/// Quantile of a normal distribution, 95 %: a pass says that what is intolerable would have been seen.
pub(super) const SURE: f64 = 1.64;

/// Where the series before the change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It ends where the soak begins: levels just before the change count, and so do the hours of earlier days.
    UpToTheChange,
    /// Of another time: windows of the same length are all there is to compare with.
    OfAnotherTime,
}

/// One metric of one cluster.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    /// What it is called in sentences.
    pub name: &'a str,
    /// What it measures.
    pub kind: MetricKind,
    /// Which direction is bad.
    pub bad: BadDirection,
    /// Before the change: some days.
    pub before: &'a Series,
    /// After it.
    pub after: &'a Series,
    /// How the two belong together.
    pub record: Record,
}

/// What is tolerable, and what must not be missed. Of a metric of unknown kind, or one that has no ratio, neither is
/// known: whatever is seen counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// A smaller change is none: a share of the value (0.1 is 10 %), for rates the difference (0.001 is 0.1 point).
    pub tolerable: f64,
    /// A pass says that there is none as large.
    pub intolerable: f64,
}

impl Tolerance {
    /// What the judge was measured with: 10 and 20 % of the value, 0.1 and 1 point of a rate.
    pub fn of(kind: MetricKind) -> Self {
        match kind {
            MetricKind::ErrorRate => Self { tolerable: 0.001, intolerable: 0.01 },
            _ => Self { tolerable: 0.1, intolerable: 0.2 },
        }
    }

    /// Both on the scale of shifts.
    pub(super) fn on(self, scale: Scale, kind: MetricKind) -> (f64, f64) {
        match scale {
            _ if kind == MetricKind::Other => (0.0, f64::INFINITY),
            Scale::Ratio { .. } => (self.tolerable.max(0.0).ln_1p(), self.intolerable.max(0.0).ln_1p()),
            Scale::Difference if kind == MetricKind::ErrorRate => (self.tolerable, self.intolerable),
            Scale::Difference => (0.0, f64::INFINITY),
        }
    }
}

/// What was found of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricVerdict {
    /// Alone, at [`FAIL_AT`].
    pub outcome: SoakOutcome,
    /// How strongly it speaks against the new version; a fail from [`FAIL_AT`] on.
    pub strength: f64,
    /// The same without a look at the controls.
    pub alone: f64,
    /// The direction that was worse.
    pub direction: Direction,
    /// The record before has no gaps worth speaking of.
    pub(super) is_whole: bool,
    /// What it is compared by.
    pub(super) scale: Scale,
    /// Why, as sentences with numbers.
    pub reasons: Vec<String>,
    /// The mean that each look expected of the soak: its length in minutes, and the value.
    pub expected: Vec<(f64, f64)>,
    /// All there is to draw; `None` where nothing could be compared.
    pub evidence: Option<Evidence>,
}

impl MetricVerdict {
    /// The shift of the mean in the longest look, in the bad direction, in its own deviations; `None` where unknown.
    pub fn z(&self) -> Option<f64> {
        let look = self.evidence.as_ref()?.looks.last()?;
        Some((look.shift[0] / look.scale[0]).clamp(-1e6, 1e6)).filter(|z| z.is_finite())
    }

    /// The same shift as a share of the value, or as a difference where there is no ratio; positive is worse.
    pub fn change(&self) -> Option<f64> {
        let look = self.evidence.as_ref()?.looks.last()?;
        let shift = look.shift[0];
        let change = match self.scale {
            Scale::Ratio { .. } => shift.exp_m1(),
            Scale::Difference => shift,
        };
        Some(change).filter(|change| change.is_finite())
    }
}

/// A longer way from the change to where the soak begins leaves nothing that belongs together, seconds.
const LONGEST_RESTART: i64 = 2 * 86_400;

/// Lengths of the looks, minutes. Each takes the soak from its beginning.
pub const LOOKS: [u32; 3] = [60, 120, 240];

/// Evidence for one direction; `None` where there is too little to compare.
pub fn evidence(metric: &Metric<'_>, times: Times, direction: Direction) -> Option<Evidence> {
    weigh(metric, times, direction).1
}

fn weigh(metric: &Metric<'_>, times: Times, direction: Direction) -> (Scale, Option<Evidence>) {
    let grid = Grid::of(metric.before.step());
    let length = metric.after.between(times.settled, times.until).values().len();
    let mut lengths: Vec<usize> =
        LOOKS.iter().map(|minutes| grid.points(*minutes)).filter(|points| *points <= length).collect();
    if lengths.is_empty() && length > 0 {
        lengths.push(length);
    }
    weigh_looks(metric, times, direction, &lengths)
}

/// The same with looks of these lengths, in points; of a soak that ends earlier the placebos are known, and no shift.
pub(super) fn weigh_looks(
    metric: &Metric<'_>,
    times: Times,
    direction: Direction,
    lengths: &[usize],
) -> (Scale, Option<Evidence>) {
    let past = metric.before.between(metric.before.start(), times.change);
    let scale = Scale::of(metric.kind, &past);
    let soak = metric.after.between(times.settled, times.until);
    let found = match metric.record {
        Record::UpToTheChange if times.settled.saturating_sub(times.change) > LONGEST_RESTART => None,
        Record::UpToTheChange => {
            let line = Timeline::of(&past, &soak, times, scale, direction);
            null::continuous(&line, lengths)
        }
        Record::OfAnotherTime => {
            let values = |series: &Series| scale.all(series.values(), direction);
            null::elsewhere(&values(&past), &values(&soak), lengths, Grid::of(metric.before.step()))
        }
    };
    (scale, found)
}

/// Share of the points of the past that must be there for a pass, percent. What is missing may be what made the difference:
/// with less, a soak that is as it was is close to call, and never a pass.
const WHOLE: usize = 95;

/// The record has no gaps worth speaking of: not as a whole, not in its last day, and not just before the change.
fn is_whole(metric: &Metric<'_>, times: Times) -> bool {
    const SPANS: [i64; 3] = [i64::MAX, 86_400, 7_200];
    // A record that is young is not one with gaps.
    let missing = metric.before.values().iter().take_while(|value| value.is_nan()).count();
    let missing = i64::try_from(missing).unwrap_or(i64::MAX).saturating_mul(metric.before.step());
    let begin = metric.before.start().saturating_add(missing);
    SPANS.iter().all(|span| {
        let from = times.change.saturating_sub(*span).max(begin);
        let part = metric.before.between(from, times.change);
        part.present().count() * 100 >= part.values().len() * WHOLE
    })
}

/// Judges one metric by itself.
pub fn judge_metric(metric: &Metric<'_>, times: Times, tolerance: Tolerance) -> MetricVerdict {
    judge_beside(metric, &[], times, tolerance)
}

/// Judges one metric beside the same metric of clusters that were not upgraded.
pub fn judge_beside(
    metric: &Metric<'_>,
    controls: &[Metric<'_>],
    times: Times,
    tolerance: Tolerance,
) -> MetricVerdict {
    judge_beside_evidence(metric, &ControlEvidence::of(controls, times, metric.bad), times, tolerance)
}

/// A share of errors that rose by at most so many times what it did elsewhere rose for the same reason.
const ALIKE: f64 = 2.0;

/// What the controls of a metric show, for all clusters that are judged beside them.
#[derive(Debug, Clone, Default)]
pub struct ControlEvidence(Vec<(Direction, Vec<Evidence>)>);

impl ControlEvidence {
    /// In the directions that are bad. A control with too little history is left out.
    pub fn of(controls: &[Metric<'_>], times: Times, bad: BadDirection) -> Self {
        let each = bad.each().iter().map(|direction| {
            let all = controls.iter().filter_map(|control| evidence(control, times, *direction));
            (*direction, all.collect())
        });
        Self(each.collect())
    }

    fn in_direction(&self, direction: Direction) -> &[Evidence] {
        self.0.iter().find(|(of, _)| *of == direction).map_or(&[], |(_, all)| all)
    }
}

/// The same, beside what the controls were found to show.
pub fn judge_beside_evidence(
    metric: &Metric<'_>,
    controls: &ControlEvidence,
    times: Times,
    tolerance: Tolerance,
) -> MetricVerdict {
    let judged = |direction: Direction| {
        one_direction(metric, controls.in_direction(direction), times, tolerance, direction)
    };
    let each = metric.bad.each().iter().map(|direction| judged(*direction));
    // The worse direction speaks; of equally strong ones the one that does not pass.
    let order = |verdict: &MetricVerdict| (verdict.strength, verdict.outcome != SoakOutcome::Pass);
    let worst = each.reduce(|one, other| {
        let (a, b) = (order(&one), order(&other));
        if b.0 > a.0 || (b.0 >= a.0 && b.1 && !a.1) { other } else { one }
    });
    worst.unwrap_or_else(|| judged(Direction::Up))
}

fn one_direction(
    metric: &Metric<'_>,
    theirs: &[Evidence],
    times: Times,
    tolerance: Tolerance,
    direction: Direction,
) -> MetricVerdict {
    let (scale, evidence) = weigh(metric, times, direction);
    let none = |reason: String| MetricVerdict {
        outcome: SoakOutcome::Insufficient,
        strength: 0.0,
        alone: 0.0,
        direction,
        is_whole: is_whole(metric, times),
        scale,
        reasons: vec![format!("{}: {reason}", metric.name)],
        expected: Vec::new(),
        evidence: None,
    };
    let soak = metric.after.between(times.settled, times.until);
    let (seen, room) = (soak.present().count(), soak.values().len());
    if seen == 0 || seen * 2 < room {
        return none(format!("{seen} of {room} points of the soak are there, half of them are needed"));
    }
    let Some(evidence) = evidence else {
        return none("too little history to know how much it moves when nothing is changed".into());
    };
    let values = scale.all(soak.values(), direction);
    let grid = Grid::of(metric.before.step());
    let expected = evidence.looks.iter().map(|look| {
        let part = values.iter().enumerate().filter(|(n, _)| grid.minutes(n + 1) <= look.minutes + 1e-9);
        let part: Vec<f64> = part.map(|(_, value)| *value).collect();
        (look.minutes, scale.back(window::of(&part, 1)[0] - look.shift[0], direction))
    });
    let expected = expected.collect();
    let (margin, limit) = tolerance.on(scale, metric.kind);
    let alone = evidence.strength(margin);
    let compared = beside(&evidence, theirs, margin);
    let is_like_theirs = metric.kind == MetricKind::ErrorRate
        && compared.as_ref().is_some_and(|compared| suffers_alike(&evidence, compared));
    let (evidence, moved, have_improved) = match compared {
        Some(compared) => {
            let moved = compared.have_moved.then_some(compared.controls);
            (compared.evidence, moved, compared.have_improved)
        }
        None => (evidence, None, false),
    };
    let most = if have_improved { alone } else { f64::INFINITY };
    let strength = if is_like_theirs { 0.0 } else { evidence.strength(margin).min(most) };
    let unknown = evidence.looks.iter().find(|look| !look.is_known());
    let words = Words { metric, scale, direction };
    let is_whole = is_whole(metric, times);
    let outcome = if strength >= FAIL_AT {
        SoakOutcome::Fail
    } else if alone >= FAIL_AT && moved.is_some() {
        SoakOutcome::External
    } else if let Some(look) = unknown {
        return none(format!(
            "too few points in the first {:.0} minutes or in what they are compared with",
            look.minutes
        ));
    } else if strength < FAIL_AT * QUIET
        && evidence.looks.iter().all(|look| rules_out(look, limit))
        && is_whole
    {
        SoakOutcome::Pass
    } else {
        SoakOutcome::Marginal
    };
    let mut reasons = vec![words.seen(&evidence, margin)];
    if theirs.len() >= MIN_CONTROLS {
        let theirs = format!("{} clusters that were not upgraded", theirs.len());
        reasons.push(match &moved {
            Some(moved) => {
                let by = moved.looks.last().map_or(0.0, |look| look.shift[0]);
                format!(
                    "{theirs} moved by {} themselves, which is taken off; alone the strength is {alone:.2}",
                    words.amount(by)
                )
            }
            None => format!("{theirs} have not become worse"),
        });
    }
    reasons.push(words.conclusion(outcome, strength, limit, is_whole));
    MetricVerdict {
        outcome,
        strength,
        alone,
        direction,
        is_whole,
        scale,
        reasons,
        expected,
        evidence: Some(evidence),
    }
}

/// A cause that is shared hits each cluster by as much as it can: errors of one rise by a half more than those of another.
fn suffers_alike(own: &Evidence, beside: &Beside) -> bool {
    let mut looks = own.looks.iter().zip(&beside.controls.looks);
    beside.have_moved && looks.all(|(own, theirs)| own.shift[0] <= ALIKE * theirs.shift[0])
}

/// A change as large as this is not there, with 95 %.
fn rules_out(look: &LookEvidence, limit: f64) -> bool {
    look.shift[0] + SURE * look.scale[0] < limit
}

/// Shifts in words.
struct Words<'a> {
    metric: &'a Metric<'a>,
    scale: Scale,
    direction: Direction,
}

impl Words<'_> {
    /// A shift with its sign, as people measure it.
    fn amount(&self, shift: f64) -> String {
        let signed = match self.direction {
            Direction::Up => shift,
            Direction::Down => -shift,
        };
        match self.scale {
            Scale::Ratio { .. } => format!("{:+.1} %", signed.exp_m1() * 100.0),
            Scale::Difference if self.metric.kind == MetricKind::ErrorRate => {
                format!("{:+.3} points of percent", signed * 100.0)
            }
            Scale::Difference => format!("{signed:+.3}"),
        }
    }

    /// What follows from the strength.
    fn conclusion(&self, outcome: SoakOutcome, strength: f64, limit: f64, is_whole: bool) -> String {
        let said = match outcome {
            SoakOutcome::Fail => return format!("strength {strength:.2}: a fail from {FAIL_AT} on"),
            SoakOutcome::External => " beside them: the cause is outside".to_owned(),
            SoakOutcome::Pass if limit.is_finite() => {
                format!(": a change of {} would have been seen", self.amount(limit))
            }
            SoakOutcome::Pass => String::new(),
            _ if strength >= FAIL_AT * QUIET => ": too close to call".to_owned(),
            _ if !is_whole => ": the record before has gaps, so this is no pass".to_owned(),
            _ => format!(": a change of {} would not surely have been seen", self.amount(limit)),
        };
        format!("strength {strength:.2} of {FAIL_AT}{said}")
    }

    /// What the looks show, of the statistic that shows most.
    fn seen(&self, evidence: &Evidence, margin: f64) -> String {
        let statistic = evidence.strongest(margin);
        let looks = evidence.looks.iter().map(|look| {
            let (shift, scale) = (look.shift[statistic], look.scale[statistic]);
            format!(
                "{} in the first {:.0} minutes ({:.1} deviations)",
                self.amount(shift),
                look.minutes,
                shift / scale.max(1e-12)
            )
        });
        let against = match evidence.baselines {
            Some(baselines) => format!(
                "against {}",
                baselines.get(statistic).map_or_else(String::new, |b: &Baseline| b.words())
            ),
            None => "against a record of another time".into(),
        };
        format!(
            "{}, {}: {}, {against}; tolerable {}",
            self.metric.name,
            NAMES[statistic],
            looks.collect::<Vec<_>>().join(", "),
            self.amount(margin),
        )
    }
}
