//! What a test asks of the whole course of a story: which rolls began, and how bad it was at the worst moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::World;
use crate::cluster::{Census, Cluster, numbers};
use crate::spec::WorkloadKind;
use crate::workload::{Key, Role, Workload};

/// The pod template's annotation that holds GUARD's mark.
const MARK: &str = "guard.istio.io/restart";

/// Something that happened to a workload's pods: a new template, or an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// When.
    pub at: Timestamp,
    /// The workload's kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The template's annotation `guard.istio.io/restart` from then on.
    pub mark: Option<String>,
    /// How many of its pods had each proxy version before.
    pub proxies: BTreeMap<String, usize>,
    /// The new template went to no pod by itself: the workload is paused, or its strategy is `OnDelete`.
    pub waits: bool,
}

/// A pod that was evicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// When.
    pub at: Timestamp,
    /// Its namespace.
    pub namespace: String,
    /// Its workload.
    pub workload: String,
    /// Its name.
    pub pod: String,
    /// Its proxy's version.
    pub proxy: Option<String>,
}

/// How much was out of order at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// Pods that are wanted and not ready.
    pub pods: usize,
    /// Workloads that roll, or of which a pod is not ready.
    pub workloads: usize,
}

impl Disturbance {
    fn worst(self, other: Self) -> Self {
        Self { pods: self.pods.max(other.pods), workloads: self.workloads.max(other.workloads) }
    }
}

/// The worst moments of a cluster so far. Pods and workloads need not be of the same moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorstMoments {
    /// Of the whole cluster.
    pub cluster: Disturbance,
    /// Of each namespace.
    pub namespaces: BTreeMap<String, Disturbance>,
}

/// What one workload adds to the sums.
#[derive(Debug, Clone, Default, PartialEq)]
struct Share {
    proxies: Census,
    /// Of whatever reason.
    unavailable: usize,
    /// Of an application that rolls or whose pods were evicted.
    disturbance: Disturbance,
    sidecars: Census,
}

impl Share {
    fn of(workload: &Workload) -> Self {
        let unavailable = workload.unavailable();
        // Gateways and istiod are rolled by their charts, which nobody's restart is.
        let is_meant = workload.is_application() && (workload.driven || workload.rolling);
        let disturbance =
            if is_meant { Disturbance { pods: unavailable, workloads: 1 } } else { Disturbance::default() };
        let proxies = proxies(workload);
        // A gateway comes with its chart, long before anybody restarts a sidecar.
        let sidecars = if workload.is_application() { proxies.clone() } else { Census::new() };
        Self { proxies, unavailable, disturbance, sidecars }
    }
}

fn proxies(workload: &Workload) -> Census {
    let mut proxies = Census::new();
    for version in workload.pods.iter().filter_map(|pod| pod.proxy.as_deref()) {
        match proxies.get_mut(version) {
            Some(count) => *count += 1,
            None => _ = proxies.insert(version.to_owned(), 1),
        }
    }
    proxies
}

/// The sums over all workloads, kept by adding what changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    shares: BTreeMap<Key, Share>,
    pub(crate) proxies: Census,
    pub(crate) sidecars: Census,
    pub(crate) unavailable: usize,
    now: Disturbance,
    by_namespace: BTreeMap<String, Disturbance>,
    pub(crate) worst: WorstMoments,
    pub(crate) rolls: Vec<Roll>,
    pub(crate) evictions: Vec<Eviction>,
}

impl Tally {
    /// Counts a workload as it is now in the place of what it was.
    pub(crate) fn count(&mut self, workload: &Workload) {
        let share = Share::of(workload);
        if self.shares.get(&workload.key) == Some(&share) {
            return;
        }
        self.leave(&workload.key);
        for (version, count) in &share.proxies {
            *self.proxies.entry(version.clone()).or_default() += count;
        }
        for (version, count) in &share.sidecars {
            *self.sidecars.entry(version.clone()).or_default() += count;
        }
        self.unavailable += share.unavailable;
        let disturbance = share.disturbance;
        self.now.pods += disturbance.pods;
        self.now.workloads += disturbance.workloads;
        self.shares.insert(workload.key.clone(), share);
        if disturbance == Disturbance::default() {
            return;
        }
        let here = self.by_namespace.entry(workload.namespace().to_owned()).or_default();
        here.pods += disturbance.pods;
        here.workloads += disturbance.workloads;
        let here = *here;
        self.worst.cluster = self.worst.cluster.worst(self.now);
        let worst = self.worst.namespaces.entry(workload.namespace().to_owned()).or_default();
        *worst = worst.worst(here);
    }

