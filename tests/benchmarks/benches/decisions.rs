//! Decisions, which are pure: the byte-preserving edit beside what a script would do.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up its case should stop there")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use guard_domain::{FileContent, IstioVersion, manifest};
use serde_json::Value;

/// A HelmRelease with values of this many lines, as fleets have them.
fn helm_release(values: usize) -> String {
    let mut text = String::from(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: istiod\n  namespace: istio-system\n\
         spec:\n  interval: 10m\n  chart:\n    spec:\n      chart: istiod\n      version: \"1.29.8\" # keep in step\n      \
         sourceRef:\n        kind: HelmRepository\n        name: istio\n  values:\n",
    );
    for n in 0..values {
        writeln!(text, "    option{n}: {{enabled: true, weight: {n}}} # why").unwrap();
    }
    text
}

fn edit(criterion: &mut Criterion) {
    let (from, to) = (IstioVersion::parse("1.29.8").unwrap(), IstioVersion::parse("1.30.5").unwrap());
    for values in [20, 1_000] {
        let mut group =
            criterion.benchmark_group(format!("version in a HelmRelease of {} lines", values + 14));
        let files = [FileContent { path: "istiod.yaml".into(), content: helm_release(values) }];
        group.bench_function("guard: edit the bytes, read again, compare", |bencher| {
            bencher.iter(|| manifest::edit(black_box(&files), &manifest::Aim::new(&from, &to)).unwrap());
        });
        // What a script does, and what loses comments, quotes and order.
        group.bench_function("parse, set, dump", |bencher| {
            bencher.iter(|| {
                let mut data: Value = serde_saphyr::from_str(black_box(&files[0].content)).unwrap();
                data["spec"]["chart"]["spec"]["version"] = Value::from("1.30.5");
                serde_saphyr::to_string(&data).unwrap()
            });
        });
        group.finish();
    }
}

/// The files of a large batch, each cluster's judged together, as `open-merge-request` does.
fn fleet(criterion: &mut Criterion) {
    let (from, to) = (IstioVersion::parse("1.29.8").unwrap(), IstioVersion::parse("1.30.5").unwrap());
    let aim = manifest::Aim::new(&from, &to);
    let clusters: Vec<Vec<FileContent>> = (0..75)
        .map(|n| {
            let files = guard_world::istio_files(&format!("prod-{n}"), "1.29.8");
            files.into_iter().map(|(name, content)| FileContent { path: name.into(), content }).collect()
        })
        .collect();
    let mut group = criterion.benchmark_group("75 clusters, three files each");
    group.bench_function("edit", |bencher| {
        bencher.iter(|| {
            for files in &clusters {
                black_box(manifest::edit(black_box(files), &aim).unwrap());
            }
        });
    });
    let upgraded: Vec<manifest::Edited> =
        clusters.iter().map(|files| manifest::edit(files, &aim).unwrap()).collect();
    group.bench_function("revert", |bencher| {
        bencher.iter(|| {
            for edited in &upgraded {
                black_box(manifest::revert(black_box(&edited.files), &edited.changes).unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, edit, fleet);
criterion_main!(benches);
