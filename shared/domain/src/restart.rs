//! Which workloads are restarted next, so that every proxy comes to the new version, once.
//!
//! The state is in the cluster itself: a pod template that carries this run's mark has been restarted by it. So a
//! second call, a lost reply or a crash in the middle never restarts a workload twice.

use crate::{Finding, IstioVersion, RunId, WorkloadFacts, WorkloadRef};

/// Progress of the restarts of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartStep {
    /// Restart these now.
    pub restart: Vec<WorkloadRef>,
    /// Workloads that need nothing more.
    pub done: usize,
    /// Workloads with proxies.
    pub total: usize,
    /// What is awaited, for people; empty when all is done.
    pub waiting_for: Vec<WorkloadRef>,
    /// Restarted workloads that did not come to the version: a definite no.
    pub findings: Vec<Finding>,
}

impl RestartStep {
    /// Every proxy is at the version.
    pub fn is_done(&self) -> bool {
        self.done == self.total && self.findings.is_empty()
    }
}

/// The mark of one run and direction, the value of the restart annotation.
pub fn mark(run_id: &RunId, direction: crate::Direction) -> String {
    format!("{run_id}/{}", direction.as_str())
}

/// Decides the next step. The first workload goes alone, as a canary; then at most `max_unavailable` are on the way at
/// the same time. A workload that is not ready already counts as on the way, whoever made it so, unless an earlier
/// restart of GUARD's left it so and it still has a wrong proxy.
pub fn next(
    cluster: &str,
    workloads: &[WorkloadFacts],
    target: &IstioVersion,
    mark: &str,
    max_unavailable: u32,
) -> RestartStep {
    let is_marked = |w: &WorkloadFacts| w.restart_mark.as_deref() == Some(mark);
    let is_done = |w: &WorkloadFacts| w.counts.is_complete() && w.pods_not_at(target) == 0;

    let done = workloads.iter().filter(|w| is_done(w)).count();
    let findings = workloads
        .iter()
        .filter(|w| is_marked(w) && w.counts.is_complete() && w.pods_not_at(target) > 0)
        .map(|w| {
            Finding::blocking(
                "PROXY_NOT_UPDATED",
                format!("{cluster}: {}", w.workload),
                format!("restarted and ready, but {} pods do not run proxy {target}", w.pods_not_at(target)),
                "look at the pod's injection labels and at istiod's injector",
            )
        })
        .collect::<Vec<_>>();
    // A workload that an earlier restart of GUARD's left broken is the first to be taken care of: on the way back it
    // waits for nothing but its old proxy.
    let is_stuck = |w: &WorkloadFacts| {
        !w.counts.is_complete() && !is_marked(w) && w.restart_mark.is_some() && w.pods_not_at(target) > 0
    };
    let on_the_way: Vec<WorkloadRef> = workloads
        .iter()
        .filter(|w| !w.counts.is_complete() && !is_stuck(w))
        .map(|w| w.workload.clone())
        .collect();
    let mut open: Vec<&WorkloadFacts> = workloads
        .iter()
        .filter(|w| is_stuck(w) || (!is_marked(w) && w.counts.is_complete() && w.pods_not_at(target) > 0))
        .collect();
    open.sort_by(|a, b| is_stuck(b).cmp(&is_stuck(a)).then_with(|| a.workload.cmp(&b.workload)));

    let canary_is_back = workloads.iter().any(|w| is_marked(w) && is_done(w));
    let width = if canary_is_back { max_unavailable.max(1) as usize } else { 1 };
    let room = if findings.is_empty() { width.saturating_sub(on_the_way.len()) } else { 0 };
    let restart: Vec<WorkloadRef> = open.iter().take(room).map(|w| w.workload.clone()).collect();
    let waiting_for = on_the_way.into_iter().chain(open.iter().map(|w| w.workload.clone())).collect();
    RestartStep { restart, done, total: workloads.len(), waiting_for, findings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use proptest::prelude::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn workload(n: usize, version: &str, mark: Option<&str>, is_ready: bool) -> WorkloadFacts {
        WorkloadFacts {
            workload: WorkloadRef {
                namespace: "shop".into(),
                kind: WorkloadKind::Deployment,
                name: format!("w{n:03}"),
            },
            counts: RolloutCounts {
                desired: 2,
                updated: 2,
                ready: if is_ready { 2 } else { 1 },
                total: 2,
                is_observed: true,
            },
            restart_mark: mark.map(Into::into),
            template: TemplateFacts::default(),
            proxies: vec![(Some(v(version)), 2)],
        }
    }

    fn go(workloads: &[WorkloadFacts], max: u32) -> RestartStep {
        next("c1", workloads, &v("1.30.5"), "run-1/upgrade", max)
    }

    #[test]
    fn the_first_workload_goes_alone() {
        let all: Vec<_> = (0..4).map(|n| workload(n, "1.29.3", None, true)).collect();
        let step = go(&all, 3);
        assert_eq!(step.restart.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["w000"]);
        assert!(!step.is_done());
    }

    #[test]
    fn nothing_more_starts_until_the_canary_is_back() {
        let mut all: Vec<_> = (0..4).map(|n| workload(n, "1.29.3", None, true)).collect();
        all[0] = workload(0, "1.30.5", Some("run-1/upgrade"), false);
        assert_eq!(go(&all, 3).restart, vec![]);
        all[0] = workload(0, "1.30.5", Some("run-1/upgrade"), true);
        assert_eq!(go(&all, 2).restart.len(), 2);
    }

    #[test]
    fn a_marked_workload_is_never_restarted_again() {
        let all = vec![workload(0, "1.29.3", Some("run-1/upgrade"), true), workload(1, "1.29.3", None, true)];
        let step = go(&all, 5);
        assert_eq!(step.restart, vec![]);
        assert_eq!(step.findings[0].code, "PROXY_NOT_UPDATED");
    }

    #[test]
    fn the_way_back_restarts_what_another_mark_restarted() {
        let all = vec![workload(0, "1.29.3", Some("run-1/rollback"), true)];
        assert_eq!(go(&all, 1).restart.len(), 1);
    }

    #[test]
    fn a_workload_that_the_way_up_left_broken_goes_back_first() {
        let all = vec![
            workload(0, "1.29.3", Some("run-1/rollback"), true),
            workload(1, "1.29.3", Some("run-1/rollback"), false),
            workload(2, "1.29.3", None, false),
        ];
        let step = go(&all, 1);
        assert_eq!(step.restart, vec![], "one that nobody of ours touched is on its way, whoever made it so");
        let step = go(&all[..2], 1);
        assert_eq!(step.restart.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["w001"]);
    }

    #[test]
    fn an_unknown_proxy_version_is_not_at_the_target() {
        let mut all = vec![workload(0, "1.30.5", None, true)];
        assert!(go(&all, 1).is_done());
        all[0].proxies = vec![(None, 2)];
        assert_eq!(go(&all, 1).restart.len(), 1);
    }

    #[test]
    fn a_cluster_without_proxies_is_done() {
        assert!(go(&[], 1).is_done());
    }

    proptest! {
        /// Whatever happens in which order, each workload is restarted at most once and never more are away than allowed.
        #[test]
        fn once_each_and_never_too_many(count in 1usize..12, max in 1u32..5, order in proptest::collection::vec(0usize..12, 0..200)) {
            let mut all: Vec<_> = (0..count).map(|n| workload(n, "1.29.3", None, true)).collect();
            let mut restarts = vec![0; count];
            for pick in order.into_iter().map(Some).chain((0..200).map(|_| None)) {
                let step = go(&all, max);
                for w in &step.restart {
                    let n = all.iter().position(|x| x.workload == *w).unwrap();
                    restarts[n] += 1;
                    all[n] = workload(n, "1.30.5", Some("run-1/upgrade"), false);
                }
                let away = all.iter().filter(|w| !w.counts.is_complete()).count();
                prop_assert!(away <= max as usize, "{} away", away);
                let back: Vec<usize> = (0..count).filter(|n| pick.is_none_or(|p| p == *n) && !all[*n].counts.is_complete()).collect();
                for n in back {
                    all[n] = workload(n, "1.30.5", Some("run-1/upgrade"), true);
                }
            }
            prop_assert!(restarts.iter().all(|n| *n == 1), "{:?}", restarts);
            prop_assert!(go(&all, max).is_done());
        }
    }
}
