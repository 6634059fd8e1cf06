use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::judge::Series;
use crate::{ThresholdOverrides, Thresholds, ValidationConfig};

/// 2026-11-02 12:00, in Unix seconds.
const CHANGE: i64 = 1_793_620_800;
const DAYS: i64 = 4;
const RESTART: i64 = 3_600;
const MINUTE: i64 = 60;

/// Noise without a library: the same numbers on every machine.
fn noise(seed: u64, n: i64) -> f64 {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.cast_unsigned().wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut sum = 0.0;
    for _ in 0..4 {
        x ^= x >> 30;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
        sum += f64::from(u32::try_from(x >> 40).unwrap()) / f64::from(1_u32 << 24);
    }
    (sum - 2.0) * 1.7
}

/// What the new version does from the end of the restart on.
#[derive(Debug, Clone, Copy)]
struct Harm {
    errors: f64,
    p95: f64,
    p99: f64,
    requests: f64,
    cpu: f64,
}

const NONE: Harm = Harm { errors: 1.0, p95: 1.0, p99: 1.0, requests: 1.0, cpu: 1.0 };

fn history(seed: u64, minutes: i64, harm: Harm) -> MetricHistory {
    let (start, settled) = (CHANGE - DAYS * 86_400, CHANGE + RESTART);
    let until = settled + minutes * MINUTE;
    let series = |of: &dyn Fn(i64, Harm) -> f64| {
        let points: Vec<Option<f64>> = (0..(until - start) / STEP)
            .map(|n| Some(of(n, if start + n * STEP >= settled { harm } else { NONE })))
            .collect();
        Series::new(start, STEP, &points).unwrap()
    };
    let draw = |metric: u64, n: i64| noise(seed * 10 + metric, n);
    MetricHistory {
        requests: series(&|n, harm| (5_000.0 * (1.0 + 0.02 * draw(1, n)) * harm.requests).round()),
        errors: series(&|n, harm| (harm.errors * (1.0 + 0.5 * draw(2, n))).max(0.0).round()),
        latency_p95: series(&|n, harm| 80.0 * (0.03 * draw(3, n)).exp() * harm.p95),
        latency_p99: series(&|n, harm| 170.0 * (0.05 * draw(4, n)).exp() * harm.p99),
        proxy_cpu: series(&|n, harm| 4e9 * (1.0 + 0.03 * draw(5, n)) * harm.cpu),
        proxy_memory: series(&|n, _| 9e8 * (1.0 + 0.01 * draw(6, n))),
    }
}

fn moment(minutes: i64, is_over: bool) -> Moment {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let settled = CHANGE + RESTART;
    Moment { changed_at: at(CHANGE), from: at(settled), until: at(settled + minutes * MINUTE), is_over }
}

fn soaked(histories: &[MetricHistory]) -> Vec<Soaked<'_>> {
    histories.iter().map(|history| Soaked { environment: "prod", history: Some(history) }).collect()
}

fn judged(
    own: &[MetricHistory],
    controls: &[MetricHistory],
    minutes: i64,
    is_over: bool,
) -> Vec<SoakVerdict> {
    let config = ValidationConfig::default();
    judge(&soaked(own), &soaked(controls), moment(minutes, is_over), &config)
}

fn alone(history: MetricHistory) -> SoakVerdict {
    judged(&[history], &[], 60, true).remove(0)
}

/// Takes a series of a history away, where it is not kept.
type Blank = fn(&mut MetricHistory, &dyn Fn(i64) -> bool);

/// A series without some of its points.
fn cut(series: &Series, keep: impl Fn(i64) -> bool) -> Series {
    let points: Vec<Option<f64>> = series
        .values()
        .iter()
        .zip(0..)
        .map(|(value, n)| Some(*value).filter(|_| keep(series.start() + n * series.step())))
        .collect();
    Series::new(series.start(), series.step(), &points).unwrap()
}

#[test]
fn as_before_is_a_pass() {
    for seed in 0..20 {
        let verdict = alone(history(seed, 60, NONE));
        assert_eq!(verdict.outcome, SoakOutcome::Pass, "{seed}: {verdict:?}");
    }
}

