//! How one step of a rollout changes the pods of a workload, as the controllers of Kubernetes do it.

use jiff::Timestamp;

use crate::chance;
use crate::spec::{Strategy, WorkloadKind};
use crate::state::later;
use crate::trouble::CreateFailures;
use crate::workload::{Pod, Role, Surroundings, Template, Workload};

/// How often somebody looks whether a pod became ready.
const LOOK: i64 = 5;

/// How long a controller waits after a pod could not be made.
const AGAIN: i64 = 15;

/// How many pods may be there beyond those that are wanted, and how many may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) surge: usize,
    pub(crate) unavailable: usize,
}

impl Workload {
    /// Roundings and minima are those of each kind's controller.
    pub(crate) fn limits(&self) -> Limits {
        let wanted = self.replicas;
        match (self.spec.strategy, self.kind()) {
            (Strategy::Recreate, _) => Limits { surge: 0, unavailable: wanted },
            (Strategy::Rolling { max_unavailable, max_surge }, WorkloadKind::Deployment) => {
                let (surge, unavailable) = (max_surge.up(wanted), max_unavailable.down(wanted));
                Limits { surge, unavailable: if surge == 0 { unavailable.max(1) } else { unavailable } }
            }
            (Strategy::Rolling { max_unavailable, .. }, WorkloadKind::StatefulSet) => {
                Limits { surge: 0, unavailable: max_unavailable.up(wanted).max(1) }
            }
            (Strategy::Rolling { max_unavailable, max_surge }, WorkloadKind::DaemonSet) => {
                let (surge, unavailable) = (max_surge.up(wanted), max_unavailable.up(wanted));
                Limits { surge, unavailable: if surge == 0 { unavailable.max(1) } else { unavailable } }
            }
            (Strategy::Usual, _) if !self.is_application() => Limits { surge: 1, unavailable: 0 },
            (Strategy::Usual | Strategy::OnDelete, _) => Limits { surge: 0, unavailable: 1 },
        }
    }

    /// Fills a new workload with ready pods of the current template.
    pub(crate) fn populate(&mut self, around: &Surroundings<'_>) {
        let template = self.template();
        for _ in 0..self.replicas {
            let mut pod = self.new_pod(around, &template, None, 0);
            pod.ready = true;
            self.pods.push(pod);
        }
        self.settled = template;
    }

    /// Does what is due now, and says when to look again, or `None` when nothing is left to do.
    pub(crate) fn step(&mut self, around: &Surroundings<'_>) -> Option<i64> {
        self.observed_generation = self.generation;
        self.changed = around.now;
        self.resource_version = around.resource_version;
        let (pods, ready) = (self.made, self.ready());
        self.mark_ready(around);
        let template = self.template();
        let removed = self.remove_old(&template.hash);
        let waits_for_the_last = self.spec.strategy == Strategy::Recreate && !removed.is_empty();
        let could_make = waits_for_the_last || self.make_missing(around, &template, removed);
        if (self.made, self.ready()) != (pods, ready) {
            self.progressed = around.now;
        }
        if !could_make {
            return Some(AGAIN);
        }
        if waits_for_the_last {
            return Some(LOOK);
        }
        let left = |pod: &Pod| match pod.ready_at.as_second() - around.now.as_second() {
            left if left > 0 => left,
            _ => LOOK,
        };
        if let Some(next) = self.pods.iter().filter(|pod| !pod.ready).map(left).min() {
            return Some(next);
        }
        if self.pods.len() < self.replicas || self.pods.iter().any(|pod| self.is_old(pod, &template.hash)) {
            return Some(LOOK);
        }
        self.rolling = false;
        self.driven = false;
        let is_through = self.pods.iter().all(|pod| pod.hash == template.hash);
        // The controller of StatefulSets leaves `currentRevision` alone when it replaces nothing itself.
        let keeps = self.kind() == WorkloadKind::StatefulSet && self.spec.strategy == Strategy::OnDelete;
        if is_through && !self.paused && !keeps {
            self.settled = template;
        }
        None
    }

