//! Levers: what a test or a story does to the world while it runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::World;
use crate::cluster::{Bend, Grant, Injector};
use crate::datadog::{ActiveRegression, Shock, Silence};
use crate::git::Note;
use crate::gitlab::{MergeState, Project, Remark};
use crate::spec::Person;
use crate::state::{Event, State};
use crate::view::System;
use crate::workload::Workload;

/// What a bad version does to the traffic of the proxies that run it.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// Proxies of this version and later are affected.
    pub from_version: String,
    /// How many times more requests fail.
    pub error_factor: f64,
    /// How many times slower requests are.
    pub latency_factor: f64,
}

/// A time during which one system answers with an error.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    pub(crate) system: System,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) status: u16,
}

impl State {
    /// The status a system answers with now, when it is out.
    pub(crate) fn outage_of(&self, system: &System) -> Option<u16> {
        let out =
            |outage: &&Outage| outage.system == *system && outage.from <= self.now && self.now < outage.until;
        self.outages.iter().find(out).map(|outage| outage.status)
    }
}

impl State {
    /// Somebody says something on a merge request.
    pub(crate) fn say(&mut self, project: &str, iid: u64, author: String, text: String) {
        let remark = Remark { at: self.now, author, text };
        self.in_project(project, |project| {
            if let Some(request) = project.position(iid).and_then(|n| project.merge_requests.get_mut(n)) {
                request.notes.push(remark);
            }
        });
    }
}

impl World {
    /// From now on the person answers new merge requests like this.
    pub fn set_person(&self, person: Person) {
        self.state().spec.person = person;
    }

    /// The person answers a merge request of the first project now. `false` when it is not open, or cannot be merged.
    pub fn merge_request_by_person(&self, iid: u64, merge: bool) -> bool {
        let first = self.state().spec.gitlab_project.clone();
        self.merge_request_of_project_by_person(&first, iid, merge)
    }

    /// The same in any project.
    pub fn merge_request_of_project_by_person(&self, project: &str, iid: u64, merge: bool) -> bool {
        self.state().answer_now(project, iid, merge)
    }

    /// The person answers a merge request at a time.
    pub fn answer_later(&self, project: &str, iid: u64, merge: bool, at: Timestamp) {
        self.state().at(at, Event::AnswerThis { project: project.to_owned(), iid, merge });
    }

    /// The person opens a closed merge request of the first project again; nobody answers it by itself.
    pub fn reopen(&self, iid: u64) {
        self.in_first_project(|project| {
            let Some(at) = project.position(iid) else { return };
            if let Some(request) = project.merge_requests.get_mut(at)
                && request.state == MergeState::Closed
            {
                request.state = MergeState::Opened;
                request.closed = None;
                request.opening += 1;
            }
        });
    }

    /// A colleague makes a branch of `main` in the first project.
    pub fn branch_off(&self, name: &str) {
        self.in_first_project(|project| {
            if let Some(head) = project.git.branches.get("main").cloned() {
                project.git.branches.insert(name.to_owned(), head);
            }
        });
    }

    /// A colleague deletes a branch of the first project.
    pub fn delete_branch(&self, name: &str) {
        self.in_first_project(|project| {
            project.refresh();
            project.git.branches.remove(name);
        });
    }

    /// A colleague opens a merge request in the first project that changes one file, on a new branch; nobody answers it.
    pub fn propose(&self, branch: &str, path: &str, content: &str) {
        self.branch_off(branch);
        self.push(branch, path, Some(content), "a proposal");
        self.in_first_project(|project| {
            let body = json!({ "source_branch": branch, "target_branch": "main", "title": format!("From {branch}") });
            project.open_request(&body);
            project.effects.clear();
        });
    }

    fn in_first_project<T>(&self, act: impl FnOnce(&mut Project) -> T) -> Option<T> {
        let mut state = self.state();
        let first = state.spec.gitlab_project.clone();
        state.in_project(&first, act)
    }

    /// Somebody says something on a merge request of the first project, now or later.
    pub fn comment(&self, iid: u64, author: &str, text: &str, at: Timestamp) {
        let mut state = self.state();
        let project = state.spec.gitlab_project.clone();
        state.at(at, Event::Say { project, iid, author: author.to_owned(), text: text.to_owned() });
    }

    /// A version makes a cluster's traffic worse, by the share of its proxies that run it, from now on.
    pub fn regress(&self, cluster_id: &str, regression: Regression) {
        let mut state = self.state();
        let since = state.now;
        state.signals.forget();
        state.signals.regressions.push(ActiveRegression {
            cluster: cluster_id.to_owned(),
            since,
            from_version: regression.from_version,
            error_factor: regression.error_factor,
            latency_factor: regression.latency_factor,
        });
    }

