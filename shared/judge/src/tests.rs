//! What must hold of every verdict, on series that are made here.

use proptest::prelude::*;

use super::*;

const STEP: i64 = 300;
const DAY: i64 = 86_400;
pub(super) const CHANGE: i64 = 1_700_000_100;
pub(super) const TIMES: Times = Times { change: CHANGE, settled: CHANGE + 600, until: CHANGE + 600 + 7_200 };

/// Noise between -1 and 1 that is the same in every run.
fn noise(seed: u64, n: i64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.cast_unsigned();
    for _ in 0..3 {
        x ^= x >> 30;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    f64::from(u32::try_from(x >> 32).unwrap()) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Days of 5-minute points: a daily pattern of 30 % and noise of `wild`, with the soak multiplied.
pub(super) fn series(seed: u64, days: i64, wild: f64, factor: f64) -> Series {
    let start = CHANGE - days * DAY;
    let points: Vec<(i64, f64)> = (0..(TIMES.until - start) / STEP)
        .map(|n| {
            let at = start + n * STEP;
            #[expect(clippy::cast_precision_loss, reason = "a time of a day")]
            let phase = (at.rem_euclid(DAY) as f64) / DAY as f64 * std::f64::consts::TAU;
            let value = 100.0 * (1.0 + 0.3 * phase.sin()) * (1.0 + wild * noise(seed, n));
            (at, if at >= TIMES.settled { value * factor } else { value })
        })
        .collect();
    Series::from_points(STEP, &points).unwrap()
}

pub(super) fn latency(series: &Series) -> Metric<'_> {
    Metric {
        name: "p95 latency",
        kind: MetricKind::Latency,
        bad: BadDirection::Up,
        before: series,
        after: series,
        record: Record::UpToTheChange,
    }
}

fn judged(series: &Series) -> MetricVerdict {
    judge_metric(&latency(series), TIMES, Tolerance::of(MetricKind::Latency))
}

/// The same series with gaps: each point of `[from, to)` is missing where `gone` says so.
fn without(series: &Series, from: i64, to: i64, gone: impl Fn(usize) -> bool) -> Series {
    let points: Vec<Option<f64>> = (0..)
        .zip(series.values())
        .map(|(n, value)| {
            let at = series.start() + i64::try_from(n).unwrap() * series.step();
            (!(at >= from && at < to && gone(n))).then_some(*value)
        })
        .collect();
    Series::new(series.start(), series.step(), &points).unwrap()
}

#[test]
fn a_step_is_found_and_calm_passes() {
    let calm = judged(&series(1, 5, 0.05, 1.0));
    assert_eq!(calm.outcome, SoakOutcome::Pass, "{:?}", calm.reasons);
    for factor in [1.2, 1.5] {
        let worse = judged(&series(1, 5, 0.05, factor));
        assert_eq!(worse.outcome, SoakOutcome::Fail, "{factor}: {:?}", worse.reasons);
        assert!((worse.change().unwrap() - (factor - 1.0)).abs() < 0.1, "{:?}", worse.change());
    }
    // Tolerable, however clearly it is seen.
    let slightly = judged(&series(1, 5, 0.01, 1.06));
    assert_ne!(slightly.outcome, SoakOutcome::Fail, "{:?}", slightly.reasons);
}

#[test]
fn the_good_direction_is_no_fail() {
    assert_eq!(judged(&series(2, 5, 0.05, 0.6)).outcome, SoakOutcome::Pass);
    let fewer = series(2, 5, 0.05, 0.6);
    let down = Metric { kind: MetricKind::Throughput, bad: BadDirection::Down, ..latency(&fewer) };
    let either = Metric { bad: BadDirection::Both, ..latency(&fewer) };
    for metric in [down, either] {
        let verdict = judge_metric(&metric, TIMES, Tolerance::of(metric.kind));
        assert_eq!(verdict.outcome, SoakOutcome::Fail);
        assert_eq!(verdict.direction, Direction::Down);
        assert!(verdict.reasons[0].contains("-38."), "{:?}", verdict.reasons);
    }
}

/// What was in the restart is nobody's soak.
#[test]
fn between_the_change_and_the_soak_nothing_is_judged() {
    let calm = series(3, 5, 0.05, 1.0);
    let points: Vec<Option<f64>> = (0..)
        .zip(calm.values())
        .map(|(n, value)| {
            let at = calm.start() + n * STEP;
            Some(if (CHANGE..TIMES.settled).contains(&at) { value * 50.0 } else { *value })
        })
        .collect();
    let restarted = Series::new(calm.start(), STEP, &points).unwrap();
    assert_eq!(judged(&restarted), judged(&calm));
}

#[test]
fn reasons_are_sentences_with_numbers() {
    let verdict = judged(&series(1, 5, 0.05, 1.5));
    let words = verdict.reasons.join("\n");
    for part in [
        "p95 latency",
        "in the first 60 minutes",
        "in the first 120 minutes",
        "tolerable +10.0 %",
        "a fail from 2.75 on",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn without_a_past_there_is_no_verdict() {
    let young = series(4, 5, 0.05, 1.5).between(CHANGE - 4 * 3_600, TIMES.until);
    assert_eq!(judged(&young).outcome, SoakOutcome::Insufficient);
    let unborn = series(4, 5, 0.05, 1.5).between(CHANGE, TIMES.until);
    assert_eq!(judged(&unborn).outcome, SoakOutcome::Insufficient);
    let silent = series(4, 5, 0.05, 1.5).between(CHANGE - 5 * DAY, CHANGE);
    assert_eq!(judged(&silent).outcome, SoakOutcome::Insufficient);
}

/// A constant has no spread; a change of it beyond what is tolerable is seen all the same.
#[test]
fn a_metric_that_never_moved_is_judged() {
    let constant =
        |factor: f64| series(5, 3, 0.0, factor).values().iter().map(|_| Some(1.0)).collect::<Vec<_>>();
    let start = CHANGE - 3 * DAY;
    let calm = Series::new(start, STEP, &constant(1.0)).unwrap();
    assert_eq!(judged(&calm).outcome, SoakOutcome::Pass);
    let lifted: Vec<Option<f64>> = (0..)
        .zip(constant(1.0))
        .map(|(n, value)| value.map(|v| if start + n * STEP >= TIMES.settled { v * 1.3 } else { v }))
        .collect();
    assert_eq!(judged(&Series::new(start, STEP, &lifted).unwrap()).outcome, SoakOutcome::Fail);
}

#[test]
fn a_record_of_another_time_is_compared_as_a_whole() {
    let record = series(6, 2, 0.05, 1.0).between(CHANGE - 2 * DAY, CHANGE);
    let soak = |factor: f64| {
        let values: Vec<Option<f64>> =
            (0..3).map(|n| Some(100.0 * factor * (1.0 + 0.05 * noise(9, n)))).collect();
        Series::new(0, STEP, &values).unwrap()
    };
    let times = Times { change: CHANGE, settled: 0, until: 900 };
    let of = |soak: &Series| {
        let metric = Metric { after: soak, record: Record::OfAnotherTime, ..latency(&record) };
        judge_metric(&metric, times, Tolerance::of(MetricKind::Latency)).outcome
    };
    assert_eq!(of(&soak(4.0)), SoakOutcome::Fail);
    assert_ne!(of(&soak(1.0)), SoakOutcome::Fail);
}

#[test]
fn rates_are_compared_by_their_difference() {
    let healthy: Vec<(i64, f64)> =
        (0..600).map(|n| (CHANGE - 2 * DAY + n * STEP, 0.999 - 0.0005 * noise(7, n).abs())).collect();
    let with = |share: f64| {
        let points: Vec<(i64, f64)> = healthy
            .iter()
            .map(|(at, value)| (*at, if *at >= TIMES.settled { share } else { *value }))
            .collect();
        let series = Series::from_points(STEP, &points).unwrap();
        let metric = Metric { kind: MetricKind::ErrorRate, bad: BadDirection::Down, ..latency(&series) };
        judge_metric(&metric, TIMES, Tolerance::of(MetricKind::ErrorRate)).outcome
    };
    assert_eq!(with(0.9985), SoakOutcome::Pass);
    assert_eq!(with(0.98), SoakOutcome::Fail);
}

/// Half of the soak is there, and next to nothing of its first hour.
#[test]
fn a_look_without_points_is_no_verdict() {
    for factor in [1.0, 1.1, 0.8] {
        let late = without(&series(1, 5, 0.05, factor), TIMES.settled, TIMES.settled + 3_000, |_| true);
        let verdict = judged(&late);
        assert_eq!(verdict.outcome, SoakOutcome::Insufficient, "{:?}", verdict.reasons);
        assert!(verdict.reasons[0].contains("the first 60 minutes"), "{:?}", verdict.reasons);
    }
}

#[test]
fn nonsense_is_no_panic() {
    let one = Series::new(i64::MAX - 10, 1, &[Some(1.0), None, Some(f64::INFINITY)]).unwrap();
    let empty = Series::new(i64::MIN, i64::MAX, &[]).unwrap();
    for series in [&one, &empty] {
        for times in [
            TIMES,
            Times { change: i64::MIN, settled: i64::MAX, until: i64::MAX },
            Times { change: i64::MAX, settled: i64::MIN, until: i64::MIN },
        ] {
            for record in [Record::UpToTheChange, Record::OfAnotherTime] {
                let metric = Metric { record, ..latency(series) };
                let verdict = judge_metric(&metric, times, Tolerance::of(MetricKind::Latency));
                assert_eq!(verdict.outcome, SoakOutcome::Insufficient);
            }
        }
    }
    assert_eq!(Series::new(0, 0, &[]), Err(SeriesError::Step(0)));
    assert!(matches!(Series::from_points(1, &[(0, 1.0), (i64::MAX, 1.0)]), Err(SeriesError::TooLong { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_unit_does_not_matter(seed: u64, unit in 1e-6f64..1e6, factor in 0.8f64..1.6, wild in 0.0f64..0.3) {
        let plain = series(seed, 3, wild, factor);
        let (one, other) = (judged(&plain), judged(&plain.times(unit)));
        prop_assert_eq!(one.outcome, other.outcome);
        prop_assert!((one.strength - other.strength).abs() <= 1e-6 * one.strength.max(1.0));
    }

    #[test]
    fn the_time_zone_does_not_matter(seed: u64, hours in -14i64..=14, odd in 0i64..3_600, factor in 0.8f64..1.6) {
        let plain = series(seed, 3, 0.1, factor);
        let by = hours * 3_600 + odd;
        let points: Vec<Option<f64>> = plain.values().iter().map(|value| Some(*value)).collect();
        let moved = Series::new(plain.start() + by, STEP, &points).unwrap();
        let times = Times { change: CHANGE + by, settled: TIMES.settled + by, until: TIMES.until + by };
        let verdict = judge_metric(&latency(&moved), times, Tolerance::of(MetricKind::Latency));
        prop_assert_eq!(verdict, judged(&plain));
    }

    #[test]
    fn below_half_of_the_points_there_is_no_verdict(seed: u64, percent in 0usize..50, factor in 0.8f64..3.0) {
        let plain = series(seed, 3, 0.1, factor);
        let soak = plain.between(TIMES.settled, TIMES.until).values().len();
        let mut left = (soak * percent).div_ceil(100).min((soak - 1) / 2);
        let points: Vec<Option<f64>> = (0..)
            .zip(plain.values())
            .map(|(n, value)| {
                let is_soak = plain.start() + n * STEP >= TIMES.settled;
                let stays = !is_soak || left > 0;
                left -= usize::from(is_soak && left > 0);
                stays.then_some(*value)
            })
            .collect();
        let thin = Series::new(plain.start(), STEP, &points).unwrap();
        prop_assert_eq!(judged(&thin).outcome, SoakOutcome::Insufficient);
    }

    #[test]
    fn no_gap_in_the_past_turns_a_fail_into_a_pass(
        seed: u64, factor in 1.15f64..2.0, from in 0i64..5 * DAY, length in 0i64..5 * DAY, share in 0.1f64..=1.0
    ) {
        let plain = series(seed, 5, 0.08, factor);
        let start = plain.start() + from;
        let gone = |n: usize| noise(!seed, i64::try_from(n).unwrap()).abs() < share;
        let torn = without(&plain, start, (start + length).min(CHANGE), gone);
        if judged(&plain).outcome == SoakOutcome::Fail {
            let verdict = judged(&torn);
            prop_assert_ne!(verdict.outcome, SoakOutcome::Pass, "{:?}", verdict.reasons);
        }
    }

    #[test]
    fn more_of_the_same_never_speaks_less(seed: u64, factor in 0.8f64..2.0, more in 1.0f64..2.0, wild in 0.0f64..0.3) {
        let (less, worse) = (judged(&series(seed, 3, wild, factor)), judged(&series(seed, 3, wild, factor * more)));
        prop_assert!(worse.strength >= less.strength);
        prop_assert!(worse.z() >= less.z());
        prop_assert!(less.outcome != SoakOutcome::Fail || worse.outcome == SoakOutcome::Fail);
    }
}

#[test]
fn what_the_controls_suffer_too_comes_from_outside() {
    let of = |own: f64, theirs: &[f64]| {
        let own = series(1, 5, 0.05, own);
        let theirs: Vec<Series> =
            (20..).zip(theirs).map(|(seed, factor)| series(seed, 5, 0.05, *factor)).collect();
        let controls: Vec<Metric<'_>> = theirs.iter().map(latency).collect();
        judge_beside(&latency(&own), &controls, TIMES, Tolerance::of(MetricKind::Latency))
    };
    let shared = of(1.5, &[1.5, 1.6, 1.45]);
    assert_eq!(shared.outcome, SoakOutcome::External, "{:?}", shared.reasons);
    assert!(
        shared.reasons.iter().any(|reason| reason.contains("3 clusters that were not upgraded moved by"))
    );
    // Calm controls accuse the version; so do controls that suffer much less, and one control proves nothing.
    assert_eq!(of(1.5, &[1.0, 1.0, 1.0]).outcome, SoakOutcome::Fail);
    assert_eq!(of(2.0, &[1.2, 1.2, 1.2]).outcome, SoakOutcome::Fail);
    assert_eq!(of(1.5, &[1.5]).outcome, SoakOutcome::Fail);
    // Nobody fails because others became better; who was worse before they did still does.
    assert_ne!(of(1.0, &[0.6, 0.6, 0.6]).outcome, SoakOutcome::Fail);
    assert_eq!(of(1.5, &[0.6, 0.6, 0.6]).outcome, SoakOutcome::Fail);
    // What only the controls suffer is not ours.
    assert_ne!(of(1.0, &[1.5, 1.5, 1.5]).outcome, SoakOutcome::Fail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Controls excuse; they do not accuse. That others became better is no fault of this cluster.
    #[test]
    fn controls_that_became_better_fail_nobody(
        seed in 0u64..1 << 40, own in 0.8f64..1.6, theirs in 0.2f64..0.7, kin: bool, wild in 0.0f64..0.3
    ) {
        let upgraded = series(seed, 4, wild, own);
        // Of the same noise as the cluster, or of their own.
        let theirs: Vec<Series> =
            (1..4).map(|n| series(if kin { seed } else { seed + n }, 4, wild, theirs)).collect();
        let controls: Vec<Metric<'_>> = theirs.iter().map(latency).collect();
        let alone = judged(&upgraded);
        let beside = judge_beside(&latency(&upgraded), &controls, TIMES, Tolerance::of(MetricKind::Latency));
        prop_assert!(beside.strength <= alone.strength, "{} {}", alone.strength, beside.strength);
        prop_assert!(alone.outcome == SoakOutcome::Fail || beside.outcome != SoakOutcome::Fail);
    }
}

/// What clusters always do together is learned from their past, and taken off.
#[test]
fn what_is_shared_in_ordinary_times_is_taken_off() {
    let with = |seed: u64| {
        let common = series(1, 5, 0.05, 1.0);
        let points =
            (0..).zip(common.values()).map(|(n, value)| Some(value * (1.0 + 0.004 * noise(seed, n))));
        Series::new(common.start(), STEP, &points.collect::<Vec<_>>()).unwrap()
    };
    let (own, theirs) = (with(2), [with(3), with(4), with(5)]);
    let evidence = |series: &Series| evidence(&latency(series), TIMES, Direction::Up).unwrap();
    let controls: Vec<Evidence> = theirs.iter().map(evidence).collect();
    let alone = evidence(&own);
    let compared = beside(&alone, &controls, 1.1f64.ln()).unwrap();
    let (before, after) = (alone.looks[1].scale[0], compared.evidence.looks[1].scale[0]);
    assert!(after < before * 0.5, "{before} {after}");
    // Strangers add no noise.
    let strangers: Vec<Evidence> = (30..34).map(|seed| evidence(&series(seed, 5, 0.1, 1.0))).collect();
    let compared = beside(&alone, &strangers, 1.1f64.ln()).unwrap();
    assert!(compared.evidence.looks[1].scale[0] <= before + 1e-9);
}
