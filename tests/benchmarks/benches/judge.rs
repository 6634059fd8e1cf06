//! The soak's verdict of one cluster: 8 metrics, 14 days of minutes, 250 placebos, 240 minutes of soak. The house allows
//! 200 ms. And what one look of `judge-soak` decides: six metrics of a batch and its controls, nine days of five minutes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use guard_domain::ValidationConfig;
use guard_domain::judge::{BadDirection, Metric, MetricKind, Record, Series, Times, Tolerance, judge_metric};
use guard_domain::soak::{HISTORY_DAYS, MetricHistory, Moment, STEP, Soaked, judge, prospect};
use jiff::Timestamp;

const DAYS: i64 = 14;
const SOAK: i64 = 240 * 60;

/// A day's pattern and noise that is the same in every run.
fn series(seed: u64) -> Option<Series> {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let points: Vec<Option<f64>> = (0..DAYS * 1_440 + SOAK / 60)
        .map(|minute| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = f64::from(u32::try_from(state >> 33).unwrap_or(0)) / f64::from(u32::MAX);
            let hour =
                f64::from(i32::try_from(minute % 1_440).unwrap_or(0)) / 1_440.0 * std::f64::consts::TAU;
            Some((2.0 + hour.sin()) * (1.0 + 0.2 * noise))
        })
        .collect();
    Series::new(0, 60, &points).ok()
}

fn verdict(criterion: &mut Criterion) {
    let all: Vec<Series> = (0..8).filter_map(series).collect();
    let change = DAYS * 86_400;
    let times = Times { change, settled: change, until: change + SOAK };
    criterion.bench_function("verdict of one cluster, 8 metrics", |bencher| {
        bencher.iter(|| {
            for series in &all {
                let metric = Metric {
                    name: "p95",
                    kind: MetricKind::Latency,
                    bad: BadDirection::Up,
                    before: series,
                    after: series,
                    record: Record::UpToTheChange,
                };
                black_box(judge_metric(black_box(&metric), times, Tolerance::of(MetricKind::Latency)));
            }
        });
    });
}

/// One cluster's metrics, with an hour of soak behind an hour of restart.
fn history(seed: u64) -> Option<MetricHistory> {
    let part = |metric: u64| -> Option<Series> {
        let mut state = (seed * 8 + metric).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let points: Vec<Option<f64>> = (0..HISTORY_DAYS * 288 + 24)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = f64::from(u32::try_from(state >> 33).unwrap_or(0)) / f64::from(u32::MAX);
                Some(if metric == 1 { (3.0 * noise).round() } else { 5_000.0 * (1.0 + 0.1 * noise) })
            })
            .collect();
        Series::new(0, STEP, &points).ok()
    };
    Some(MetricHistory {
        requests: part(0)?,
        errors: part(1)?,
        latency_p95: part(2)?,
        latency_p99: part(3)?,
        proxy_cpu: part(4)?,
        proxy_memory: part(5)?,
    })
}

fn batch(criterion: &mut Criterion) {
    let config = ValidationConfig::default();
    let at = |second: i64| Timestamp::from_second(second).unwrap_or_default();
    let change = HISTORY_DAYS * 86_400;
    let all: Vec<MetricHistory> = (0..210).filter_map(history).collect();
    let soaked: Vec<Soaked<'_>> =
        all.iter().map(|one| Soaked { environment: "prod", history: Some(one) }).collect();
    let mut group = criterion.benchmark_group("look at a soak");
    group.sample_size(10);
    for (name, clusters, is_over) in [
        ("12 clusters, 10 controls, at the end", 12, true),
        ("200 clusters, 10 controls, at the end", 200, true),
        ("200 clusters, 10 controls, in between", 200, false),
    ] {
        let moment =
            Moment { changed_at: at(change), from: at(change + 3_600), until: at(change + 7_200), is_over };
        let (own, controls) = (&soaked[..clusters], &soaked[200..]);
        group.bench_function(name, |bencher| {
            bencher.iter(|| judge(black_box(own), controls, moment, &config));
        });
    }
    group.bench_function("what it will see, one cluster", |bencher| {
        bencher.iter(|| prospect(black_box(&all[0]), at(change), 60, &config.thresholds));
    });
    group.finish();
}

criterion_group!(benches, verdict, batch);
criterion_main!(benches);
