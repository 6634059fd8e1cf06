//! From the metrics of clusters to their verdicts: what is enough for a rollback.
//!
//! One metric fails by chance more often than a cluster may. So one alone must be critical and loud; quieter ones must
//! agree, on one cluster or on two; and what all clusters of a batch show a little of is seen in their sum. Such a sum
//! takes back those that show it themselves.

use super::float;
use super::spread::median;

/// A critical metric alone.
pub const CRITICAL: f64 = 5.0;
/// One of two metrics of one cluster,
pub const TOGETHER: f64 = 3.0;
/// and the other. What reaches the first by chance is an incident of one metric, as a rule; a fault shows in a second one
/// a little at least. Measured against two alike, their sum and their product: see docs/judge.md.
pub const SECOND: f64 = 1.0;
/// One metric on each of two clusters of the batch.
pub const TWICE: f64 = 3.5;
/// One metric over all clusters of the batch, in deviations of the sum.
pub const POOLED: f64 = 4.0;
/// Less than this is none, as a share of what is tolerable: in the middle of the clusters, and on one that is taken back
/// for what they show in sum.
const POOLED_PART: f64 = 0.5;
/// One cluster counts at most so much in the sum.
const CLIP: f64 = 3.0;

/// What one metric of one cluster says, for the rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sign {
    /// Which metric: the same number on all clusters.
    pub metric: usize,
    /// One alone may be enough.
    pub is_critical: bool,
    /// See [`super::Evidence::strength`].
    pub strength: f64,
    /// The shift of the mean in its own deviations, positive is worse; NaN where unknown.
    pub z: f64,
    /// The shift in what is tolerable: 1 is just tolerable.
    pub shift: f64,
}

/// Why a cluster is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// One critical metric.
    Critical(usize),
    /// Two metrics together, the stronger first.
    Together(usize, usize),
    /// The same metric on others of the batch too.
    Twice(usize),
    /// All clusters of the batch show it in sum, and this one half of what is tolerable at least.
    Pooled(usize),
}

impl Ground {
    /// As a sentence.
    pub fn words(self, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Critical(metric) => {
                format!("{} alone is enough: strength {CRITICAL} or more", name(metric))
            }
            Self::Together(one, other) => {
                format!(
                    "{} and {} together are enough: strength {TOGETHER} or more, and {SECOND} or more",
                    name(one),
                    name(other)
                )
            }
            Self::Twice(metric) => {
                format!(
                    "{} is worse on others of the batch too: strength {TWICE} or more on each",
                    name(metric)
                )
            }
            Self::Pooled(metric) => {
                format!(
                    "{} is worse over all clusters of the batch, more than {POOLED} deviations, and here too",
                    name(metric)
                )
            }
        }
    }
}

/// How many clusters of a batch must show the same metric: two of a dozen are no chance, and of two hundred healthy ones
/// two are. One healthy metric in 300 reaches [`TWICE`]; with these numbers fewer than one batch in 400 does by chance.
fn enough(clusters: usize) -> usize {
    2 + clusters / 25
}

/// For each cluster of a batch, why it is taken back; `None` where nothing is enough.
pub fn grounds(clusters: &[Vec<Sign>]) -> Vec<Option<Ground>> {
    let pooled = pooled(clusters);
    clusters
        .iter()
        .enumerate()
        .map(|(n, signs)| {
            let others =
                || clusters.iter().enumerate().filter(move |(m, _)| *m != n).flat_map(|(_, signs)| signs);
            let twice = signs.iter().filter(|sign| sign.strength >= TWICE).find(|sign| {
                let alike = others().filter(|other| other.metric == sign.metric && other.strength >= TWICE);
                alike.count() + 1 >= enough(clusters.len())
            });
            let mut strongest: Vec<&Sign> = signs.iter().collect();
            strongest.sort_by(|one, other| other.strength.total_cmp(&one.strength));
            let critical = signs.iter().find(|sign| sign.is_critical && sign.strength >= CRITICAL);
            let shown = signs.iter().find(|sign| sign.shift > POOLED_PART && pooled.contains(&sign.metric));
            match (critical, strongest.as_slice()) {
                (Some(sign), _) => Some(Ground::Critical(sign.metric)),
                (None, [one, other, ..]) if one.strength >= TOGETHER && other.strength >= SECOND => {
                    Some(Ground::Together(one.metric, other.metric))
                }
                _ => twice
                    .map(|sign| Ground::Twice(sign.metric))
                    .or(shown.map(|sign| Ground::Pooled(sign.metric))),
            }
        })
        .collect()
}