    /// Counts a workload no longer.
    pub(crate) fn leave(&mut self, key: &Key) {
        let Some(share) = self.shares.remove(key) else { return };
        for (sums, counts) in [(&mut self.proxies, &share.proxies), (&mut self.sidecars, &share.sidecars)] {
            for (version, count) in counts {
                if let Some(sum) = sums.get_mut(version) {
                    *sum = sum.saturating_sub(*count);
                }
            }
            sums.retain(|_, count| *count > 0);
        }
        self.unavailable = self.unavailable.saturating_sub(share.unavailable);
        self.now.pods = self.now.pods.saturating_sub(share.disturbance.pods);
        self.now.workloads = self.now.workloads.saturating_sub(share.disturbance.workloads);
        if let Some(here) = self.by_namespace.get_mut(&key.1) {
            here.pods = here.pods.saturating_sub(share.disturbance.pods);
            here.workloads = here.workloads.saturating_sub(share.disturbance.workloads);
        }
    }

    /// Everything that is counted.
    pub(crate) fn keys(&self) -> BTreeSet<Key> {
        self.shares.keys().cloned().collect()
    }
}

impl Roll {
    /// The template of a workload has just changed.
    pub(crate) fn of(workload: &Workload, now: Timestamp) -> Self {
        Self {
            at: now,
            kind: workload.kind(),
            namespace: workload.namespace().to_owned(),
            name: workload.name().to_owned(),
            mark: workload.template_annotations.get(MARK).cloned(),
            proxies: proxies(workload),
            waits: !workload.rolls_by_itself(),
        }
    }
}

impl Cluster {
    fn at_rest(&self) -> bool {
        self.workloads.values().all(|workload| !workload.rolling && !workload.driven)
    }

    /// The newest version that a ready istiod runs.
    fn newest_istiod(&self) -> Option<Vec<u64>> {
        let istiods = self.workloads.values().filter(|workload| workload.role == Role::Istiod);
        let ready = istiods.flat_map(|workload| &workload.pods).filter(|pod| pod.ready);
        ready.map(|pod| numbers(&pod.version)).max()
    }
}

impl World {
    /// Every change of a workload's template so far, oldest first: also those by charts and by Flux.
    pub fn rolls(&self, cluster_id: &str) -> Vec<Roll> {
        let state = self.state();
        state.clusters.get(cluster_id).map(|cluster| cluster.tally.rolls.clone()).unwrap_or_default()
    }

    /// Every pod that was evicted so far, oldest first.
    pub fn evictions(&self, cluster_id: &str) -> Vec<Eviction> {
        let state = self.state();
        state.clusters.get(cluster_id).map(|cluster| cluster.tally.evictions.clone()).unwrap_or_default()
    }

    /// The worst moments so far, of applications that rolled or whose pods were evicted. What istiod and gateways miss is
    /// not counted: their charts roll them.
    pub fn worst_moments(&self, cluster_id: &str) -> WorstMoments {
        let state = self.state();
        state.clusters.get(cluster_id).map(|cluster| cluster.tally.worst.clone()).unwrap_or_default()
    }

    /// Pods, `namespace/name`, whose proxy is newer than every ready istiod. While something rolls, or no istiod is ready,
    /// nothing is said.
    pub fn proxies_ahead_at_rest(&self, cluster_id: &str) -> Vec<String> {
        let state = self.state();
        let Some(cluster) = state.clusters.get(cluster_id).filter(|cluster| cluster.at_rest()) else {
            return Vec::new();
        };
        let Some(istiod) = cluster.newest_istiod() else { return Vec::new() };
        let named = |workload: &Workload| -> Vec<String> {
            let is_ahead = |proxy: &String| numbers(proxy) > istiod;
            let ahead = workload.pods.iter().filter(|pod| pod.proxy.as_ref().is_some_and(is_ahead));
            ahead.map(|pod| format!("{}/{}", workload.namespace(), pod.name)).collect()
        };
        cluster.workloads.values().flat_map(named).collect()
    }
}
