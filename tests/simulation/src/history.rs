//! Everything that the stores took, in its order: what the invariants are checked on.

use std::sync::{Arc, Mutex, PoisonError};

use guard_domain::{ClusterId, ClusterStatus, IstioVersion};
use guard_tasks::{Lease, StatusMove};

/// One write that was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A batch and its clusters were taken, or asked for once more by their holder.
    Took {
        /// The lease that came of it.
        lease: Lease,
        /// The clusters.
        clusters: Vec<ClusterId>,
    },
    /// What a lease held was freed, if it held anything.
    Freed(Lease),
    /// A status moved.
    Moved {
        /// Under which lease.
        lease: Lease,
        /// The move.
        change: StatusMove,
    },
    /// A person wrote into the registry, past GUARD.
    ByHand {
        /// Whose row.
        cluster_id: ClusterId,
        /// Status and version that it has since; `None` where the row is gone.
        row: Option<(ClusterStatus, IstioVersion)>,
    },
    /// An entry of a run's record.
    Noted {
        /// Under which lease.
        lease: Lease,
        /// Its name.
        name: String,
    },
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Written>>>);

impl History {
    /// Another one that begins with the same.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.all())))
    }

    pub(crate) fn add(&self, written: Written) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(written);
    }

    /// What a lease held is held by its successor.
    pub(crate) fn renewed(&self, before: &Lease, lease: &Lease) {
        let took = self.all().into_iter().rev().find_map(|written| match written {
            Written::Took { lease, clusters } if lease == *before => Some(clusters),
            _ => None,
        });
        self.add(Written::Took { lease: lease.clone(), clusters: took.unwrap_or_default() });
    }

    /// What was written so far.
    pub(crate) fn all(&self) -> Vec<Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
