//! Batches of clusters made of real noise: metrics of a cluster, and clusters, are independent of each other.

use guard_domain::judge::{Evidence, Sign, grounds};
use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand_chacha::ChaCha8Rng;

use crate::dense::Case;

const CLUSTERS: usize = 12;
const METRICS: usize = 8;
const CRITICAL: usize = 3;
const BATCHES: usize = 2_000;

/// What is injected: a factor, into the first so many metrics of the first so many clusters.
struct Plan {
    words: &'static str,
    factor: f64,
    clusters: usize,
    /// The first metric that is touched, and how many.
    metrics: (usize, usize),
}

const PLANS: [Plan; 14] = [
    Plan { words: "nothing", factor: 1.0, clusters: 0, metrics: (0, 0) },
    Plan { words: "x1.2, one critical metric of one cluster", factor: 1.2, clusters: 1, metrics: (0, 1) },
    Plan { words: "x1.5, one critical metric of one cluster", factor: 1.5, clusters: 1, metrics: (0, 1) },
    Plan { words: "x2, one critical metric of one cluster", factor: 2.0, clusters: 1, metrics: (0, 1) },
    Plan { words: "x1.2, two metrics of one cluster", factor: 1.2, clusters: 1, metrics: (0, 2) },
    Plan { words: "x1.5, two metrics of one cluster", factor: 1.5, clusters: 1, metrics: (0, 2) },
    Plan { words: "x1.5, two other metrics of one cluster", factor: 1.5, clusters: 1, metrics: (4, 2) },
    Plan { words: "x1.2, two other metrics of one cluster", factor: 1.2, clusters: 1, metrics: (4, 2) },
    Plan { words: "x1.2, four metrics of one cluster", factor: 1.2, clusters: 1, metrics: (0, 4) },
    Plan { words: "x1.2, one critical metric of 4 clusters", factor: 1.2, clusters: 4, metrics: (0, 1) },
    Plan {
        words: "x1.1, one critical metric of all 12 clusters",
        factor: 1.1,
        clusters: 12,
        metrics: (0, 1),
    },
    Plan { words: "x1.2, one critical metric of 8 clusters", factor: 1.2, clusters: 8, metrics: (0, 1) },
    Plan {
        words: "x1.2, one critical metric of all 12 clusters",
        factor: 1.2,
        clusters: 12,
        metrics: (0, 1),
    },
    Plan { words: "x1.2, one other metric of all 12 clusters", factor: 1.2, clusters: 12, metrics: (5, 1) },
];

pub(crate) fn print(cases: &[Case]) {
    println!(
        "{BATCHES} batches of {CLUSTERS} clusters with {METRICS} metrics, {CRITICAL} of them critical.\n"
    );
    println!(
        "| injected | touched clusters taken back | untouched clusters taken back | batches with a touched (or, of none, any) cluster taken back |\n|---|---|---|---|"
    );
    let known: Vec<&Case> =
        cases.iter().filter(|case| !case.is_official && case.evidence.is_some()).collect();
    let Ok(weights) = WeightedIndex::new(known.iter().map(|case| case.weight)) else { return };
    for plan in &PLANS {
        let mut chance = ChaCha8Rng::seed_from_u64(8);
        let (mut touched, mut touched_all, mut others, mut others_all, mut batches) = (0, 0, 0, 0, 0);
        for _ in 0..BATCHES {
            let signs: Vec<Vec<Sign>> = (0..CLUSTERS)
                .map(|cluster| {
                    (0..METRICS)
                        .filter_map(|metric| {
                            let case = known.get(weights.sample(&mut chance))?;
                            let (first, count) = plan.metrics;
                            let is_touched =
                                cluster < plan.clusters && (first..first + count).contains(&metric);
                            let more = if is_touched { plan.factor.ln() } else { 0.0 };
                            case.evidence.as_ref().map(|evidence| sign(metric, evidence, more, case.margin))
                        })
                        .collect()
                })
                .collect();
            let found = grounds(&signs);
            let hit =
                |range: std::ops::Range<usize>| found.get(range).unwrap_or_default().iter().flatten().count();
            let (own, other) = (hit(0..plan.clusters), hit(plan.clusters..CLUSTERS));
            touched += own;
            touched_all += plan.clusters;
            others += other;
            others_all += CLUSTERS - plan.clusters;
            batches += usize::from(if plan.clusters == 0 { other > 0 } else { own > 0 });
        }
        println!(
            "| {} | {} | {} | {} |",
            plan.words,
            percent(touched, touched_all),
            percent(others, others_all),
            percent(batches, BATCHES)
        );
    }
}

pub(crate) fn sign(metric: usize, evidence: &Evidence, more: f64, margin: f64) -> Sign {
    let look = evidence.looks.last();
    let shift = look.map_or(f64::NAN, |look| look.shift[0] + more);
    let scale = look.map_or(f64::NAN, |look| look.scale[0]);
    Sign {
        metric,
        is_critical: metric < CRITICAL,
        strength: evidence.shifted(more, margin),
        z: shift / scale,
        shift: shift / margin,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
pub(crate) fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.2} %", part as f64 / whole as f64 * 100.0) }
}
