//! Pods that do not become ready, or cannot be made at all, and why.

use jiff::Timestamp;

use crate::World;

/// What is wrong with a pod that does not become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It runs, and its readiness probe fails.
    NotReady,
    /// A container ends with an error again and again.
    CrashLoop,
    /// An image cannot be pulled.
    ImagePull,
    /// No node takes it.
    Unschedulable,
}

/// Why new pods of a workload do not become ready.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stall {
    /// Pods whose proxy has this version do. `None` means that none does.
    pub(crate) unless: Option<String>,
    pub(crate) trouble: Trouble,
}

impl Stall {
    pub(crate) fn holds(&self, proxy: Option<&str>) -> bool {
        self.unless.as_deref().is_none_or(|good| proxy != Some(good))
    }
}

/// Pods of a workload that the API server refused to make.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateFailures {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) count: u64,
    /// The hash of the template, which names the ReplicaSet.
    pub(crate) hash: String,
}

/// How often a container that crashes has been started again, and when it ended last: it runs for a second, and the
/// kubelet waits for ten, twenty, forty seconds, and at last for five minutes each time.
pub(crate) fn crashes(created: Timestamp, now: Timestamp) -> (u32, Timestamp) {
    let (mut restarts, mut ended, mut pause) = (0, crate::state::later(created, 3), 10);
    loop {
        let next = crate::state::later(ended, pause + 1);
        if next > now {
            return (restarts, ended);
        }
        (restarts, ended, pause) = (restarts + 1, next, (pause * 2).min(300));
    }
}

impl World {
    /// While stalled, istiod pods of any other version than today's never become ready.
    pub fn stall_istiod(&self, cluster_id: &str, stalled: bool) {
        self.stall_istiod_as(cluster_id, stalled.then_some(Trouble::NotReady));
    }

    /// The same, with what is wrong with them; `None` ends it.
    pub fn stall_istiod_as(&self, cluster_id: &str, trouble: Option<Trouble>) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        let today = cluster.istiod_version().map(str::to_owned);
        cluster.only_istiod = trouble.and(today);
        for key in cluster.istiods.clone() {
            if let Some(istiod) = cluster.workloads.get_mut(&key) {
                istiod.stall = trouble.map(|trouble| Stall { unless: None, trouble });
            }
        }
    }

    /// New pods of a workload never become ready, unless they have the sidecar version it has today.
    pub fn stall_workload(&self, cluster_id: &str, namespace: &str, name: &str) {
        self.stall_workload_as(cluster_id, namespace, name, Trouble::NotReady);
    }

    /// The same, with what is wrong with them.
    pub fn stall_workload_as(&self, cluster_id: &str, namespace: &str, name: &str, trouble: Trouble) {
        self.with_workload(cluster_id, namespace, name, |workload| {
            let unless = workload.pods.first().and_then(|pod| pod.proxy.clone());
            workload.stall = Some(Stall { unless, trouble });
        });
    }

    /// New pods of a workload never become ready, whatever their sidecar.
    pub fn stall_workload_for_good(&self, cluster_id: &str, namespace: &str, name: &str, trouble: Trouble) {
        self.with_workload(cluster_id, namespace, name, |workload| {
            workload.stall = Some(Stall { unless: None, trouble });
        });
    }

    /// Ends what stalls a workload.
    pub fn release_workload(&self, cluster_id: &str, namespace: &str, name: &str) {
        self.with_workload(cluster_id, namespace, name, |workload| workload.stall = None);
    }
}
