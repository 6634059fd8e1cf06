//! What the clusters of a batch do together in ordinary times.
//!
//! A sum over clusters is quieter than each of them by the root of their number, if each moves by itself. They do not:
//! people sleep in all of them at the same hour. The pseudo-changes of the clusters are at the same moments, so the past
//! tells how far the sum moves when nothing is changed.

use std::collections::BTreeMap;

use super::cluster::Seen;
use super::metric::SoakMetric;

/// One cluster counts at most so many deviations in a sum, as in the rule over the batch.
const CLIP: f64 = 3.0;
/// Fewer sums say nothing about what is usual.
const MIN_SUMS: usize = 12;

/// By how much the sum over the batch moves more than that of clusters that have nothing in common, by metric.
#[derive(Debug, Default)]
pub(super) struct Shared(BTreeMap<SoakMetric, f64>);

impl Shared {
    /// At least 1: what clusters have in common never makes a sum surer.
    pub(super) fn of(&self, metric: SoakMetric) -> f64 {
        self.0.get(&metric).copied().unwrap_or(1.0)
    }
}

pub(super) fn shared(batch: &[Option<Seen>]) -> Shared {
    let of = |metric: SoakMetric| (metric, spread(&sums(batch, metric)).max(1.0));
    Shared(SoakMetric::ALL.into_iter().map(of).collect())
}

/// The sum of the clusters' deviations over the root of their number, at each pseudo-change.
fn sums(batch: &[Option<Seen>], metric: SoakMetric) -> Vec<f64> {
    let looks: Vec<_> = batch
        .iter()
        .flatten()
        .flat_map(|seen| &seen.found)
        .filter(|found| found.metric == metric)
        .filter_map(|found| found.verdict.evidence.as_ref()?.looks.last())
        .collect();
    let moments = looks.iter().map(|look| look.placebos.len()).max().unwrap_or(0);
    let sum = |moment: usize| {
        let each: Vec<f64> = looks
            .iter()
            .filter_map(|look| Some(look.placebos.get(moment)?[0] / look.scale[0]))
            .filter(|z| z.is_finite())
            .map(|z| z.clamp(-CLIP, CLIP))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 200 clusters")]
        let root = (each.len() as f64).sqrt();
        (each.len() > 1).then(|| each.iter().sum::<f64>() / root)
    };
    (0..moments).filter_map(sum).collect()
}

/// The deviation from nothing.
fn spread(sums: &[f64]) -> f64 {
    if sums.len() < MIN_SUMS {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred pseudo-changes")]
    let count = sums.len() as f64;
    (sums.iter().map(|sum| sum * sum).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn few_sums_say_nothing() {
        assert!((spread(&[9.0; 5]) - 1.0).abs() < 1e-12);
        assert!((spread(&[3.0; 50]) - 3.0).abs() < 1e-12);
    }
}
