//! The workloads that go first: one of each shape, so that what fails fails there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Restart, Stand};
use crate::{Finding, WorkloadFacts, WorkloadRef};

/// Workloads that are restarted before the others, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Canaries(pub Vec<Canary>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which one.
    pub workload: WorkloadRef,
    /// Its mark was seen, so that its loss can be.
    pub was_marked: bool,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// These are next.
    First(Vec<WorkloadRef>),
    /// They are back, and must stay so until then.
    Watch(Timestamp),
    /// All others.
    Others,
}

impl Canaries {
    /// One workload of each shape: kind, native or classic sidecar, operating systems of its nodes (istio#49221, istio#50660:
    /// upgrades that broke one of these alone). The smallest of each, since it is the first to suffer; what an earlier restart
    /// left broken before that.
    pub(super) fn choose(stands: &[(&WorkloadFacts, Stand)]) -> Self {
        let mut shapes = BTreeMap::new();
        for (workload, stand) in stands {
            let Stand::Open { is_broken } = stand else { continue };
            let shape = (workload.workload.kind, workload.is_native, &workload.systems);
            let rank = (!is_broken, workload.counts.desired, &workload.workload);
            let best = shapes.entry(shape).or_insert(rank);
            *best = (*best).min(rank);
        }
        let mut chosen: Vec<_> = shapes.into_values().collect();
        chosen.sort();
        let of =
            |(_, _, workload): (_, _, &WorkloadRef)| Canary { workload: workload.clone(), was_marked: false };
        Self(chosen.into_iter().map(of).collect())
    }

    /// What is seen now is remembered.
    pub(super) fn seen(mut self, restart: &Restart<'_>) -> Self {
        let is_marked = |canary: &Canary| {
            restart
                .facts
                .workloads
                .iter()
                .any(|one| one.workload == canary.workload && restart.is_marked(one))
        };
        for canary in &mut self.0 {
            canary.was_marked |= is_marked(canary);
        }
        self
    }

    /// The first alone, then the others of them, then a while of watching.
    pub(super) fn turn(&self, restart: &Restart<'_>, stands: &[(&WorkloadFacts, Stand)]) -> Turn {
        let of = |canary: &Canary| stands.iter().find(|(one, _)| one.workload == canary.workload);
        // One that was deleted meanwhile, or cannot be restarted any more, holds nobody up.
        let known: Vec<_> = self.0.iter().filter_map(of).collect();
        let is_back =
            |(_, stand): &&&(&WorkloadFacts, Stand)| matches!(stand, Stand::Done | Stand::Cannot(_));
        let Some(first) = known.first() else { return Turn::Others };
        if !is_back(&first) {
            return Turn::First(vec![first.0.workload.clone()]);
        }
        if !known.iter().all(|one| is_back(&one)) {
            return Turn::First(known.iter().map(|(workload, _)| workload.workload.clone()).collect());
        }
        let marked = known.iter().filter(|(workload, _)| restart.is_marked(workload));
        let Some(ready) = marked.filter_map(|(workload, _)| workload.ready_since).max() else {
            return Turn::Others;
        };
        let until = ready + SignedDuration::from_mins(restart.policy.canary_watch_minutes.into());
        let has_more =
            stands.iter().any(|(_, stand)| matches!(stand, Stand::Open { .. } | Stand::Blocked(_)));
        if restart.now < until && has_more { Turn::Watch(until) } else { Turn::Others }
    }

    /// A mark that is gone was taken away by somebody: the pods were, or will be, replaced a second time, and so would those
    /// of every other workload. A template without a mark says nothing by itself; pods that were made with it do, and so does
    /// a canary on which it was seen.
    pub(super) fn lost(&self, restart: &Restart<'_>, stands: &[(&WorkloadFacts, Stand)]) -> Option<Finding> {
        let was_seen = |workload: &WorkloadFacts| {
            self.0.iter().any(|canary| canary.was_marked && canary.workload == workload.workload)
        };
        let is_lost = |(workload, _): &&(&WorkloadFacts, Stand)| {
            let was_marked = workload.pod_marks.contains(restart.mark) || was_seen(workload);
            was_marked && !restart.is_marked(workload)
        };
        let (workload, _) = stands.iter().find(is_lost)?;
        Some(Finding::unknown(
            "RESTART_MARK_LOST",
            format!("{}: {}", restart.cluster, workload.workload),
            "somebody took GUARD's mark out of its pod template, which replaces its pods a second time",
            "find out who writes the template (managedFields): Flux takes away fields of managers that it does not know only \
             where it is told to; restarting the others would replace their pods twice, too",
        ))
    }
}
