//! A cluster: its workloads, its Flux, and what history remembers of its proxies.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::chance;
use crate::conditions::{Condition, LEGACY_COUNT};
use crate::flux::Flux;
use crate::kubernetes::candidates::Shown;
use crate::kubernetes::list::Lists;
use crate::measures::{Eviction, Roll, Tally};
use crate::spec::{ClusterSpec, NodeFamily, WorkloadKind, WorkloadSpec};
use crate::workload::{Key, Role, Surroundings, Workload};

/// How many proxies ran each version from a moment on.
pub(crate) type Census = BTreeMap<String, usize>;

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) spec: ClusterSpec,
    /// The hexadecimal id in its API server's host name.
    pub(crate) hex_id: String,
    pub(crate) seed: u64,
    /// Counts every change, as etcd's revision does.
    pub(crate) revision: u64,
    pub(crate) flux: Flux,
    pub(crate) workloads: BTreeMap<Key, Workload>,
    /// Those of them that are istiod.
    pub(crate) istiods: Vec<Key>,
    /// Each node's family.
    pub(crate) nodes: Vec<NodeFamily>,
    /// What is counted of the workloads, now and at the worst.
    pub(crate) tally: Tally,
    /// Each change of the sidecars' versions, oldest first.
    pub(crate) census: Vec<(Timestamp, Census)>,
    /// The most pods that were unavailable at the same time.
    pub(crate) most_unavailable: usize,
    /// While this is set, only istiod pods of this version become ready.
    pub(crate) only_istiod: Option<String>,
    /// A Helm upgrade to this version fails for this reason.
    pub(crate) failing_upgrade: Option<(String, String)>,
    /// Resources (plural names) that GUARD's role may not read or change.
    pub(crate) forbidden: Vec<String>,
    /// While this is set, everything else is forbidden to GUARD's role.
    pub(crate) allowed: Option<Vec<Grant>>,
    /// Nobody reaches the injector, whatever istiod does.
    pub(crate) injector_down: bool,
    /// What the injector does with a dry run, otherwise than it should.
    pub(crate) injector_does: Option<Injector>,
    /// What an istiod of a version has counted, by version and metric.
    pub(crate) counters: BTreeMap<(String, String), u64>,
    /// What its API server shows otherwise than it is.
    pub(crate) bends: Vec<Bend>,
    /// Lists of which somebody reads page after page.
    pub(crate) lists: Lists,
    /// The JSON of objects as they were listed last.
    pub(crate) shown: Shown,
    /// What EKS says of it.
    pub(crate) eks: Condition,
    /// Metrics that are bent: another value, or none at all.
    pub(crate) gauges: BTreeMap<String, Option<f64>>,
    /// The version in which HelmReleases are served.
    pub(crate) helm_version: String,
    pub(crate) born: Timestamp,
}

/// A rule of a ClusterRole or a Role: each of its verbs on each of its resources in each of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// API groups; the core group is empty.
    pub groups: Vec<String>,
    /// Plural names.
    pub resources: Vec<String>,
    /// `get`, `list`, `patch`, ...
    pub verbs: Vec<String>,
    /// The one namespace in which it holds; everywhere without.
    pub namespace: Option<String>,
}

impl Grant {
    pub(crate) fn allows(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted || one == "*");
        let is_there = self.namespace.as_deref().is_none_or(|one| Some(one) == namespace);
        is_there && has(&self.groups, group) && has(&self.resources, resource) && has(&self.verbs, verb)
    }
}

/// What an injector does with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injector {
    /// It leaves the pod as it is.
    Nothing,
    /// It gives it a proxy of this image.
    Image(String),
    /// The API server cannot reach it.
    Unreachable,
}

type Change = dyn Fn(&mut Vec<Value>) + Send + Sync;

/// Objects of one resource, as a test wants them to be shown.
#[derive(Clone)]
pub(crate) struct Bend {
    pub(crate) plural: String,
    pub(crate) change: Arc<Change>,
}