    /// Whether a rollout will replace this pod.
    fn is_old(&self, pod: &Pod, hash: &str) -> bool {
        pod.hash != hash && self.rolls_by_itself() && !self.is_partitioned(&pod.name)
    }

    /// Whether a StatefulSet's partition keeps this pod as it is.
    fn is_partitioned(&self, pod: &str) -> bool {
        let ordinal = pod.rsplit('-').next().and_then(|text| text.parse::<u32>().ok());
        self.kind() == WorkloadKind::StatefulSet && ordinal.is_some_and(|at| at < self.spec.partition)
    }

    fn mark_ready(&mut self, around: &Surroundings<'_>) {
        let is_due =
            |pod: &Pod| pod.ready_at <= around.now && self.trouble_of(pod, around.only_istiod).is_none();
        let due: Vec<bool> = self.pods.iter().map(is_due).collect();
        for (pod, due) in self.pods.iter_mut().zip(due) {
            if due && !pod.ready {
                pod.ready = true;
                pod.ready_since = around.now;
                pod.resource_version = around.resource_version;
            }
        }
    }

    /// Takes away what may go: first what does not work anyway, then as much as may be missing.
    fn remove_old(&mut self, hash: &str) -> Vec<(usize, Pod)> {
        let Limits { surge, unavailable } = self.limits();
        let least = self.replicas.saturating_sub(unavailable);
        let mut removed = Vec::new();
        let starting = self.pods.iter().filter(|pod| pod.hash == hash && !pod.ready).count();
        let mut broken = self.pods.len().saturating_sub(least + starting);
        loop {
            let may_go = |pod: &Pod| {
                self.is_old(pod, hash) && if pod.ready { self.ready() > least } else { broken > 0 }
            };
            let dead = |pod: &Pod| !pod.ready && may_go(pod);
            // Who makes the new one first takes the oldest away; who does not goes from the last to the first.
            let at = if surge > 0 {
                self.pods.iter().position(dead).or_else(|| self.pods.iter().position(may_go))
            } else {
                self.pods.iter().rposition(dead).or_else(|| self.pods.iter().rposition(may_go))
            };
            let Some(at) = at else { return removed };
            let pod = self.pods.remove(at);
            if !pod.ready {
                broken = broken.saturating_sub(1);
            }
            removed.push((at, pod));
        }
    }

    /// Makes the pods that are missing; `false` when the API server refuses.
    fn make_missing(
        &mut self,
        around: &Surroundings<'_>,
        template: &Template,
        mut removed: Vec<(usize, Pod)>,
    ) -> bool {
        let surge = self.limits().surge;
        let kept = self.pods.iter().filter(|pod| !self.is_old(pod, &template.hash)).count();
        let room = (self.replicas + surge).saturating_sub(self.pods.len());
        let missing = self.replicas.saturating_sub(kept).min(room);
        if missing > 0 && self.in_mesh() && around.injected.is_none() {
            // The webhook's failurePolicy is Fail.
            let (first, count) =
                self.create_failures.as_ref().map_or((around.now, 0), |f| (f.first, f.count));
            let hash = template.hash.clone();
            self.create_failures = Some(CreateFailures { first, last: around.now, count: count + 1, hash });
            return false;
        }
        for _ in 0..missing {
            // Who makes the new one first has nothing to put it in the place of.
            let replaced = if surge == 0 { removed.pop() } else { None };
            let wait = self.start_seconds(around);
            let pod = self.new_pod(around, template, replaced.as_ref().map(|(_, pod)| pod), wait);
            match replaced {
                Some((at, _)) => self.pods.insert(at.min(self.pods.len()), pod),
                None => self.pods.push(pod),
            }
        }
        true
    }