#[test]
fn a_loud_critical_metric_alone_is_a_fail_and_says_so() {
    let verdict = alone(history(1, 60, Harm { p95: 1.5, ..NONE }));
    assert_eq!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
    assert!(verdict.reasons[0].contains("p95 latency"), "{verdict:?}");
    assert!(
        verdict.reasons.iter().any(|reason| reason.contains("+4") || reason.contains("+5")),
        "{verdict:?}"
    );

    let verdict = alone(history(1, 60, Harm { errors: 30.0, ..NONE }));
    assert_eq!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
    assert!(verdict.reasons.iter().any(|reason| reason.contains("requests failed, 0.8")), "{verdict:?}");
}

#[test]
fn a_metric_that_is_not_critical_is_for_more_time_and_two_are_a_fail() {
    let verdict = alone(history(1, 60, Harm { cpu: 3.0, ..NONE }));
    assert_eq!(verdict.outcome, SoakOutcome::Marginal, "{verdict:?}");
    let verdict = alone(history(1, 60, Harm { cpu: 3.0, requests: 0.4, ..NONE }));
    assert_eq!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
}

/// What the configuration calls tolerable is tolerable, however clearly it is seen.
#[test]
fn what_is_tolerable_passes_and_environments_differ() {
    let slower = history(1, 60, Harm { p95: 1.3, p99: 1.3, ..NONE });
    let mut config = ValidationConfig::default();
    let own = [Soaked { environment: "dev", history: Some(&slower) }];
    assert_eq!(judge(&own, &[], moment(60, true), &config)[0].outcome, SoakOutcome::Fail);
    let tolerant = ThresholdOverrides { latency_increase_percent: Some(40.0), ..Default::default() };
    config.environments.insert("dev".into(), tolerant);
    assert_eq!(judge(&own, &[], moment(60, true), &config)[0].outcome, SoakOutcome::Pass);
    // Three times the errors, and still below what is tolerable.
    let more = alone(history(1, 60, Harm { errors: 3.0, ..NONE }));
    assert_eq!(more.outcome, SoakOutcome::Pass, "{more:?}");
    assert!(Thresholds::default().error_rate_max > 3.0 / 5_000.0);
}

#[test]
fn silence_is_never_a_pass() {
    let none = judge(
        &[Soaked { environment: "prod", history: None }],
        &[],
        moment(60, true),
        &ValidationConfig::default(),
    );
    assert_eq!(none[0].outcome, SoakOutcome::Insufficient);

    let whole = history(1, 60, NONE);
    let before = |at: i64| at < CHANGE;
    let blanks: [(&str, Blank); 3] = [
        ("requests", |history, keep| history.requests = cut(&history.requests, keep)),
        ("p95", |history, keep| history.latency_p95 = cut(&history.latency_p95, keep)),
        // Not required, but it was there: a series that ends with the restart is told.
        ("cpu", |history, keep| history.proxy_cpu = cut(&history.proxy_cpu, keep)),
    ];
    for (name, blank) in blanks {
        let mut history = whole.clone();
        blank(&mut history, &before);
        let verdict = alone(history);
        assert_eq!(verdict.outcome, SoakOutcome::Insufficient, "{name}: {verdict:?}");
        assert!(verdict.reasons[0].contains("has ended"), "{name}: {verdict:?}");
    }
    // What was never there is no metric; but for what every verdict needs.
    let mut history = whole.clone();
    blanks[2].1(&mut history, &|_| false);
    assert_eq!(alone(history).outcome, SoakOutcome::Pass);
    for (name, blank) in &blanks[..2] {
        let mut history = whole.clone();
        blank(&mut history, &|_| false);
        assert_eq!(alone(history).outcome, SoakOutcome::Insufficient, "{name}");
    }
    // A cluster that was idle before and has too few requests now.
    let verdict = alone(history_of_few());
    assert_eq!(verdict.outcome, SoakOutcome::Insufficient, "{verdict:?}");
    assert!(verdict.reasons[0].contains("are needed"), "{verdict:?}");
}

fn history_of_few() -> MetricHistory {
    let mut history = history(1, 60, NONE);
    history.requests = history.requests.times(0.01);
    history.errors = history.errors.times(0.0);
    history
}

/// A definite no stays one, whatever else cannot be read.
#[test]
fn no_gap_hides_a_fail() {
    let mut history = history(1, 60, Harm { p95: 1.5, ..NONE });
    history.proxy_memory = cut(&history.proxy_memory, |at| at < CHANGE);
    assert_eq!(alone(history).outcome, SoakOutcome::Fail);
}