impl std::fmt::Debug for Bend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bend").field("plural", &self.plural).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(crate) fn new(spec: ClusterSpec, seed: u64, region: &str, born: Timestamp) -> Self {
        let hex_id = chance::hex(seed, &["eks", region, &spec.cluster_id], 32).to_uppercase();
        let flux = Flux::new(&spec.cluster_id);
        Self {
            nodes: nodes_of(&spec),
            spec,
            hex_id,
            seed,
            revision: 1_000,
            flux,
            workloads: BTreeMap::new(),
            istiods: Vec::new(),
            tally: Tally::default(),
            census: Vec::new(),
            most_unavailable: 0,
            only_istiod: None,
            failing_upgrade: None,
            forbidden: Vec::new(),
            allowed: None,
            injector_down: false,
            injector_does: None,
            counters: BTreeMap::new(),
            bends: Vec::new(),
            eks: Condition::default(),
            // The count of Datadog's older mode: this fleet has the newer one.
            gauges: [(LEGACY_COUNT.to_owned(), None)].into(),
            helm_version: "v2".to_owned(),
            lists: Lists::new(),
            shown: Shown::default(),
            born,
        }
    }

    pub(crate) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Makes a workload with all its pods ready, as it was before the story begins.
    pub(crate) fn add_workload(&mut self, spec: &WorkloadSpec, role: Role, version: &str, now: Timestamp) {
        let revision = self.next_revision();
        let mut workload = Workload::new(spec, role, version, now, revision);
        workload.populate(&self.surroundings(now, revision));
        if role == Role::Istiod && !self.istiods.contains(&workload.key) {
            self.istiods.push(workload.key.clone());
        }
        self.workloads.insert(workload.key.clone(), workload);
    }

    fn surroundings(&self, now: Timestamp, resource_version: u64) -> Surroundings<'_> {
        Surroundings {
            seed: self.seed,
            cluster_id: &self.spec.cluster_id,
            now,
            injected: self.injector(resource_version),
            only_istiod: self.only_istiod.as_deref(),
            resource_version,
            nodes: &self.nodes,
        }
    }

    /// The version that one of the ready istiod pods answers with; during a roll either can be asked.
    pub(crate) fn injector(&self, draw: u64) -> Option<String> {
        if self.injector_down {
            return None;
        }
        let istiods = self.istiods.iter().filter_map(|key| self.workloads.get(key));
        let ready = istiods.flat_map(|workload| &workload.pods).filter(|pod| pod.ready);
        let ready: Vec<&str> = ready.map(|pod| pod.version.as_str()).collect();
        let at = usize::try_from(chance::mix(self.seed ^ draw)).unwrap_or(0) % ready.len().max(1);
        ready.get(at).map(|version| (*version).to_owned())
    }

    /// The version all ready istiod pods run, if there is one and only one.
    pub(crate) fn istiod_version(&self) -> Option<&str> {
        let mut versions = self
            .workloads
            .values()
            .filter(|workload| workload.role == Role::Istiod)
            .flat_map(|workload| &workload.pods)
            .filter(|pod| pod.ready)
            .map(|pod| pod.version.as_str());
        let first = versions.next()?;
        versions.all(|version| version == first).then_some(first)
    }

    /// Whether a workload is rolled out; one that does not exist has nothing to wait for.
    pub(crate) fn rolled_out(&self, key: &Key) -> bool {
        self.workloads.get(key).is_none_or(Workload::settled)
    }

    /// Changes a workload's template; `true` when a step is due that nobody has planned yet.
    pub(crate) fn retemplate(
        &mut self,
        key: &Key,
        now: Timestamp,
        change: impl FnOnce(&mut Workload),
    ) -> bool {
        let revision = self.next_revision();
        let Some(workload) = self.workloads.get_mut(key) else { return false };
        let (before, annotations) = (workload.template_hash(), workload.annotations.clone());
        let managers = workload.managers.clone();
        change(workload);
        let is_same = workload.template_hash() == before;
        if is_same && workload.annotations == annotations && workload.managers == managers {
            return false;
        }
        workload.resource_version = revision;
        if is_same {
            return false;
        }
        workload.generation += 1;
        workload.changed = now;
        self.tally.rolls.push(Roll::of(workload, now));
        if workload.rolls_by_itself() {
            workload.rollouts += 1;
            workload.rolling = true;
            workload.progressed = now;
        }
        !std::mem::replace(&mut workload.driven, true)
    }

    /// Pauses or resumes a Deployment; `true` when a step is due that nobody has planned yet.
    pub(crate) fn pause(&mut self, key: &Key, now: Timestamp, paused: bool) -> bool {
        let revision = self.next_revision();
        let Some(workload) = self.workloads.get_mut(key).filter(|one| one.paused != paused) else {
            return false;
        };
        workload.paused = paused;
        workload.generation += 1;
        workload.changed = now;
        workload.progressed = now;
        workload.resource_version = revision;
        workload.rolling = !paused && workload.updated() < workload.pods.len();
        if workload.rolling {
            workload.rollouts += 1;
            self.tally.rolls.push(Roll::of(workload, now));
        }
        !std::mem::replace(&mut workload.driven, true)
    }

    /// Takes a pod away for good; `true` when a step is due that nobody has planned yet.
    pub(crate) fn evict(&mut self, key: &Key, pod: &str, now: Timestamp) -> bool {
        let revision = self.next_revision();
        let Some(workload) = self.workloads.get_mut(key) else { return false };
        let Some(at) = workload.pods.iter().position(|one| one.name == pod) else { return false };
        let gone = workload.pods.remove(at);
        workload.resource_version = revision;
        let is_new = !std::mem::replace(&mut workload.driven, true);
        self.tally.evictions.push(Eviction {
            at: now,
            namespace: workload.namespace().to_owned(),
            workload: workload.name().to_owned(),
            pod: gone.name,
            proxy: gone.proxy,
        });
        self.tally.count(workload);
        self.note(now);
        is_new
    }

    /// One step of a roll; says in how many seconds the next one is due.
    pub(crate) fn step(&mut self, key: &Key, now: Timestamp) -> Option<i64> {
        let revision = self.next_revision();
        let mut workload = self.workloads.remove(key)?;
        let next = workload.step(&self.surroundings(now, revision));
        self.tally.count(&workload);
        self.workloads.insert(key.clone(), workload);
        self.note(now);
        next
    }

    /// Counts every workload anew and writes it down.
    pub(crate) fn remember(&mut self, now: Timestamp) {
        for gone in self.tally.keys().into_iter().filter(|key| !self.workloads.contains_key(key)) {
            self.tally.leave(&gone);
        }
        self.workloads.values().for_each(|workload| self.tally.count(workload));
        self.note(now);
    }

    /// Writes the sidecars' versions into history and keeps the worst moment.
    fn note(&mut self, now: Timestamp) {
        if self.census.last().is_none_or(|(_, last)| *last != self.tally.sidecars) {
            self.census.push((now, self.tally.sidecars.clone()));
        }
        self.most_unavailable = self.most_unavailable.max(self.tally.unavailable);
    }

    /// The share of sidecars at `from_version` or later at a moment of the past.
    #[expect(clippy::cast_precision_loss, reason = "pods are counted in thousands at most")]
    pub(crate) fn share_at(&self, at: Timestamp, from_version: &str) -> f64 {
        let after = self.census.partition_point(|(since, _)| *since <= at);
        let Some((_, census)) = self.census.get(after.saturating_sub(1)) else { return 0.0 };
        let all: usize = census.values().sum();
        let from = numbers(from_version);
        let bad: usize = census.iter().filter(|(v, _)| numbers(v) >= from).map(|(_, count)| count).sum();
        if all == 0 { 0.0 } else { bad as f64 / all as f64 }
    }
}

/// A version's numbers, for comparing; what is not a number counts as none.
pub(crate) fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Each node's family: those that were asked for, or one node for each pod of the largest DaemonSet.
fn nodes_of(spec: &ClusterSpec) -> Vec<NodeFamily> {
    let groups = spec.node_groups.iter();
    let nodes: Vec<NodeFamily> = groups.flat_map(|group| (0..group.nodes).map(|_| group.family)).collect();
    if !nodes.is_empty() {
        return nodes;
    }
    let daemons = spec.workloads.iter().filter(|w| w.kind == WorkloadKind::DaemonSet);
    let count = daemons.map(|w| w.replicas as usize).max().unwrap_or(3).max(1);
    vec![NodeFamily::AmazonLinux2023; count]
}
