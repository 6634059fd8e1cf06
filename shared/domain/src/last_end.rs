//! What becomes of a run whose execution ended in the middle: which executions are part of it, when nothing of it can be
//! at work any more, and which end its record can be brought to.

use jiff::{SignedDuration, Timestamp};

use crate::{ClusterId, ClusterStatus, Direction, Phase, Plan, Progress, child_name};

/// Longer than any function that a state calls may run; the template's time-outs are below. An execution that ended may
/// leave a function at work behind it, which nobody can stop.
pub const LONGEST_FUNCTION: SignedDuration = SignedDuration::from_mins(5);

/// From when on nothing of an execution is at work any more.
pub fn quiet_from(ended: Timestamp) -> Timestamp {
    ended.saturating_add(LONGEST_FUNCTION).unwrap_or(Timestamp::MAX)
}

/// The end that the record of a dead run can be brought to, as far as the run itself had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastEnd {
    /// Nothing was merged: it is taken back, and the clusters are as they were.
    BeforeMerge,
    /// A change is on its way in the clusters, or half back. Only a person goes on from there.
    UnderWay,
    /// Every cluster was checked at the new version; only the settling was left.
    Healthy,
    /// Every failed cluster was verified at the old version, the others checked; only the settling was left.
    RolledBack,
}

impl LastEnd {
    /// Decides from the clusters' progress, their statuses in the registry, and whether a merge request of the run's own
    /// upgrade is known to have landed.
    pub fn of(progress: &Progress, statuses: &[ClusterStatus], has_landed: bool) -> Self {
        let has = |wanted: Phase| progress.0.values().any(|phase| *phase == wanted);
        let is_decided = |phase: &Phase| matches!(phase, Phase::Checked | Phase::RolledBack | Phase::LeftOut);
        if progress.0.values().all(is_decided) && (has(Phase::Checked) || has(Phase::RolledBack)) {
            return if has(Phase::RolledBack) { Self::RolledBack } else { Self::Healthy };
        }
        if has_landed || statuses.iter().any(|status| status.needs_an_owner()) {
            Self::UnderWay
        } else {
            Self::BeforeMerge
        }
    }
}

/// ARNs of the executions that a run may have started, by their names: they follow from the plan and the number of tries
/// of the way back, so none can be missing from a list. Most of them were never started.
pub fn children(root_arn: &str, plan: &Plan, rollbacks: u32) -> Vec<String> {
    let of = |machine: &str, subject: &str, direction: Direction, attempt: u32| {
        sibling(root_arn, machine, &child_name(&plan.run_id, subject, direction, attempt))
    };
    let ids: Vec<&ClusterId> = plan.clusters.iter().map(|planned| &planned.record.cluster_id).collect();
    let up = ids.iter().map(|id| of("cluster-converge", id.as_str(), Direction::Upgrade, 1));
    let back = (1..=rollbacks).flat_map(|attempt| {
        let nested = of("batch-rollback", plan.batch_id.as_str(), Direction::Rollback, attempt);
        let each =
            ids.iter().map(move |id| of("cluster-converge", id.as_str(), Direction::Rollback, attempt));
        std::iter::once(nested).chain(each)
    });
    match plan.direction {
        Direction::Upgrade => up.chain(back).flatten().collect(),
        Direction::Rollback => back.flatten().collect(),
    }
}

/// `arn:aws:states:REGION:ACCOUNT:execution:PREFIX-batch-upgrade:NAME` with another machine and name.
fn sibling(root_arn: &str, machine: &str, name: &str) -> Option<String> {
    let (rest, _) = root_arn.rsplit_once(':')?;
    let (head, own) = rest.rsplit_once(':')?;
    let prefix = ["batch-upgrade", "batch-rollback"].iter().find_map(|known| own.strip_suffix(known))?;
    Some(format!("{head}:{prefix}{machine}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures;

    fn progress(phases: &[Phase]) -> Progress {
        let id = |n: usize| ClusterId::parse(&format!("c{n}")).unwrap();
        Progress(phases.iter().enumerate().map(|(n, phase)| (id(n), *phase)).collect())
    }

    #[test]
    fn an_end_is_as_good_as_what_was_decided_and_no_better() {
        use ClusterStatus as S;
        use Phase as P;
        for (phases, statuses, has_landed, end) in [
            (
                &[P::Planned, P::Planned][..],
                &[S::MrCreated, S::PreCheckPassed][..],
                false,
                LastEnd::BeforeMerge,
            ),
            (
                &[P::Planned, P::LeftOut],
                &[S::PreCheckRunning, S::PreCheckFailed],
                false,
                LastEnd::BeforeMerge,
            ),
            (&[P::LeftOut, P::LeftOut], &[S::PreCheckFailed, S::PreCheckFailed], false, LastEnd::BeforeMerge),
            (&[P::Planned, P::Planned], &[S::MrCreated, S::MrCreated], true, LastEnd::UnderWay),
            (&[P::Planned, P::Planned], &[S::Upgrading, S::MrCreated], false, LastEnd::UnderWay),
            (&[P::Checked, P::Soaked], &[S::PostCheckRunning, S::PostCheckRunning], true, LastEnd::UnderWay),
            (&[P::Checked, P::Failed], &[S::PostCheckRunning, S::RollbackRequired], true, LastEnd::UnderWay),
            (&[P::Checked, P::LeftOut], &[S::Healthy, S::PreCheckFailed], true, LastEnd::Healthy),
            (&[P::Checked, P::Checked], &[S::Healthy, S::PostCheckRunning], true, LastEnd::Healthy),
            (
                &[P::Checked, P::RolledBack],
                &[S::Healthy, S::FailedUpgradeRolledBack],
                true,
                LastEnd::RolledBack,
            ),
            (&[], &[], false, LastEnd::BeforeMerge),
        ] {
            assert_eq!(LastEnd::of(&progress(phases), statuses, has_landed), end, "{phases:?} {statuses:?}");
        }
    }

    #[test]
    fn children_follow_from_the_plan() {
        let mut plan = fixtures::plan();
        let root = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:run-1";
        let count = plan.clusters.len();
        assert_eq!(children(root, &plan, 0).len(), count);
        let all = children(root, &plan, 2);
        assert_eq!(all.len(), count + 2 * (1 + count));
        let name = child_name(&plan.run_id, "test", Direction::Rollback, 2);
        let nested = format!("arn:aws:states:eu-west-1:123456789012:execution:guard-batch-rollback:{name}");
        assert!(all.contains(&nested), "{all:?}");
        assert!(all.iter().all(|arn| !arn.contains(":guard-batch-upgrade:")), "{all:?}");
        plan.direction = Direction::Rollback;
        let back = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-rollback:run-1";
        assert_eq!(children(back, &plan, 1).len(), 1 + count);
        assert_eq!(children("arn:of:something:else", &plan, 1), Vec::<String>::new());
    }
}
