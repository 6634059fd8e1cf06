//! How far each cluster of a run has come, and what the run does next. One pure function decides for every gate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ClusterId, RollbackScope, Verdict};

/// Where one cluster stands inside the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not merged yet.
    Planned,
    /// Control plane and data plane are at the new version; the soak is on.
    Converged,
    /// The soak was judged a pass.
    Soaked,
    /// The post-check passed.
    Checked,
    /// Something said no; the way back is open.
    Failed,
    /// Back at the old version, verified.
    RolledBack,
    /// Something found no answer; a person must look.
    Unknown,
    /// Its pre-check said no, and the run goes on without it: nothing is changed in it.
    LeftOut,
}

/// What the run does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// Follow Flux and restart.
    Converge,
    /// Let it soak, look again.
    Soak,
    /// Check the state after the upgrade.
    PostCheck,
    /// Take the failed clusters back.
    Rollback,
    /// Settle: every cluster is healthy.
    Healthy,
    /// Settle: the failed clusters are back, the others healthy.
    RolledBack,
    /// Settle: stop and tell a person.
    Halt,
}

/// The phases of a run's clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Progress(pub BTreeMap<ClusterId, Phase>);

impl Progress {
    /// Every cluster before the merge.
    pub fn planned(clusters: impl IntoIterator<Item = ClusterId>) -> Self {
        Self(clusters.into_iter().map(|id| (id, Phase::Planned)).collect())
    }

    /// Clusters in one phase, in order.
    pub fn in_phase(&self, phase: Phase) -> Vec<ClusterId> {
        self.0.iter().filter(|(_, p)| **p == phase).map(|(id, _)| id.clone()).collect()
    }

    /// Takes in one gate's verdicts. Only clusters in `waiting` move, so a repeated gate changes nothing; those that
    /// pass get `passed`.
    pub fn apply(&mut self, verdicts: &[(ClusterId, Verdict)], waiting: Phase, passed: Phase) {
        for (id, verdict) in verdicts {
            if let Some(phase) = self.0.get_mut(id)
                && *phase == waiting
            {
                *phase = match verdict {
                    Verdict::Pass => passed,
                    Verdict::Fail => Phase::Failed,
                    Verdict::Unknown => Phase::Unknown,
                };
            }
        }
    }

    /// With scope `batch`, one failure takes every cluster that is not yet back.
    pub fn widen(&mut self, scope: RollbackScope) {
        let any_failed = self.0.values().any(|phase| *phase == Phase::Failed);
        if scope == RollbackScope::Batch && any_failed {
            for phase in
                self.0.values_mut().filter(|p| matches!(p, Phase::Converged | Phase::Soaked | Phase::Checked))
            {
                *phase = Phase::Failed;
            }
        }
    }

    /// A definite no is acted on first; then an open question stops the run; then the slowest cluster decides.
    pub fn next(&self) -> NextStep {
        let has = |phase| self.0.values().any(|p| *p == phase);
        if has(Phase::Failed) {
            NextStep::Rollback
        } else if has(Phase::Unknown) || self.0.values().all(|phase| *phase == Phase::LeftOut) {
            NextStep::Halt
        } else if has(Phase::Planned) {
            NextStep::Converge
        } else if has(Phase::Converged) {
            NextStep::Soak
        } else if has(Phase::Soaked) {
            NextStep::PostCheck
        } else if has(Phase::RolledBack) {
            NextStep::RolledBack
        } else {
            NextStep::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: usize) -> ClusterId {
        ClusterId::parse(&format!("c{n}")).unwrap()
    }

    fn progress(phases: &[Phase]) -> Progress {
        Progress(phases.iter().enumerate().map(|(n, p)| (id(n), *p)).collect())
    }

    #[test]
    fn the_whole_way_up() {
        let mut p = Progress::planned([id(0), id(1)]);
        assert_eq!(p.next(), NextStep::Converge);
        let all = |v| vec![(id(0), v), (id(1), v)];
        p.apply(&all(Verdict::Pass), Phase::Planned, Phase::Converged);
        assert_eq!(p.next(), NextStep::Soak);
        p.apply(&all(Verdict::Pass), Phase::Converged, Phase::Soaked);
        assert_eq!(p.next(), NextStep::PostCheck);
        p.apply(&all(Verdict::Pass), Phase::Soaked, Phase::Checked);
        assert_eq!(p.next(), NextStep::Healthy);
    }

    #[test]
    fn survivors_go_on_after_the_failed_ones_are_back() {
        let mut p = progress(&[Phase::Converged, Phase::Converged]);
        p.apply(&[(id(0), Verdict::Fail)], Phase::Converged, Phase::Soaked);
        assert_eq!(p.next(), NextStep::Rollback);
        p.apply(&[(id(0), Verdict::Pass)], Phase::Failed, Phase::RolledBack);
        assert_eq!(p.next(), NextStep::Soak);
        p.0.insert(id(1), Phase::Checked);
        assert_eq!(p.next(), NextStep::RolledBack);
    }

    #[test]
    fn scope_batch_takes_all_back() {
        let mut p = progress(&[Phase::Failed, Phase::Soaked, Phase::Checked, Phase::RolledBack]);
        p.widen(RollbackScope::Failed);
        assert_eq!(p.in_phase(Phase::Failed).len(), 1);
        p.widen(RollbackScope::Batch);
        assert_eq!(p.in_phase(Phase::Failed).len(), 3);
    }

    #[test]
    fn a_repeated_gate_changes_nothing() {
        let mut p = progress(&[Phase::RolledBack]);
        p.apply(&[(id(0), Verdict::Fail)], Phase::Converged, Phase::Soaked);
        assert_eq!(p, progress(&[Phase::RolledBack]));
    }

    fn any_phase() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Planned),
            Just(Phase::Converged),
            Just(Phase::Soaked),
            Just(Phase::Checked),
            Just(Phase::Failed),
            Just(Phase::RolledBack),
            Just(Phase::Unknown),
            Just(Phase::LeftOut)
        ]
    }

    proptest! {
        /// What bounds the loops of the machines: a phase that was asked about is left, and never entered again by a gate.
        #[test]
        fn a_gate_leaves_nobody_waiting(phases in proptest::collection::vec(any_phase(), 0..8), says in 0_usize..3) {
            let mut p = progress(&phases);
            let verdict = [Verdict::Pass, Verdict::Fail, Verdict::Unknown][says];
            for (waiting, passed) in [
                (Phase::Planned, Phase::Converged),
                (Phase::Converged, Phase::Soaked),
                (Phase::Soaked, Phase::Checked),
            ] {
                let all: Vec<_> = p.in_phase(waiting).into_iter().map(|id| (id, verdict)).collect();
                p.apply(&all, waiting, passed);
                prop_assert_eq!(p.in_phase(waiting), vec![]);
                prop_assert!(p.next() != NextStep::Converge);
            }
        }

        #[test]
        fn healthy_means_every_cluster_was_checked(phases in proptest::collection::vec(any_phase(), 0..8)) {
            let p = progress(&phases);
            let healthy = p.next() == NextStep::Healthy;
            let taken: Vec<Phase> = phases.iter().copied().filter(|x| *x != Phase::LeftOut).collect();
            prop_assert_eq!(healthy, !taken.is_empty() && taken.iter().all(|x| *x == Phase::Checked));
            if phases.contains(&Phase::Failed) {
                prop_assert_eq!(p.next(), NextStep::Rollback);
            }
        }
    }
}
