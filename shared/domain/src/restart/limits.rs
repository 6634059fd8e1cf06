//! How many may be on the way at the same time.

use std::collections::BTreeMap;

use super::Stand;
use crate::{PolicyConfig, WorkloadFacts};

/// What is taken already, in the cluster and in each namespace.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    workloads: u32,
    pods: u32,
}

/// Room for more restarts.
#[derive(Debug)]
pub(super) struct Room<'a> {
    policy: &'a PolicyConfig,
    cluster: Taken,
    namespaces: BTreeMap<&'a str, Taken>,
}

impl<'a> Room<'a> {
    /// What is left beside the workloads that are on the way, whoever made them so.
    pub(super) fn left(policy: &'a PolicyConfig, stands: &[(&'a WorkloadFacts, Stand)]) -> Self {
        let mut room = Self { policy, cluster: Taken::default(), namespaces: BTreeMap::new() };
        for (workload, stand) in stands {
            let is_moving = matches!(stand, Stand::OnItsWay | Stand::Failed(_));
            let missing = missing(workload);
            let pods = if is_moving { missing.max(taken_by(workload)) } else { missing };
            let here = room.namespaces.entry(&workload.workload.namespace).or_default();
            for taken in [&mut room.cluster, here] {
                taken.workloads += u32::from(is_moving || matches!(stand, Stand::Open { is_broken: true }));
                taken.pods += pods;
            }
        }
        room
    }

    /// Takes the room of a restart, if there is any. What is broken already has taken its own.
    pub(super) fn take(&mut self, workload: &'a WorkloadFacts, is_broken: bool) -> bool {
        let more = taken_by(workload).saturating_sub(missing(workload));
        let (workloads, policy) = (u32::from(!is_broken), self.policy);
        let here = self.namespaces.entry(&workload.workload.namespace).or_default();
        // A broken one is among those on the way; beside others it may still need room for itself.
        let is_free = self.cluster.workloads + workloads <= policy.max_unavailable_workloads.max(1)
            && here.workloads + workloads <= policy.max_unavailable_workloads_per_namespace.max(1)
            && self.cluster.pods + more <= policy.max_unavailable_pods
            && here.pods + more <= policy.max_unavailable_pods_per_namespace;
        if is_free {
            for taken in [&mut self.cluster, here] {
                taken.workloads += workloads;
                taken.pods += more;
            }
        }
        is_free
    }
}

/// Pods that its restart takes away at once, by its own strategy. With OnDelete GUARD itself evicts one at a time.
pub(crate) fn taken_by(workload: &WorkloadFacts) -> u32 {
    let most = if workload.template.is_on_delete { 1 } else { workload.template.rolling.unavailable };
    most.min(workload.counts.desired)
}

/// Pods that it wants and does not have.
fn missing(workload: &WorkloadFacts) -> u32 {
    workload.counts.desired.saturating_sub(workload.counts.ready)
}
