//! Batches of clusters made of real noise: metrics of a cluster, and clusters, are independent of each other.

use guard_domain::judge::{Evidence, Sign, grounds, pooled};
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
pub(crate) struct Plan {
    pub(crate) words: &'static str,
    factor: f64,
    clusters: usize,
    /// The first metric that is touched, and how many.
    metrics: (usize, usize),
    /// Clusters of the batch.
    of: usize,
}

pub(crate) const PLANS: [Plan; 15] = [
    Plan { words: "nothing", factor: 1.0, clusters: 0, metrics: (0, 0), of: CLUSTERS },
    Plan {
        words: "x1.2, one critical metric of one cluster",
        factor: 1.2,
        clusters: 1,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.5, one critical metric of one cluster",
        factor: 1.5,
        clusters: 1,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x2, one critical metric of one cluster",
        factor: 2.0,
        clusters: 1,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, two metrics of one cluster",
        factor: 1.2,
        clusters: 1,
        metrics: (0, 2),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.5, two metrics of one cluster",
        factor: 1.5,
        clusters: 1,
        metrics: (0, 2),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.5, two other metrics of one cluster",
        factor: 1.5,
        clusters: 1,
        metrics: (4, 2),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, two other metrics of one cluster",
        factor: 1.2,
        clusters: 1,
        metrics: (4, 2),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, four metrics of one cluster",
        factor: 1.2,
        clusters: 1,
        metrics: (0, 4),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, one critical metric of 4 clusters",
        factor: 1.2,
        clusters: 4,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.1, one critical metric of all 12 clusters",
        factor: 1.1,
        clusters: 12,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, one critical metric of 8 clusters",
        factor: 1.2,
        clusters: 8,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, one critical metric of all 12 clusters",
        factor: 1.2,
        clusters: 12,
        metrics: (0, 1),
        of: CLUSTERS,
    },
    Plan {
        words: "x1.2, one critical metric of all 8 of 8 clusters",
        factor: 1.2,
        clusters: 8,
        metrics: (0, 1),
        of: 8,
    },
    Plan {
        words: "x1.2, one other metric of all 12 clusters",
        factor: 1.2,
        clusters: 12,
        metrics: (5, 1),
        of: CLUSTERS,
    },
];

/// What was found in the batches of a plan; counts of clusters, and of batches.
#[derive(Debug, Default)]
pub(crate) struct Found {
    touched: (usize, usize),
    others: (usize, usize),
    batches: usize,
    doubted: usize,
}

impl Found {
    /// Share of the touched clusters that were taken back, 0 to 1.
    pub(crate) fn touched(&self) -> f64 {
        ratio(self.touched.0, self.touched.1)
    }

    /// The same of the others.
    pub(crate) fn others(&self) -> f64 {
        ratio(self.others.0, self.others.1)
    }
}

/// Makes the batches of a plan and asks the rules.
pub(crate) fn found(cases: &[Case], plan: &Plan, batches: usize) -> Found {
    let mut all = Found::default();
    let known: Vec<&Case> =
        cases.iter().filter(|case| !case.is_official && case.evidence.is_some()).collect();
    let Ok(weights) = WeightedIndex::new(known.iter().map(|case| case.weight)) else { return all };
    let mut chance = ChaCha8Rng::seed_from_u64(8);
    for _ in 0..batches {
        let signs: Vec<Vec<Sign>> = (0..plan.of)
            .map(|cluster| {
                (0..METRICS)
                    .filter_map(|metric| {
                        let case = known.get(weights.sample(&mut chance))?;
                        let (first, count) = plan.metrics;
                        let is_touched = cluster < plan.clusters && (first..first + count).contains(&metric);
                        let more = if is_touched { plan.factor.ln() } else { 0.0 };
                        case.evidence.as_ref().map(|evidence| sign(metric, evidence, more, case.margin))
                    })
                    .collect()
            })
            .collect();
        let grounds = grounds(&signs);
        let hit =
            |range: std::ops::Range<usize>| grounds.get(range).unwrap_or_default().iter().flatten().count();
        let (own, other) = (hit(0..plan.clusters), hit(plan.clusters..plan.of));
        all.touched = (all.touched.0 + own, all.touched.1 + plan.clusters);
        all.others = (all.others.0 + other, all.others.1 + plan.of - plan.clusters);
        all.batches += usize::from(if plan.clusters == 0 { other > 0 } else { own > 0 });
        if !pooled(&signs).is_empty() {
            all.doubted += plan.of - own - other;
        }
    }
    all
}

pub(crate) fn print(cases: &[Case]) {
    println!(
        "{BATCHES} batches of {CLUSTERS} clusters with {METRICS} metrics, {CRITICAL} of them critical.\n"
    );
    println!(
        "| injected | touched clusters taken back | untouched clusters taken back | not taken back, and no pass | batches with a touched (or, of none, any) cluster taken back |\n|---|---|---|---|---|"
    );
    for plan in &PLANS {
        let all = found(cases, plan, BATCHES);
        println!(
            "| {} | {} | {} | {} | {} |",
            plan.words,
            in_percent(all.touched()),
            in_percent(all.others()),
            percent(all.doubted, all.touched.1 + all.others.1),
            percent(all.batches, BATCHES)
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
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn in_percent(share: f64) -> String {
    if share.is_nan() { "-".to_owned() } else { format!("{:.2} %", share * 100.0) }
}

pub(crate) fn percent(part: usize, whole: usize) -> String {
    in_percent(ratio(part, whole))
}