#[test]
fn what_the_controls_suffer_too_comes_from_outside() {
    let bad = Harm { p95: 1.5, p99: 1.5, errors: 30.0, ..NONE };
    let own = [history(1, 60, bad)];
    let alike: Vec<_> = (2..5).map(|seed| history(seed, 60, bad)).collect();
    let verdict = judged(&own, &alike, 60, true).remove(0);
    assert_eq!(verdict.outcome, SoakOutcome::External, "{verdict:?}");
    assert!(verdict.reasons[0].contains("moved alike"), "{verdict:?}");
    // Calm ones accuse the version, one alone proves nothing, and those of another environment neither.
    let calm: Vec<_> = (2..5).map(|seed| history(seed, 60, NONE)).collect();
    assert_eq!(judged(&own, &calm, 60, true)[0].outcome, SoakOutcome::Fail);
    assert_eq!(judged(&own, &alike[..1], 60, true)[0].outcome, SoakOutcome::Fail);
    let elsewhere: Vec<_> =
        soaked(&alike).into_iter().map(|control| Soaked { environment: "dev", ..control }).collect();
    let verdict = judge(&soaked(&own), &elsewhere, moment(60, true), &ValidationConfig::default());
    assert_eq!(verdict[0].outcome, SoakOutcome::Fail);
}

/// Before its time nothing passes, and only what cannot wait fails.
#[test]
fn an_early_look_fails_only_what_cannot_wait() {
    let slower = history(1, 60, Harm { p95: 1.13, p99: 1.13, ..NONE });
    assert_ne!(judged(std::slice::from_ref(&slower), &[], 30, false)[0].outcome, SoakOutcome::Fail);
    assert_eq!(judged(&[slower], &[], 60, true)[0].outcome, SoakOutcome::Fail);
    // One in twenty requests fails for five minutes.
    let broken = history(1, 60, Harm { errors: 400.0, ..NONE });
    let verdict = judged(&[broken], &[], 10, false).remove(0);
    assert_eq!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
    let mut much_slower = history(1, 60, Harm { p95: 3.0, p99: 3.0, ..NONE });
    let verdict = judged(std::slice::from_ref(&much_slower), &[], 15, false).remove(0);
    assert_eq!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
    // One look is none.
    let verdict = judged(std::slice::from_ref(&much_slower), &[], 5, false).remove(0);
    assert_ne!(verdict.outcome, SoakOutcome::Fail, "{verdict:?}");
    // Of few requests nothing is plain.
    much_slower.requests = much_slower.requests.times(0.01);
    much_slower.errors = much_slower.errors.times(0.0);
    let verdict = judged(&[much_slower], &[], 15, false).remove(0);
    assert_eq!(verdict.outcome, SoakOutcome::Insufficient, "{verdict:?}");
}

/// A little on every cluster of a batch is seen in their sum.
#[test]
fn a_batch_sees_what_one_cluster_cannot() {
    let restless = |seed: u64, factor: f64| {
        let mut one = history(seed, 60, Harm { p95: factor, ..NONE });
        // Wanders by an eighth from hour to hour.
        let points: Vec<Option<f64>> = one
            .latency_p95
            .values()
            .iter()
            .zip(0..)
            .map(|(value, n): (&f64, i64)| Some(value * (0.12 * noise(seed + 100, n / 12)).exp()))
            .collect();
        one.latency_p95 = Series::new(one.latency_p95.start(), STEP, &points).unwrap();
        one
    };
    let healthy: Vec<_> = (0..12).map(|seed| restless(seed, 1.0)).collect();
    let verdicts = judged(&healthy, &[], 60, true);
    assert!(verdicts.iter().all(|verdict| verdict.outcome != SoakOutcome::Fail), "{verdicts:?}");
    // Alone many of them are too close to call; together they are well.
    let by_themselves =
        healthy.iter().filter(|one| alone((*one).clone()).outcome == SoakOutcome::Marginal).count();
    let together = verdicts.iter().filter(|verdict| verdict.outcome == SoakOutcome::Marginal).count();
    assert!(together > 0 && together + 3 <= by_themselves, "{by_themselves} alone, {together} together");
    let worse: Vec<_> = (0..12).map(|seed| restless(seed, 1.25)).collect();
    let failed = judged(&worse, &[], 60, true).iter().filter(|v| v.outcome == SoakOutcome::Fail).count();
    let failed_alone = worse.iter().filter(|one| alone((*one).clone()).outcome == SoakOutcome::Fail).count();
    assert!(failed > failed_alone && failed >= 8, "{failed} together, {failed_alone} alone");
}