/// The metrics that all clusters of a batch of two or more show a little of. A cluster without grounds beside one of these
/// got the same change and does not show it: that is no pass.
pub fn pooled(clusters: &[Vec<Sign>]) -> Vec<usize> {
    let mut metrics: Vec<usize> = clusters.iter().flatten().map(|sign| sign.metric).collect();
    metrics.sort_unstable();
    metrics.dedup();
    metrics.retain(|metric| {
        let known: Vec<&Sign> =
            clusters.iter().flatten().filter(|sign| sign.metric == *metric && !sign.z.is_nan()).collect();
        let sum: f64 = known.iter().map(|sign| sign.z.clamp(-CLIP, CLIP)).sum();
        let mut shifts: Vec<f64> = known.iter().map(|sign| sign.shift).collect();
        known.len() >= 2 && sum / float(known.len()).sqrt() > POOLED && median(&mut shifts) > POOLED_PART
    });
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(metric: usize, strength: f64) -> Sign {
        Sign { metric, is_critical: metric == 0, strength, z: strength, shift: strength / 3.0 }
    }

    fn ground(signs: &[Sign]) -> Option<Ground> {
        grounds(&[signs.to_vec()])[0]
    }

    #[test]
    fn a_ground_names_its_metrics_and_numbers() {
        let name = |metric: usize| format!("metric {metric}");
        for (ground, words) in [
            (Ground::Critical(1), "metric 1 alone is enough: strength 5 or more"),
            (
                Ground::Together(2, 1),
                "metric 2 and metric 1 together are enough: strength 3 or more, and 1 or more",
            ),
            (Ground::Twice(1), "metric 1 is worse on others of the batch too: strength 3.5 or more on each"),
            (
                Ground::Pooled(1),
                "metric 1 is worse over all clusters of the batch, more than 4 deviations, and here too",
            ),
        ] {
            assert_eq!(ground.words(name), words);
        }
    }

    #[test]
    fn one_alone_must_be_critical_and_loud() {
        assert_eq!(ground(&[sign(0, 5.0), sign(1, 0.0)]), Some(Ground::Critical(0)));
        assert_eq!(ground(&[sign(0, 4.9), sign(1, 0.9)]), None);
        assert_eq!(ground(&[sign(1, 50.0)]), None);
    }

    #[test]
    fn two_together_may_be_quieter() {
        assert_eq!(ground(&[sign(1, 3.0), sign(2, 1.0)]), Some(Ground::Together(1, 2)));
        assert_eq!(ground(&[sign(1, 1.5), sign(2, 0.0), sign(3, 3.5)]), Some(Ground::Together(3, 1)));
        assert_eq!(ground(&[sign(1, 2.9), sign(2, 2.9), sign(3, 2.9)]), None);
        assert_eq!(ground(&[sign(1, 4.0), sign(2, 0.9)]), None);
        let apart = grounds(&[vec![sign(1, 3.0)], vec![sign(2, 3.0)]]);
        assert_eq!(apart, [None, None]);
    }

    #[test]
    fn the_same_metric_on_two_clusters_takes_both_back_and_no_third() {
        let calm = Sign { z: -1.0, shift: -0.1, ..sign(1, 0.0) };
        let found = grounds(&[vec![sign(1, 3.5)], vec![calm], vec![sign(1, 3.6)]]);
        assert_eq!(found, [Some(Ground::Twice(1)), None, Some(Ground::Twice(1))]);
        // Of a hundred clusters two do by chance, and six do not.
        let of_hundred = |worse: usize| {
            let signs: Vec<Vec<Sign>> =
                (0..100).map(|n| vec![if n < worse { sign(1, 3.5) } else { calm }]).collect();
            grounds(&signs).iter().flatten().count()
        };
        assert_eq!((of_hundred(2), of_hundred(5), of_hundred(6)), (0, 0, 6));
    }

    #[test]
    fn a_little_everywhere_is_seen_in_sum() {
        let little = Sign { z: 1.5, shift: 0.6, ..sign(1, 1.5) };
        let found = grounds(&vec![vec![little]; 8]);
        assert!(found.iter().all(|ground| *ground == Some(Ground::Pooled(1))), "{found:?}");
        assert_eq!(pooled(&vec![vec![little]; 8]), [1]);
        // At the bars is not above them: four times two deviations over the root of four, and half of what is tolerable.
        assert!(pooled(&vec![vec![Sign { z: 2.0, ..little }]; 4]).is_empty());
        assert_eq!(pooled(&vec![vec![Sign { z: 2.1, ..little }]; 4]), [1]);
        assert!(pooled(&vec![vec![Sign { shift: 0.5, ..little }]; 8]).is_empty());
        // Who does not show it stays, whatever the others do; and so does who cannot say.
        for other in [Sign { z: 0.5, shift: 0.5, ..little }, Sign { z: f64::NAN, shift: f64::NAN, ..little }]
        {
            let mut most = vec![vec![little]; 8];
            most.push(vec![other]);
            let found = grounds(&most);
            assert_eq!(found.iter().flatten().count(), 8, "{found:?}");
            assert_eq!((found.last(), pooled(&most).as_slice()), (Some(&None), [1].as_slice()));
        }
        // Less than half of what is tolerable is none, however sure; and four of them are not sure.
        let small = Sign { shift: 0.4, ..little };
        assert!(grounds(&vec![vec![small]; 8]).iter().all(Option::is_none));
        assert!(grounds(&vec![vec![little]; 4]).iter().all(Option::is_none));
        // One wild cluster is no batch.
        let calm = Sign { z: 0.0, shift: 0.0, ..sign(1, 0.0) };
        let wild = Sign { z: 100.0, shift: 50.0, ..sign(1, 100.0) };
        assert!(grounds(&[vec![wild], vec![calm], vec![calm]]).iter().all(Option::is_none));
        assert!(pooled(&[vec![Sign { z: 50.0, shift: 9.0, ..little }]]).is_empty());
    }
}
