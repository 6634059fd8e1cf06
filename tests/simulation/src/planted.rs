//! Bugs that a test plants, one for each invariant: the check of the checker. A house has none until a test asks for one.

#[cfg(feature = "planted-bugs")]
use std::sync::{Arc, Mutex, PoisonError};

/// Something that GUARD, or what it stands on, does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Locks are given to whoever asks, and no write asks for its fence.
    LocksAreGivenAway,
    /// Clusters of other batches are read as healthy at any version.
    OtherBatchesLookDone,
    /// Clusters that were left in the middle are read as healthy.
    FailuresLookHealthy,
    /// Every merge request is opened once more, from a branch beside it.
    RequestsAreOpenedTwice,
    /// Every restart is asked for once more.
    RestartsAreRepeated,
    /// A cluster whose request was taken back keeps its status.
    PendingIsLost,
    /// The soak counts as passed when it begins.
    SoaksPassUnseen,
    /// Nothing is ever freed.
    LocksAreKept,
    /// A cluster is said to be back as soon as its way back begins.
    BackIsSaidEarly,
    /// No line of the audit log is kept.
    AuditIsLost,
}

/// The bug of a house, if any; none can be planted without the feature `planted-bugs`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Arc<Mutex<Option<Bug>>>,
}

#[cfg(feature = "planted-bugs")]
impl Planted {
    pub(crate) fn plant(&self, bug: Bug) {
        *self.bug.lock().unwrap_or_else(PoisonError::into_inner) = Some(bug);
    }

    pub(crate) fn is(&self, bug: Bug) -> bool {
        *self.bug.lock().unwrap_or_else(PoisonError::into_inner) == Some(bug)
    }
}

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    pub(crate) fn is(&self, _: Bug) -> bool {
        false
    }
}