/// People go home from all clusters at the same hour. With a past too short for a season the judge knows it by how far
/// the clusters moved together at other hours.
#[test]
fn what_all_clusters_do_every_evening_is_no_finding() {
    let since = CHANGE - 36 * 3_600;
    let evening = |seed: u64| {
        let mut one = history(seed, 60, NONE);
        let points: Vec<Option<f64>> = one
            .requests
            .values()
            .iter()
            .zip(0..)
            .map(|(value, n)| {
                let at = one.requests.start() + n * STEP;
                #[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
                let of_day = at.rem_euclid(86_400) as f64 / 86_400.0;
                // Steepest at noon, when the change is.
                let load = 1.0 + 0.4 * (of_day * std::f64::consts::TAU).sin();
                (at >= since).then_some(value * load)
            })
            .collect();
        one.requests = Series::new(one.requests.start(), STEP, &points).unwrap();
        one
    };
    let batch: Vec<_> = (0..60).map(evening).collect();
    let verdicts = judged(&batch, &[], 60, true);
    let failed: Vec<_> = verdicts.iter().filter(|verdict| verdict.outcome == SoakOutcome::Fail).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// A soak of a day is judged by its end too: what begins to hurt after hours is not missed.
#[test]
fn a_long_soak_is_judged_by_its_end_too() {
    let hours = 12;
    let mut late = history(1, hours * 60, NONE);
    let bad = history(1, hours * 60, Harm { p95: 1.6, ..NONE });
    let from = CHANGE + RESTART + 6 * 3_600;
    let points: Vec<Option<f64>> = late
        .latency_p95
        .values()
        .iter()
        .zip(bad.latency_p95.values())
        .zip(0..)
        .map(|((fine, bad), n)| Some(if late.latency_p95.start() + n * STEP >= from { *bad } else { *fine }))
        .collect();
    late.latency_p95 = Series::new(late.latency_p95.start(), STEP, &points).unwrap();
    assert_eq!(judged(&[late], &[], hours * 60, true)[0].outcome, SoakOutcome::Fail);
}

/// A limit that was broken before the change is not the new version's doing; and one that breaks everywhere is nobody's.
#[test]
fn a_broken_limit_must_be_the_versions() {
    let broken = history(1, 60, Harm { errors: 400.0, ..NONE });
    let thresholds = Thresholds::default();
    assert!(early::limit(&broken, moment(60, true), &thresholds).is_some());
    let mut before_too = broken.clone();
    let points: Vec<Option<f64>> = (0..)
        .zip(broken.errors.values())
        .map(|(n, value)| {
            let at = broken.errors.start() + n * STEP;
            Some(if (CHANGE - 40_000..CHANGE - 36_000).contains(&at) { 400.0 } else { *value })
        })
        .collect();
    before_too.errors = Series::new(broken.errors.start(), STEP, &points).unwrap();
    assert_eq!(early::limit(&before_too, moment(60, true), &thresholds), None);

    let everywhere: Vec<_> = (2..5).map(|seed| history(seed, 60, Harm { errors: 400.0, ..NONE })).collect();
    let own = [broken];
    let verdict = judged(&own, &everywhere, 10, false).remove(0);
    assert_eq!(verdict.outcome, SoakOutcome::External, "{verdict:?}");
    let calm: Vec<_> = (2..5).map(|seed| history(seed, 60, NONE)).collect();
    assert_eq!(
        judged(&own, &[calm, everywhere[..1].to_vec()].concat(), 10, false)[0].outcome,
        SoakOutcome::Fail
    );
}

/// However clearly their share is seen in a series that never had any.
#[test]
fn nine_errors_are_no_evidence() {
    let with = |errors: f64| {
        let mut few = history(1, 60, NONE);
        few.requests = few.requests.times(0.03);
        let soak = CHANGE + RESTART;
        let mut left = errors;
        let points: Vec<Option<f64>> = (0..few.errors.values().len())
            .map(|n| few.errors.start() + i64::try_from(n).unwrap() * STEP)
            .map(|at| {
                let one = if at >= soak && left > 0.0 { (left / 9.0).max(1.0) } else { 0.0 };
                left -= one;
                Some(one)
            })
            .collect();
        few.errors = Series::new(few.errors.start(), STEP, &points).unwrap();
        alone(few).outcome
    };
    assert_ne!(with(9.0), SoakOutcome::Fail);
    assert_eq!(with(60.0), SoakOutcome::Fail);
}

/// What all clusters show in sum is no pass on the one that does not.
#[test]
fn beside_a_batch_that_is_worse_nobody_passes() {
    let mut batch: Vec<_> = (0..11).map(|seed| history(seed, 60, Harm { p95: 1.085, ..NONE })).collect();
    batch.push(history(11, 60, NONE));
    assert_eq!(alone(batch[11].clone()).outcome, SoakOutcome::Pass);
    let verdicts = judged(&batch, &[], 60, true);
    assert_eq!(verdicts[11].outcome, SoakOutcome::Marginal, "{:?}", verdicts[11]);
    assert!(verdicts[..11].iter().filter(|v| v.outcome == SoakOutcome::Fail).count() > 8);
}

#[test]
fn a_soak_begins_with_a_whole_point() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    assert_eq!(next_point(at(CHANGE)), at(CHANGE));
    assert_eq!(next_point(at(CHANGE + 1)), at(CHANGE + STEP));
    let a_moment_later = at(CHANGE) + SignedDuration::from_millis(1);
    assert_eq!(next_point(a_moment_later), at(CHANGE + STEP));
}

