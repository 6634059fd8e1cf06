//! The soak's verdict of one cluster: 8 metrics, 14 days of minutes, 250 placebos, 240 minutes of soak. The house allows
//! 200 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use guard_domain::judge::{BadDirection, Metric, MetricKind, Record, Series, Times, Tolerance, judge_metric};

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

criterion_group!(benches, verdict);
criterion_main!(benches);
