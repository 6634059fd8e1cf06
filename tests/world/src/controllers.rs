//! Flux's controllers at work: fetch, apply, reconcile, release.

use jiff::Timestamp;
use serde_json::Value;

use crate::chance;
use crate::cluster::Cluster;
use crate::flux::{self, Failure, Phase, Release, ReleaseKey, Snapshot};
use crate::flux_troubles::{Remediation, source_failure};
use crate::spec::{WorkloadKind, WorkloadSpec};
use crate::state::{Event, State, later};
use crate::view::System;
use crate::workload::{Key, Role};

/// How often a blocked release is looked at again.
const REQUEUE: i64 = 10;

/// How long a failed release waits until it is tried again.
const RETRY: i64 = 30;

impl State {
    /// Brings a new cluster to rest at what `main` asks for.
    pub(crate) fn settle_cluster(&mut self, cluster_id: &str, born: Timestamp) {
        let head = self.project_of(cluster_id).and_then(|project| project.git.resolve("main").cloned());
        let Some(head) = head else { return };
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        cluster.flux.fetched.clone_from(&head.id);
        cluster.flux.fetched_at = born;
        cluster.flux.applied.clone_from(&head.id);
        cluster.flux.applied_at = born;
        let wanted = flux::read_directory(&head.tree, &cluster.spec.flux_path).unwrap_or_default();
        let release = |(key, spec): (&ReleaseKey, &Value)| {
            let by_reference = wanted.by_reference(&key.0, spec);
            (key.clone(), Release { by_reference, ..Release::new(spec.clone(), born) })
        };
        let mut releases: Vec<(ReleaseKey, Release)> = wanted.releases.iter().map(release).collect();
        cluster.flux.repositories = wanted.repositories;
        cluster.flux.artifacts = wanted.artifacts;
        // Gateways are injected by istiod, so istiod comes first.
        releases.sort_by_key(|(_, release)| release.chart() != "istiod");
        for (key, mut release) in releases {
            let version = release.wanted();
            release.history = vec![snapshot(&release, &version, 1, born)];
            release.observed = 1;
            release.working_on = 1;
            install(cluster, &key, &release, &version, born);
            cluster.flux.releases.insert(key, release);
        }
        for workload in cluster.spec.workloads.clone() {
            let role = match (workload.host_network, workload.injected) {
                (true, _) => Role::HostNetwork,
                (_, true) => Role::Application,
                (_, false) => Role::Outside,
            };
            cluster.add_workload(&workload, role, "", born);
        }
        cluster.remember(born);
    }

    /// `main` of a project has moved: every cluster that follows it sees it at its next look.
    pub(crate) fn main_moved(&mut self, project: &str) {
        let follows = |id: &&String| self.project_of(id).is_some_and(|own| own.path == project);
        let clusters: Vec<(String, i64)> = self
            .clusters
            .iter()
            .filter(|(id, _)| follows(id))
            .map(|(id, cluster)| (id.clone(), cluster.flux.offset))
            .collect();
        for (cluster, offset) in clusters {
            let into_minute = (self.now.as_second() - offset).rem_euclid(60);
            self.after(60 - into_minute, Event::Fetch { cluster });
        }
    }

    pub(crate) fn fetch(&mut self, cluster_id: &str) {
        if self.outage_of(&System::GitLab).is_some() {
            self.after(60, Event::Fetch { cluster: cluster_id.to_owned() });
            return;
        }
        let now = self.now;
        let head = self.project_of(cluster_id).and_then(|project| project.git.resolve("main"));
        let Some(head) = head.map(|commit| commit.id.clone()) else { return };
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        if cluster.flux.troubles.is_suspended("GitRepository", "flux-system", "fleet") {
            return;
        }
        let revision = cluster.next_revision();
        let flux = &mut cluster.flux;
        if flux.fetched != head {
            flux.fetched = head;
            flux.fetched_at = now;
        }
        if flux.suspended || flux.applying || (flux.applied == flux.fetched && flux.apply_error.is_none()) {
            return;
        }
        flux.applying = true;
        let names = [cluster_id, &flux.fetched, &revision.to_string()];
        let seconds = chance::between(cluster.seed, &names, 5, 15);
        self.after(seconds, Event::Apply { cluster: cluster_id.to_owned() });
    }

