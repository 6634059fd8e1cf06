//! What the restart of a cluster's proxies will be, as far as it can be said before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::{ClusterFacts, PolicyConfig, WorkloadFacts};

/// Counts, a prediction, and what stands out. For people; nothing is decided by it later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPlan {
    /// Workloads that are restarted.
    pub workloads: usize,
    /// Their pods.
    pub pods: u32,
    /// Minutes that it takes, predicted: each pod as long as `policy.restart_seconds_per_pod` says.
    pub minutes: u32,
    /// Workloads that have no pod for a moment.
    pub without_pods: Vec<String>,
    /// Workloads whose only pod is replaced by a second one.
    pub single: Vec<String>,
    /// Pods with proxies that GUARD does not restart, by their owners.
    pub not_restarted: Vec<String>,
}

impl RestartPlan {
    /// The plan for these workloads: the first alone as a canary, then `policy.max_unavailable_workloads` at the same time.
    /// A workload takes as many rounds as its pods need by its own strategy.
    pub fn of(workloads: &[WorkloadFacts], strays: &[String], policy: &PolicyConfig) -> Self {
        let mut open: Vec<&WorkloadFacts> = workloads.iter().filter(|one| !one.proxies.is_empty()).collect();
        open.sort_by(|a, b| a.workload.cmp(&b.workload));
        let seconds = |one: &&WorkloadFacts| {
            let rounds = one.counts.desired.div_ceil(one.template.rolling.width());
            u64::from(rounds) * u64::from(policy.restart_seconds_per_pod)
        };
        let mut durations = open.iter().map(seconds);
        let canary = durations.next().unwrap_or_default();
        let width = policy.max_unavailable_workloads.max(1) as usize;
        // When each of the places is free again; whoever is next takes the first.
        let mut free: BinaryHeap<Reverse<u64>> = (0..width).map(|_| Reverse(canary)).collect();
        let mut end = canary;
        for duration in durations {
            let Reverse(start) = free.pop().unwrap_or(Reverse(canary));
            end = end.max(start + duration);
            free.push(Reverse(start + duration));
        }
        let names = |is_meant: fn(&WorkloadFacts) -> bool| -> Vec<String> {
            open.iter().filter(|one| is_meant(one)).map(|one| one.workload.to_string()).collect()
        };
        Self {
            workloads: open.len(),
            pods: open.iter().map(|one| one.counts.desired).sum(),
            minutes: u32::try_from(end.div_ceil(60)).unwrap_or(u32::MAX),
            without_pods: names(has_gap),
            single: names(|one| one.counts.desired == 1 && !has_gap(one)),
            not_restarted: strays.to_vec(),
        }
    }

    /// One line.
    pub fn in_words(&self) -> String {
        format!(
            "to restart: {} workloads, {} pods, about {} minutes",
            self.workloads, self.pods, self.minutes
        )
    }
}

impl ClusterFacts {
    /// The plan for the cluster, where its workloads are known.
    pub fn restart_plan(&self, policy: &PolicyConfig) -> Option<RestartPlan> {
        let strays = self.strays.as_deref().unwrap_or_default();
        Some(RestartPlan::of(self.workloads.as_ref().ok()?, strays, policy))
    }
}

/// No pod is left at some moment: all may be missing at once, and none is there beyond them. A DaemonSet's pod is alone on
/// its node anyway.
fn has_gap(one: &WorkloadFacts) -> bool {
    let rolling = one.template.rolling;
    one.workload.kind != crate::WorkloadKind::DaemonSet
        && one.counts.desired > 0
        && rolling.unavailable >= one.counts.desired
        && rolling.surge == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::fixtures::{complete, healthy};
    use crate::{Rolling, WorkloadKind};

    fn workload(name: &str, kind: WorkloadKind, desired: u32, unavailable: u32, surge: u32) -> WorkloadFacts {
        let mut one = healthy(&"1.29.3".parse().unwrap()).workloads.unwrap().remove(0);
        (one.workload.name, one.workload.kind, one.counts) = (name.into(), kind, complete(desired));
        one.template.rolling = Rolling { unavailable, surge };
        one
    }

    fn plan(workloads: &[WorkloadFacts], at_once: u32, seconds: u32) -> RestartPlan {
        let policy = PolicyConfig {
            max_unavailable_workloads: at_once,
            restart_seconds_per_pod: seconds,
            ..PolicyConfig::default()
        };
        RestartPlan::of(workloads, &["batch/Job nightly".into()], &policy)
    }

    #[test]
    fn the_canary_goes_first_and_the_others_side_by_side() {
        use WorkloadKind::Deployment;
        let all = [
            workload("a", Deployment, 4, 1, 1),
            workload("b", Deployment, 6, 1, 0),
            workload("c", Deployment, 2, 0, 1),
            workload("d", Deployment, 3, 0, 1),
        ];
        // a alone: 2 rounds; then b (6) beside c (2) and d (3).
        let found = plan(&all, 2, 60);
        assert_eq!((found.workloads, found.pods, found.minutes), (4, 15, 8));
        assert_eq!(plan(&all, 1, 60).minutes, 13);
        assert_eq!(plan(&all, 9, 61).minutes, 9, "rounded up");
        assert_eq!(found.in_words(), "to restart: 4 workloads, 15 pods, about 8 minutes");
    }

    #[test]
    fn who_has_no_pod_for_a_moment_and_who_has_one_only() {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let found = plan(
            &[
                workload("ledger", StatefulSet, 1, 1, 0),
                workload("recreate", Deployment, 3, 3, 0),
                workload("single", Deployment, 1, 0, 1),
                workload("agent", DaemonSet, 1, 1, 0),
                workload("idle", Deployment, 0, 0, 1),
                workload("web", Deployment, 3, 1, 0),
            ],
            5,
            30,
        );
        assert_eq!(found.without_pods, ["shop/Deployment/recreate", "shop/StatefulSet/ledger"]);
        assert_eq!(found.single, ["shop/Deployment/single", "shop/DaemonSet/agent"]);
        assert_eq!(found.not_restarted, ["batch/Job nightly"]);
    }

    #[test]
    fn nothing_takes_no_time() {
        assert_eq!(plan(&[], 5, 30).minutes, 0);
    }

    proptest! {
        /// More places never make it longer, and never shorter than the longest workload.
        #[test]
        fn more_at_once_is_never_slower(pods in proptest::collection::vec(0u32..20, 1..30), at_once in 1u32..8) {
            let all: Vec<_> = pods
                .iter()
                .enumerate()
                .map(|(n, pods)| workload(&format!("w{n:02}"), WorkloadKind::Deployment, *pods, 1, 0))
                .collect();
            let minutes = plan(&all, at_once, 60).minutes;
            prop_assert!(minutes >= *pods.iter().max().unwrap_or(&0));
            prop_assert!(minutes <= plan(&all, 1, 60).minutes);
            prop_assert_eq!(plan(&all, 1, 60).minutes, pods.iter().sum::<u32>());
        }
    }
}
