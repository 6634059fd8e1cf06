//! A cluster's status and the one table of legal moves. Every write of a status is a compare-and-set on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a cluster stands, in the words of the registry table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterStatus {
    /// Nothing has begun, or a merge request was closed unmerged.
    Pending,
    /// The pre-checks are running.
    PreCheckRunning,
    /// The pre-checks passed.
    PreCheckPassed,
    /// The pre-checks found something that blocks.
    PreCheckFailed,
    /// The merge request is open and waits for a person.
    MrCreated,
    /// The merge request was merged: Flux, istiod, restarts and soak.
    Upgrading,
    /// The soak passed; the state after the upgrade is being checked.
    PostCheckRunning,
    /// At its version, checked.
    Healthy,
    /// The upgrade failed and the way back is not finished.
    RollbackRequired,
    /// Back at the old version, verified.
    FailedUpgradeRolledBack,
}

impl ClusterStatus {
    /// Every status, in the order of the happy path.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::PreCheckRunning,
        Self::PreCheckPassed,
        Self::PreCheckFailed,
        Self::MrCreated,
        Self::Upgrading,
        Self::PostCheckRunning,
        Self::Healthy,
        Self::RollbackRequired,
        Self::FailedUpgradeRolledBack,
    ];

    /// The legal next statuses. This is the one table; nothing else decides about moves.
    pub fn next(self) -> &'static [Self] {
        use ClusterStatus as S;
        match self {
            S::Pending | S::PreCheckFailed | S::FailedUpgradeRolledBack => &[S::PreCheckRunning],
            // A run that stopped before its merge request leaves clusters here; the next run checks again.
            S::PreCheckPassed => &[S::MrCreated, S::PreCheckRunning],
            S::PreCheckRunning => &[S::PreCheckPassed, S::PreCheckFailed],
            S::MrCreated => &[S::Upgrading, S::Pending],
            S::Upgrading => &[S::PostCheckRunning, S::RollbackRequired],
            // A run that goes on with one that ended in its post-checks follows Flux and the restarts once more.
            S::PostCheckRunning => &[S::Healthy, S::RollbackRequired, S::Upgrading],
            // A healthy cluster starts over with the next upgrade, or a person asks for the way back.
            S::Healthy => &[S::PreCheckRunning, S::RollbackRequired],
            S::RollbackRequired => &[S::FailedUpgradeRolledBack],
        }
    }

    /// True when this move is in the table.
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// True for a status that only a live run may own. Found without one, a person must look first.
    pub fn needs_an_owner(self) -> bool {
        matches!(self, Self::Upgrading | Self::PostCheckRunning | Self::RollbackRequired)
    }

    /// The registry's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::PreCheckRunning => "pre-check-running",
            Self::PreCheckPassed => "pre-check-passed",
            Self::PreCheckFailed => "pre-check-failed",
            Self::MrCreated => "mr-created",
            Self::Upgrading => "upgrading",
            Self::PostCheckRunning => "post-check-running",
            Self::Healthy => "healthy",
            Self::RollbackRequired => "rollback-required",
            Self::FailedUpgradeRolledBack => "failed-upgrade-rolled-back",
        }
    }
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ClusterStatus as S;

    #[test]
    fn the_happy_path_and_the_way_back_are_legal() {
        let up = [
            S::Pending,
            S::PreCheckRunning,
            S::PreCheckPassed,
            S::MrCreated,
            S::Upgrading,
            S::PostCheckRunning,
            S::Healthy,
        ];
        assert!(up.windows(2).all(|pair| pair[0].may_become(pair[1])));
        let back = [S::Upgrading, S::RollbackRequired, S::FailedUpgradeRolledBack, S::PreCheckRunning];
        assert!(back.windows(2).all(|pair| pair[0].may_become(pair[1])));
    }

    #[test]
    fn the_re_entries_are_those_of_the_plan() {
        let into_checks: Vec<S> = S::ALL.into_iter().filter(|s| s.may_become(S::PreCheckRunning)).collect();
        assert_eq!(
            into_checks,
            [S::Pending, S::PreCheckPassed, S::PreCheckFailed, S::Healthy, S::FailedUpgradeRolledBack]
        );
        assert!(S::MrCreated.may_become(S::Pending));
        assert!(S::Healthy.may_become(S::RollbackRequired));
    }

    #[test]
    fn nothing_is_healthy_without_a_post_check() {
        let before_healthy: Vec<S> = S::ALL.into_iter().filter(|s| s.may_become(S::Healthy)).collect();
        assert_eq!(before_healthy, [S::PostCheckRunning]);
        let before_merge: Vec<S> = S::ALL.into_iter().filter(|s| s.may_become(S::Upgrading)).collect();
        // Whose post-check began was merged; a run that goes on with it follows it once more.
        assert_eq!(before_merge, [S::MrCreated, S::PostCheckRunning]);
    }

    #[test]
    fn the_spelling_on_the_wire_is_the_registrys() {
        for status in S::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert!(!status.may_become(status), "{status} to itself is no move");
        }
    }
}