    fn start_seconds(&self, around: &Surroundings<'_>) -> i64 {
        let number = self.made.to_string();
        let names = [around.cluster_id, self.namespace(), self.name(), &number];
        match (self.spec.start_seconds, self.role) {
            (Some(seconds), _) => i64::from(seconds),
            (None, Role::Istiod) => chance::between(around.seed, &names, 25, 35),
            (None, _) => chance::between(around.seed, &names, 10, 20),
        }
    }

    fn new_pod(
        &mut self,
        around: &Surroundings<'_>,
        template: &Template,
        replaced: Option<&Pod>,
        wait: i64,
    ) -> Pod {
        self.made += 1;
        let number = self.made.to_string();
        let end =
            chance::suffix(around.seed, &[around.cluster_id, self.namespace(), self.name(), &number], 5);
        let ordinal_name = || match replaced {
            Some(pod) => pod.name.clone(),
            None => format!("{}-{}", self.name(), self.free_ordinal()),
        };
        let kept = match self.kind() {
            WorkloadKind::StatefulSet if self.is_partitioned(&ordinal_name()) => Some(self.settled.clone()),
            // Its newest ReplicaSet is the one from before the pause.
            WorkloadKind::Deployment if self.paused => Some(self.settled.clone()),
            _ => None,
        };
        let template = match kept.as_ref() {
            Some(kept) if !kept.hash.is_empty() => kept,
            _ => template,
        };
        let name = match self.kind() {
            WorkloadKind::Deployment => format!("{}-{}-{end}", self.name(), template.hash),
            WorkloadKind::DaemonSet => format!("{}-{end}", self.name()),
            WorkloadKind::StatefulSet => ordinal_name(),
        };
        Pod {
            name,
            hash: template.hash.clone(),
            proxy: if self.in_mesh() { around.injected.clone() } else { None },
            version: template.version.clone(),
            annotations: template.annotations.clone(),
            node: self.node_for_a_pod(around, template, replaced),
            created: around.now,
            ready_at: later(around.now, wait),
            ready: false,
            ready_since: around.now,
            number: self.made,
            resource_version: around.resource_version,
        }
    }

    /// Where the next pod goes: a DaemonSet has one pod of a template on each node, others spread.
    fn node_for_a_pod(
        &self,
        around: &Surroundings<'_>,
        template: &Template,
        replaced: Option<&Pod>,
    ) -> usize {
        let fits =
            |(_, family): &(usize, &crate::NodeFamily)| self.spec.nodes.is_none_or(|one| one == **family);
        let allowed: Vec<usize> = around.nodes.iter().enumerate().filter(fits).map(|(at, _)| at).collect();
        let spread = || {
            let at = usize::try_from(self.made).unwrap_or(0) % allowed.len().max(1);
            allowed.get(at).copied().unwrap_or_default()
        };
        match (self.kind(), replaced) {
            (WorkloadKind::DaemonSet, Some(pod)) => pod.node,
            (WorkloadKind::DaemonSet, None) => {
                let is_free =
                    |at: &&usize| !self.pods.iter().any(|pod| pod.node == **at && pod.hash == template.hash);
                let is_empty = |at: &&usize| !self.pods.iter().any(|pod| pod.node == **at);
                let free = allowed.iter().find(is_empty).or_else(|| allowed.iter().find(is_free));
                free.copied().unwrap_or_else(spread)
            }
            _ => spread(),
        }
    }

    /// The first ordinal no pod has, for a StatefulSet that lost one.
    fn free_ordinal(&self) -> usize {
        let taken = |n: &usize| self.pods.iter().any(|pod| pod.name == format!("{}-{n}", self.name()));
        (0..=self.pods.len()).find(|n| !taken(n)).unwrap_or(0)
    }

    /// When a Deployment that makes no progress is called stuck.
    pub(crate) fn stuck_since(&self, now: Timestamp) -> Option<Timestamp> {
        let deadline = later(self.progressed, i64::from(self.spec.progress_deadline_seconds));
        let is_due = self.rolling && !self.paused && deadline <= now;
        is_due.then_some(deadline)
    }
}