    pub(crate) fn apply(&mut self, cluster_id: &str) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        cluster.flux.applying = false;
        if cluster.flux.suspended {
            return;
        }
        let revision = cluster.next_revision();
        let own = cluster.spec.gitlab_project.as_ref().unwrap_or(&self.spec.gitlab_project);
        let fetched = self.projects.get(own).and_then(|project| project.git.resolve(&cluster.flux.fetched));
        let Some(commit) = fetched else { return };
        let built = match &cluster.flux.troubles.build_failure {
            Some(message) => Err(message.clone()),
            None => flux::read_directory(&commit.tree, &cluster.spec.flux_path),
        };
        let wanted = match built {
            Ok(wanted) => wanted,
            Err(message) => {
                cluster.flux.apply_error = Some(message);
                return;
            }
        };
        cluster.flux.apply_error = None;
        cluster.flux.applied.clone_from(&cluster.flux.fetched);
        cluster.flux.applied_at = now;
        let gone: Vec<ReleaseKey> =
            cluster.flux.releases.keys().filter(|key| !wanted.releases.contains_key(*key)).cloned().collect();
        for key in gone {
            // `prune: true`: a release that left the repository is uninstalled.
            if let Some(release) = cluster.flux.releases.remove(&key) {
                cluster.workloads.remove(&deployment_of(&key, &release));
            }
        }
        for (key, spec) in &wanted.releases {
            let by_reference = wanted.by_reference(&key.0, spec);
            let fresh = || Release::new(Value::Null, now);
            let release = cluster.flux.releases.entry(key.clone()).or_insert_with(fresh);
            if release.spec != *spec {
                if !release.spec.is_null() {
                    release.generation += 1;
                }
                release.spec = spec.clone();
                release.resource_version = revision;
            }
            release.is_renewed |= release.by_reference != by_reference;
            release.by_reference = by_reference;
        }
        cluster.flux.repositories = wanted.repositories;
        cluster.flux.artifacts = wanted.artifacts;
        cluster.remember(now);
        self.after(2, Event::Reconcile { cluster: cluster_id.to_owned() });
    }

    /// Starts every upgrade whose dependencies are ready.
    pub(crate) fn reconcile(&mut self, cluster_id: &str) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        let keys: Vec<ReleaseKey> = cluster.flux.releases.keys().cloned().collect();
        let (mut started, mut blocked) = (Vec::new(), false);
        for key in keys {
            let obstacle = obstacle(cluster, &key);
            let no_chart = source_failure(cluster, &key);
            let revision = cluster.revision + 1;
            let Some(release) = cluster.flux.releases.get_mut(&key) else { continue };
            let tried = release.working_on == release.generation && !release.is_renewed;
            if release.suspended() || release.phase == Phase::Upgrading || tried {
                continue;
            }
            cluster.revision = revision;
            release.resource_version = revision;
            release.since = now;
            if release.is_back_already() {
                release.settle_as_is();
                continue;
            }
            if let Some((reason, message)) = no_chart {
                release.phase = Phase::NoChart(reason, message);
                blocked = true;
                continue;
            }
            if let Some(message) = obstacle {
                release.phase = Phase::Blocked(message);
                blocked = true;
                continue;
            }
            release.phase = Phase::Upgrading;
            release.is_renewed = false;
            release.failures = 0;
            release.working_on = release.generation;
            let names = [cluster_id, &key.0, &key.1, &release.generation.to_string()];
            started.push((key.clone(), chance::between(cluster.seed, &names, 20, 60)));
        }
        for (release, seconds) in started {
            self.after(seconds, Event::Released { cluster: cluster_id.to_owned(), release });
        }
        if blocked {
            self.after(REQUEUE, Event::Reconcile { cluster: cluster_id.to_owned() });
        }
    }

    /// Tries a failed release again, unless something newer is asked for meanwhile.
    pub(crate) fn retry(&mut self, cluster_id: &str, key: &ReleaseKey) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        let revision = cluster.next_revision();
        let Some(release) = cluster.flux.releases.get_mut(key) else { return };
        let is_meant = matches!(&release.phase, Phase::Failed(failure) if failure.retries);
        if !is_meant || release.suspended() || release.working_on != release.generation {
            return;
        }
        release.phase = Phase::Upgrading;
        release.since = now;
        release.resource_version = revision;
        let names = [cluster_id, &key.0, &key.1, "retry", &release.failures.to_string()];
        let seconds = chance::between(cluster.seed, &names, 20, 60);
        self.after(seconds, Event::Released { cluster: cluster_id.to_owned(), release: key.clone() });
    }

    pub(crate) fn released(&mut self, cluster_id: &str, key: &ReleaseKey) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        let revision = cluster.next_revision();
        let failing = cluster.failing_upgrade.clone();
        let rolls_back = cluster.flux.troubles.rolls_back;
        let Some(release) = cluster.flux.releases.get_mut(key) else { return };
        let version = release.wanted();
        release.resource_version = revision;
        release.since = now;
        release.observed = release.working_on;
        let number = release.history.first().map_or(1, |last| last.number + 1);
        let mut attempt = snapshot(release, &version, number, now);
        if let Some((_, reason)) = failing.filter(|(bad, _)| *bad == version) {
            attempt.status = "failed";
            release.failures += 1;
            let why = format!(
                "Helm upgrade failed for release {}/{} with chart {}@{version}: {reason}",
                key.0,
                key.1,
                release.chart()
            );
            release.history.insert(0, attempt);
            let remediation = Remediation::of(&release.spec, rolls_back);
            let rolled_back =
                remediation.rolls_back(release.failures).then(|| release.roll_back(key, now)).flatten();
            release.history.truncate(5);
            let retries = !remediation.is_exhausted(release.failures);
            release.phase = Phase::Failed(Failure { why, retries, rolled_back });
            if retries {
                self.after(RETRY, Event::Retry { cluster: cluster_id.to_owned(), release: key.clone() });
            }
            return;
        }
        for old in &mut release.history {
            old.status = if old.status == "deployed" { "superseded" } else { old.status };
        }
        release.history.insert(0, attempt);
        release.history.truncate(5);
        release.failures = 0;
        release.phase = Phase::Settled;
        let again = release.observed != release.generation || release.is_renewed;
        let release = release.clone();
        let rolls = install(cluster, key, &release, &version, now);
        cluster.remember(now);
        if rolls {
            let workload = deployment_of(key, &release);
            self.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload });
        }
        if again {
            self.after(1, Event::Reconcile { cluster: cluster_id.to_owned() });
        }
    }
}

