//! One noisy cluster cannot rule out what the clusters of its batch can together.

use super::MetricKind;
use super::evidence::LookEvidence;
use super::float;
use super::metric::{FAIL_AT, MetricVerdict, QUIET, SURE, Tolerance};

/// Whether a metric that is too close to call on one cluster is well by what all clusters of its batch show: nothing was
/// seen on this one, its record is whole, what it shows in the middle is tolerable, and what is intolerable is ruled out for the mean of them
/// all, with 95 %. Two clusters at least.
///
/// Clusters of a batch get the same change, so the mean over m of them has a noise smaller by the root of m. What happens
/// on one cluster alone is for its own strength to show.
pub fn settles(
    own: &MetricVerdict,
    batch: &[&MetricVerdict],
    tolerance: Tolerance,
    kind: MetricKind,
) -> bool {
    let (margin, limit) = tolerance.on(own.scale, kind);
    let last = |verdict: &MetricVerdict| -> Option<LookEvidence> {
        verdict.evidence.as_ref()?.looks.last().filter(|look| look.is_known()).cloned()
    };
    let Some(own_look) = last(own) else { return false };
    if !own.is_whole || own.strength >= FAIL_AT * QUIET || own_look.shift[0] > margin {
        return false;
    }
    // Of one scale and one length, or their shifts are no numbers of one kind.
    let alike = batch
        .iter()
        .filter(|other| std::mem::discriminant(&other.scale) == std::mem::discriminant(&own.scale));
    let looks: Vec<LookEvidence> = alike
        .filter_map(|other| last(other))
        .filter(|look| (look.minutes - own_look.minutes).abs() < 1e-9)
        .collect();
    if looks.len() < 2 {
        return false;
    }
    let count = float(looks.len());
    let mean = looks.iter().map(|look| look.shift[0]).sum::<f64>() / count;
    let variance = looks.iter().map(|look| look.scale[0].powi(2)).sum::<f64>() / count.powi(2);
    mean + SURE * variance.sqrt() < limit
}