    /// Suspends or resumes a cluster's Kustomization.
    pub fn suspend_flux(&self, cluster_id: &str, suspended: bool) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        cluster.next_revision();
        cluster.flux.suspended = suspended;
        if !suspended {
            state.after(1, Event::Fetch { cluster: cluster_id.to_owned() });
        }
    }

    /// Helm upgrades to this version fail on a cluster, for this reason.
    pub fn fail_helm_upgrade(&self, cluster_id: &str, version: &str, reason: &str) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.failing_upgrade = Some((version.to_owned(), reason.to_owned()));
        }
    }

    pub(crate) fn with_workload(
        &self,
        cluster_id: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Workload),
    ) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        let found = cluster.workloads.values_mut().find(|w| w.namespace() == namespace && w.name() == name);
        if let Some(workload) = found {
            change(workload);
        }
    }

    /// A monitor of a cluster goes to Alert.
    pub fn fire_monitor(&self, cluster_id: &str, name: &str) {
        self.state().monitor(cluster_id, name, |monitor| monitor.status = "Alert");
    }

    /// A monitor of a cluster goes back to OK.
    pub fn resolve_monitor(&self, cluster_id: &str, name: &str) {
        self.state().monitor(cluster_id, name, |monitor| monitor.status = "OK");
    }

    /// Mutes or unmutes a monitor of a cluster.
    pub fn mute_monitor(&self, cluster_id: &str, name: &str, muted: bool) {
        self.state().monitor(cluster_id, name, |monitor| monitor.muted = muted);
    }

    /// Metrics of one cluster, or of all with `None`, stop or come back.
    pub fn silence_metrics(&self, cluster_id: Option<&str>, silent: bool) {
        let mut state = self.state();
        let now = state.now;
        let cluster = cluster_id.map(str::to_owned);
        if silent {
            state.signals.silences.push(Silence { cluster, from: now, until: None });
        } else {
            let open =
                state.signals.silences.iter_mut().filter(|one| one.until.is_none() && one.cluster == cluster);
            open.for_each(|one| one.until = Some(now));
        }
    }

    /// A system answers with this status during a time.
    pub fn outage(&self, system: System, from: Timestamp, until: Timestamp, status: u16) {
        self.state().outages.push(Outage { system, from, until, status });
    }

    /// Every answer on sockets takes so long, beside the computing, in real time.
    pub fn answer_after(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Something outside makes every cluster's traffic worse during a time.
    pub fn shock(&self, from: Timestamp, until: Timestamp, error_factor: f64, latency_factor: f64) {
        let signals = &mut self.state().signals;
        signals.forget();
        signals.shocks.push(Shock { since: from, error_factor, latency_factor });
        signals.shocks.push(Shock { since: until, error_factor: 1.0, latency_factor: 1.0 });
    }

    /// GUARD's role may no longer use a resource (its plural name) of a cluster.
    pub fn forbid(&self, cluster_id: &str, resource: &str) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.forbidden.push(resource.to_owned());
        }
    }

    /// GUARD's role may do this in a cluster, and nothing else.
    pub fn allow_only(&self, cluster_id: &str, grants: Vec<Grant>) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.allowed = Some(grants);
        }
    }

    /// The injector of a cluster does this with pods that are given as dry runs.
    pub fn injector_does(&self, cluster_id: &str, what: Injector) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.injector_does = Some(what);
        }
    }

    /// An istiod of this version has counted so many of something that goes wrong, `pilot_total_xds_rejects` for one.
    pub fn istiod_counts(&self, cluster_id: &str, istiod_version: &str, metric: &str, count: u64) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.counters.insert((istiod_version.to_owned(), metric.to_owned()), count);
        }
    }

    /// From now on a cluster's API server shows the objects of a resource (its plural name) as this function leaves them.
    /// For what no other lever can do: nothing else in the world follows from it.
    pub fn show(
        &self,
        cluster_id: &str,
        resource: &str,
        change: impl Fn(&mut Vec<serde_json::Value>) + Send + Sync + 'static,
    ) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.bends.push(Bend { plural: resource.to_owned(), change: Arc::new(change) });
        }
    }

    /// A colleague commits a file to a branch of the first project; `None` deletes it. The commit's id.
    pub fn push(&self, branch: &str, path: &str, content: Option<&str>, message: &str) -> Option<String> {
        self.in_first_project(|project| {
            let parent = project.git.resolve(branch)?.clone();
            let mut tree = (*parent.tree).clone();
            match content {
                Some(content) => tree.insert(path.to_owned(), content.as_bytes().to_vec()),
                None => tree.remove(path),
            };
            let note =
                Note { author: "Casey Colleague".to_owned(), message: message.to_owned(), at: project.now };
            let id = project.git.commit(vec![parent.id], tree, note);
            project.git.branches.insert(branch.to_owned(), id.clone());
            if branch == "main" {
                project.main_moved();
            }
            Some(id)
        })?
    }
}
