//! State machines: read, and run over a whole simulated batch.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up its case should stop there")]

use criterion::{Criterion, criterion_group, criterion_main};
use guard_asl::lint;
use guard_simulation::{Scenario, Story, lint_rules, machines};

fn read(criterion: &mut Criterion) {
    criterion.bench_function("parse the four machines", |bencher| bencher.iter(|| machines().unwrap()));
    let (all, rules) = (machines().unwrap(), lint_rules().unwrap());
    criterion.bench_function("lint the four machines", |bencher| {
        bencher.iter(|| all.iter().map(|machine| lint(machine, &rules).len()).sum::<usize>());
    });
}

fn stories(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("one batch of 5 clusters, plan to end");
    group.sample_size(10);
    for scenario in [Scenario::Clean, Scenario::Regression] {
        group.bench_function(scenario.name(), |bencher| {
            bencher.iter(|| {
                let story = Story::with_options(scenario, 5, 1, None, None).unwrap();
                runtime.block_on(story.play()).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read, stories);
criterion_main!(benches);