/// What the merge request says of a cluster follows from its past: a calm one sees more than a restless one.
#[test]
fn the_past_says_what_a_soak_will_see() {
    let thresholds = Thresholds::default();
    let at = Timestamp::from_second(CHANGE).unwrap();
    let calm = history(1, 60, NONE);
    let found = prospect(&calm, at, 60, &thresholds).unwrap();
    assert!(found.placebos > 200 && found.false_rollbacks < 0.01, "{found:?}");
    let critical: Vec<&SoakMetric> = found.smallest_seen.keys().collect();
    assert_eq!(critical, [&SoakMetric::Errors, &SoakMetric::LatencyP95, &SoakMetric::LatencyP99]);
    let p95 = found.smallest_seen[&SoakMetric::LatencyP95].unwrap();
    assert!((0.1..0.2).contains(&p95), "{found:?}");
    let mut restless = calm.clone();
    let points: Vec<Option<f64>> = (0..)
        .zip(calm.latency_p95.values())
        .map(|(n, value): (i64, &f64)| Some(value * (0.12 * noise(9, n / 12)).exp()))
        .collect();
    restless.latency_p95 = Series::new(calm.latency_p95.start(), STEP, &points).unwrap();
    let sees = prospect(&restless, at, 60, &thresholds).unwrap().smallest_seen[&SoakMetric::LatencyP95];
    assert!(sees.is_none_or(|sees| sees > p95 * 1.5), "{sees:?} {p95}");
    // An incident of one critical metric alone would have taken the cluster back.
    let mut incident = calm.clone();
    let points: Vec<Option<f64>> = (0..)
        .zip(calm.latency_p95.values())
        .map(|(n, value)| {
            let at = calm.latency_p95.start() + n * STEP;
            Some(if (CHANGE - 72_000..CHANGE - 64_800).contains(&at) { value * 4.0 } else { *value })
        })
        .collect();
    incident.latency_p95 = Series::new(calm.latency_p95.start(), STEP, &points).unwrap();
    assert!(prospect(&incident, at, 60, &thresholds).unwrap().false_rollbacks > 0.0);
    // Nothing is said of a past that is too short.
    let young = Timestamp::from_second(CHANGE - DAYS * 86_400 + 3_600).unwrap();
    assert_eq!(prospect(&calm, young, 60, &thresholds), None);
}

#[test]
fn the_point_in_which_the_soak_begins_is_no_part_of_it() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let moment = Moment {
        changed_at: at(CHANGE + 100),
        from: at(CHANGE + RESTART + 1),
        until: at(CHANGE + RESTART + 3_700),
        is_over: true,
    };
    let times = moment.times();
    assert_eq!(times.change, CHANGE);
    assert_eq!(times.settled, CHANGE + RESTART + STEP);
    assert_eq!(times.until, CHANGE + RESTART + 3_600);
    let whole = Moment { from: moment.from - SignedDuration::from_secs(1), ..moment };
    assert_eq!(whole.times().settled, CHANGE + RESTART);
}
