//! A cluster: its workloads, its Flux, and what history remembers of its proxies.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::chance;
use crate::conditions::{Condition, LEGACY_COUNT};
use crate::flux::Flux;
use crate::kubernetes::list::Lists;
use crate::spec::{ClusterSpec, WorkloadKind, WorkloadSpec};
use crate::workload::{Key, Role, Surroundings, Workload};

/// How many proxies ran each version from a moment on.
pub(crate) type Census = BTreeMap<String, usize>;

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) spec: ClusterSpec,
    /// The hexadecimal id in its API server's host name.
    pub(crate) hex_id: String,
    pub(crate) seed: u64,
    /// Counts every change, as etcd's revision does.
    pub(crate) revision: u64,
    pub(crate) flux: Flux,
    pub(crate) workloads: BTreeMap<Key, Workload>,
    /// Each change of the proxies' versions, oldest first.
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
    /// What the injector does with a dry run, otherwise than it should.
    pub(crate) injector_does: Option<Injector>,
    /// What an istiod of a version has counted, by version and metric.
    pub(crate) counters: BTreeMap<(String, String), u64>,
    /// What its API server shows otherwise than it is.
    pub(crate) bends: Vec<Bend>,
    /// Lists of which somebody reads page after page.
    pub(crate) lists: Lists,
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
pub(crate) struct Bend {
    pub(crate) plural: String,
    pub(crate) change: Box<Change>,
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
            spec,
            hex_id,
            seed,
            revision: 1_000,
            flux,
            workloads: BTreeMap::new(),
            census: Vec::new(),
            most_unavailable: 0,
            only_istiod: None,
            failing_upgrade: None,
            forbidden: Vec::new(),
            allowed: None,
            injector_does: None,
            counters: BTreeMap::new(),
            bends: Vec::new(),
            eks: Condition::default(),
            // The count of Datadog's older mode: this fleet has the newer one.
            gauges: [(LEGACY_COUNT.to_owned(), None)].into(),
            helm_version: "v2".to_owned(),
            lists: Lists::new(),
            born,
        }
    }

    /// How many nodes it has: one for each pod of its largest DaemonSet.
    pub(crate) fn nodes(&self) -> usize {
        let daemons = self.spec.workloads.iter().filter(|w| w.kind == WorkloadKind::DaemonSet);
        daemons.map(|w| w.replicas as usize).max().unwrap_or(3).max(1)
    }

    pub(crate) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Makes a workload with all its pods ready, as it was before the story begins.
    pub(crate) fn add_workload(&mut self, spec: &WorkloadSpec, role: Role, version: &str, now: Timestamp) {
        let revision = self.next_revision();
        let key = (spec.kind, spec.namespace.clone(), spec.name.clone());
        let mut workload = Workload {
            key: key.clone(),
            role,
            native_sidecar: spec.native_sidecar,
            replicas: spec.replicas as usize,
            version: version.to_owned(),
            annotations: BTreeMap::new(),
            template_annotations: BTreeMap::new(),
            managers: BTreeMap::new(),
            generation: 1,
            observed_generation: 1,
            settled_hash: String::new(),
            rolling: false,
            rollouts: 0,
            pods: Vec::new(),
            made: 0,
            created: now,
            changed: now,
            resource_version: revision,
            stalled_unless: None,
        };
        workload.populate(&self.surroundings(now, revision));
        self.workloads.insert(key, workload);
    }

    fn surroundings(&self, now: Timestamp, resource_version: u64) -> Surroundings<'_> {
        Surroundings {
            seed: self.seed,
            cluster_id: &self.spec.cluster_id,
            now,
            injected: self.injector(resource_version),
            only_istiod: self.only_istiod.as_deref(),
            resource_version,
            nodes: self.nodes(),
        }
    }

    /// The version that one of the ready istiod pods answers with; during a roll either can be asked.
    pub(crate) fn injector(&self, draw: u64) -> Option<String> {
        let ready: Vec<&str> = self
            .workloads
            .values()
            .filter(|workload| workload.role == Role::Istiod)
            .flat_map(|workload| &workload.pods)
            .filter(|pod| pod.ready)
            .map(|pod| pod.version.as_str())
            .collect();
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

    /// Changes a workload's template; `true` when that starts a roll that nobody drives yet.
    pub(crate) fn retemplate(
        &mut self,
        key: &Key,
        now: Timestamp,
        change: impl FnOnce(&mut Workload),
    ) -> bool {
        let revision = self.next_revision();
        let Some(workload) = self.workloads.get_mut(key) else { return false };
        let before = workload.template_hash();
        change(workload);
        if workload.template_hash() == before {
            return false;
        }
        workload.generation += 1;
        workload.rollouts += 1;
        workload.changed = now;
        workload.resource_version = revision;
        !std::mem::replace(&mut workload.rolling, true)
    }

    /// One step of a roll; says in how many seconds the next one is due.
    pub(crate) fn step(&mut self, key: &Key, now: Timestamp) -> Option<i64> {
        let revision = self.next_revision();
        let mut workload = self.workloads.remove(key)?;
        let next = workload.step(&self.surroundings(now, revision));
        self.workloads.insert(key.clone(), workload);
        self.remember(now);
        next
    }

    /// Writes the proxies' versions into history and keeps the worst moment.
    pub(crate) fn remember(&mut self, now: Timestamp) {
        let census = self.proxies();
        if self.census.last().is_none_or(|(_, last)| *last != census) {
            self.census.push((now, census));
        }
        let unavailable = self.workloads.values().map(|w| w.replicas.saturating_sub(w.ready())).sum();
        self.most_unavailable = self.most_unavailable.max(unavailable);
    }

    fn proxies(&self) -> Census {
        let mut census = Census::new();
        for version in self.workloads.values().flat_map(|w| &w.pods).filter_map(|pod| pod.proxy.clone()) {
            *census.entry(version).or_default() += 1;
        }
        census
    }

    /// The share of proxies at `from_version` or later at a moment of the past.
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