/// Why a release cannot start yet.
fn obstacle(cluster: &Cluster, key: &ReleaseKey) -> Option<String> {
    let release = cluster.flux.releases.get(key)?;
    for (namespace, name) in release.depends_on(&key.0) {
        let other = cluster.flux.releases.get(&(namespace.clone(), name.clone()));
        let ready = |release: &Release| {
            // Helm waits for a release's own Deployment before a dependant starts.
            release.done() && cluster.rolled_out(&deployment_of(&(namespace.clone(), name.clone()), release))
        };
        if !other.is_some_and(ready) {
            return Some(format!("dependency '{namespace}/{name}' is not ready"));
        }
    }
    None
}

impl Release {
    /// Helm goes back to the release before; what it says of it, where there is one.
    fn roll_back(&mut self, key: &ReleaseKey, now: Timestamp) -> Option<String> {
        let back =
            self.history.iter().find(|one| one.status == "deployed" || one.status == "superseded")?.clone();
        let number = self.history.first().map_or(1, |last| last.number + 1);
        for old in &mut self.history {
            old.status = if old.status == "deployed" { "superseded" } else { old.status };
        }
        let message = format!(
            "Helm rollback to previous release {}/{}.v{} with chart {}@{} succeeded",
            key.0, key.1, back.number, back.chart, back.version
        );
        self.history.insert(0, Snapshot { number, status: "deployed", at: later(now, -1), ..back });
        Some(message)
    }

    /// Nothing is left to do for what is asked.
    fn settle_as_is(&mut self) {
        self.phase = Phase::Settled;
        self.is_renewed = false;
        self.failures = 0;
        self.working_on = self.generation;
        self.observed = self.generation;
    }
}

fn snapshot(release: &Release, version: &str, number: u64, at: Timestamp) -> Snapshot {
    Snapshot {
        chart: release.chart().to_owned(),
        version: version.to_owned(),
        status: "deployed",
        number,
        at: later(at, -1),
    }
}

/// Makes or changes the Deployment of a chart that has one; `true` when that starts a roll.
fn install(
    cluster: &mut Cluster,
    key: &ReleaseKey,
    release: &Release,
    version: &str,
    now: Timestamp,
) -> bool {
    let (role, replicas) = match release.chart() {
        "istiod" => (Role::Istiod, 2),
        "gateway" => (Role::Gateway, 2),
        _ => return false,
    };
    let version = if role == Role::Istiod { release.image_version(version) } else { version.to_owned() };
    let workload = deployment_of(key, release);
    if cluster.workloads.contains_key(&workload) {
        return cluster.retemplate(&workload, now, |found| found.version.clone_from(&version));
    }
    let spec = WorkloadSpec::new(&workload.1, &workload.2, WorkloadKind::Deployment, replicas);
    cluster.add_workload(&spec, role, &version, now);
    false
}

/// The Deployment that a release's chart makes: istiod's is called `istiod` whatever the release is called.
pub(crate) fn deployment_of(key: &ReleaseKey, release: &Release) -> Key {
    let or = |pointer: &str, other: &str| match flux::text(&release.spec, pointer) {
        "" => other.to_owned(),
        given => given.to_owned(),
    };
    let name = if release.chart() == "istiod" { "istiod".to_owned() } else { or("/releaseName", &key.1) };
    (WorkloadKind::Deployment, or("/targetNamespace", &key.0), name)
}
