//! What a test or a story can see of the world without HTTP.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::World;
use crate::spec::WorkloadKind;
use crate::workload::Role;

/// A part of the outside world, for counting calls and planning outages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// GitLab.
    GitLab,
    /// Datadog.
    Datadog,
    /// AWS STS.
    Sts,
    /// AWS EKS.
    Eks,
    /// The chat room's webhook.
    Slack,
    /// PagerDuty.
    PagerDuty,
    /// The API server of one cluster.
    Kubernetes(String),
    /// A host the world does not know.
    Unknown,
}

/// One request as the world saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// The world's time.
    pub at: Timestamp,
    /// Who was asked.
    pub system: System,
    /// The host in the request.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// How much went to and from one system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub calls: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answer bodies.
    pub bytes_out: u64,
    /// The same as they were sent: a served API server compresses what is large. In-process nothing is.
    pub bytes_on_the_wire: u64,
}

/// A file that a merge request changes: path, before, after.
pub type FileDiff = (String, Option<String>, Option<String>);

/// A merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequestView {
    /// The project's path.
    pub project: String,
    /// Its number in the project.
    pub iid: u64,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// The branch it comes from.
    pub source_branch: String,
    /// The branch it goes to.
    pub target_branch: String,
    /// `opened`, `closed` or `merged`.
    pub state: String,
    /// Who is asked to merge it.
    pub assignees: Vec<String>,
    /// Who is asked to review it.
    pub reviewers: Vec<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its notes.
    pub notes: Vec<String>,
    /// When it was opened first.
    pub created_at: Timestamp,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
    /// When it was closed unmerged.
    pub closed_at: Option<Timestamp>,
    /// The head of the source branch.
    pub sha: String,
    /// The merge commit.
    pub merge_commit_sha: Option<String>,
    /// What it changes.
    pub diffs: Vec<FileDiff>,
    /// Where a person would look at it.
    pub web_url: String,
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: WorkloadKind,
    /// How many pods it wants.
    pub replicas: usize,
    /// How many pods are ready.
    pub ready: usize,
    /// Whether it is fully rolled out and ready.
    pub settled: bool,
    /// How many pods run each sidecar version.
    pub proxy_versions: BTreeMap<String, usize>,
    /// Rollouts begun since the start.
    pub restarts: u32,
    /// The pod template's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Its name.
    pub cluster_id: String,
    /// The version all ready istiod pods run; `None` while they differ or none is ready.
    pub istiod_version: Option<String>,
    /// The deployed chart version by release, `namespace/name`.
    pub charts: BTreeMap<String, String>,
    /// Each release's condition in words: `deployed`, `upgrading`, `blocked: ...` or `failed: ...`.
    pub releases: BTreeMap<String, String>,
    /// The applications.
    pub workloads: Vec<WorkloadView>,
    /// The gateways.
    pub gateways: Vec<WorkloadView>,
    /// How many proxies run each version.
    pub proxy_versions: BTreeMap<String, usize>,
    /// The commit of `main` that Flux applied last.
    pub applied_commit: String,
    /// The most pods that were unavailable at the same time.
    pub max_unavailable_pods: usize,
}

impl World {
    /// Every merge request, oldest first, one project after the other.
    pub fn merge_requests(&self) -> Vec<MergeRequestView> {
        let mut state = self.state();
        state.projects.values_mut().for_each(crate::gitlab::Project::refresh);
        let text =
            |content: Option<&Vec<u8>>| content.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let all = state
            .projects
            .values()
            .flat_map(|project| project.merge_requests.iter().map(move |request| (project, request)));
        all.map(|(project, request)| {
            let diffs = project.trees(request).map(|(before, after)| {
                let paths = crate::git::changed_paths(&before, &after).into_iter();
                paths.map(|path| (path.clone(), text(before.get(&path)), text(after.get(&path)))).collect()
            });
            MergeRequestView {
                project: project.path.clone(),
                iid: request.iid,
                title: request.title.clone(),
                description: request.description.clone(),
                source_branch: request.source.clone(),
                target_branch: request.target.clone(),
                state: request.state.as_str().to_owned(),
                labels: request.labels.clone(),
                assignees: request.assignees.clone(),
                reviewers: request.reviewers.clone(),
                notes: request.notes.iter().map(|note| note.text.clone()).collect(),
                created_at: request.created,
                merged_at: request.merged,
                closed_at: request.closed,
                sha: request.head.clone(),
                merge_commit_sha: request.merge_commit.clone(),
                diffs: diffs.unwrap_or_default(),
                web_url: crate::gitlab::web_url(project, request.iid),
            }
        })
        .collect()
    }

    /// A file's text at a branch or commit of the first project.
    pub fn file(&self, reference: &str, path: &str) -> Option<String> {
        let state = self.state();
        let project = state.projects.get(&state.spec.gitlab_project)?;
        let content = project.git.resolve(reference)?.tree.get(path)?;
        Some(String::from_utf8_lossy(content).into_owned())
    }

    /// Whether Datadog has nothing of a cluster between two moments, the second excluded: asked for each minute.
    pub fn was_silent(&self, cluster_id: &str, from: Timestamp, until: Timestamp) -> bool {
        let state = self.state();
        let minutes = (from.as_second()..until.as_second()).step_by(60);
        let mut minutes = minutes.filter_map(|second| Timestamp::from_second(second).ok()).peekable();
        minutes.peek().is_some() && minutes.all(|at| state.signals.silent(cluster_id, at))
    }

    /// Every branch of the first project with its head.
    pub fn branches(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let first = state.projects.get(&state.spec.gitlab_project);
        first.map(|project| project.git.branches.clone()).unwrap_or_default()
    }

    /// Commits of the first project, all branches together.
    pub fn commit_count(&self) -> usize {
        let state = self.state();
        state.projects.get(&state.spec.gitlab_project).map_or(0, |project| project.git.commit_count())
    }

    /// A cluster as it is now.
    pub fn cluster(&self, cluster_id: &str) -> Option<ClusterView> {
        let state = self.state();
        let cluster = state.clusters.get(cluster_id)?;
        let of = |roles: &[Role]| -> Vec<WorkloadView> {
            let chosen = cluster.workloads.values().filter(|workload| roles.contains(&workload.role));
            chosen.map(view_of).collect()
        };
        let named = |(namespace, name): &(String, String)| format!("{namespace}/{name}");
        let releases = &cluster.flux.releases;
        Some(ClusterView {
            cluster_id: cluster_id.to_owned(),
            istiod_version: cluster.istiod_version().map(str::to_owned),
            charts: releases
                .iter()
                .filter_map(|(key, release)| Some((named(key), release.deployed()?.to_owned())))
                .collect(),
            releases: releases.iter().map(|(key, release)| (named(key), release.in_words())).collect(),
            workloads: of(&[Role::Application, Role::HostNetwork, Role::Outside]),
            gateways: of(&[Role::Gateway]),
            proxy_versions: cluster.tally.proxies.clone(),
            applied_commit: cluster.flux.applied.clone(),
            max_unavailable_pods: cluster.most_unavailable,
        })
    }

    /// Every cluster's name.
    pub fn cluster_ids(&self) -> Vec<String> {
        self.state().clusters.keys().cloned().collect()
    }

    /// Every request since the start, oldest first.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.state().log.clone()
    }

    /// How many requests each system got.
    pub fn calls(&self) -> BTreeMap<System, u64> {
        self.state().traffic.iter().map(|(system, traffic)| (system.clone(), traffic.calls)).collect()
    }

    /// Requests and bytes by system.
    pub fn traffic(&self) -> BTreeMap<System, Traffic> {
        self.state().traffic.clone()
    }

    /// The titles of the events posted to Datadog.
    pub fn datadog_events(&self) -> Vec<(Timestamp, String)> {
        self.state().signals.events.clone()
    }
}

fn view_of(workload: &crate::workload::Workload) -> WorkloadView {
    let mut proxy_versions = BTreeMap::new();
    for version in workload.pods.iter().filter_map(|pod| pod.proxy.clone()) {
        *proxy_versions.entry(version).or_default() += 1;
    }
    WorkloadView {
        namespace: workload.namespace().to_owned(),
        name: workload.name().to_owned(),
        kind: workload.kind(),
        replicas: workload.replicas,
        ready: workload.ready(),
        settled: workload.settled(),
        proxy_versions,
        restarts: workload.rollouts,
        annotations: workload.template_annotations.clone(),
    }
}
