//! What a world looks like before anything happens.

mod large;
mod nodes;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

pub use nodes::{NodeFamily, NodeGroup};
pub use workload::{Amount, Budget, Strategy, WorkloadKind, WorkloadSpec};

/// The whole world at its start.
#[derive(Debug, Clone)]
pub struct WorldSpec {
    /// Every choice of the world follows from this number.
    pub seed: u64,
    /// The world's clock at its start.
    pub start: Timestamp,
    /// The AWS region of every cluster.
    pub region: String,
    /// The GitLab project's path, such as `platform/fleet`.
    pub gitlab_project: String,
    /// Other projects, by path: the content of their `main` at the start.
    pub more_projects: BTreeMap<String, BTreeMap<String, String>>,
    /// The users that GitLab knows, by name.
    pub gitlab_users: Vec<String>,
    /// The most entries that GitLab puts on a page, whatever is asked for.
    pub gitlab_page_limit: usize,
    /// Names of branches that only those who may merge push to; a pattern ends in `*`.
    pub protected_branches: Vec<String>,
    /// The scopes of the access token.
    pub token_scopes: Vec<String>,
    /// The one access token GitLab accepts.
    pub gitlab_token: String,
    /// Whether that token may merge into the protected branch.
    pub token_may_merge: bool,
    /// The API key Datadog accepts.
    pub datadog_api_key: String,
    /// The application key Datadog accepts.
    pub datadog_app_key: String,
    /// The whole address of the chat room's incoming webhook.
    pub slack_webhook_url: String,
    /// The routing key PagerDuty accepts.
    pub pagerduty_routing_key: String,
    /// The clusters.
    pub clusters: Vec<ClusterSpec>,
    /// The content of `main` at the start: path to text.
    pub files: BTreeMap<String, String>,
    /// Datadog has no metrics that are older. It keeps 15 months; what is judged by days is judged faster by hours.
    pub metrics_since: Option<Timestamp>,
    /// What the person who looks at merge requests does.
    pub person: Person,
}

/// One cluster at its start. Its Istio version is the one its files ask for.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The EKS cluster's name.
    pub cluster_id: String,
    /// The AWS account that owns it.
    pub account_id: String,
    /// The role that may describe it and speak to its API server.
    pub role_arn: String,
    /// The external id the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The Kubernetes minor version, such as `1.33`.
    pub kubernetes_version: String,
    /// The project that this cluster's Flux follows, where it is not the world's first one.
    pub gitlab_project: Option<String>,
    /// The directory in the repository that this cluster's Flux applies.
    pub flux_path: String,
    /// The value of the tag `kube_cluster_name` on its metrics.
    pub datadog_cluster_tag: String,
    /// The value of the tag `env` on its metrics.
    pub environment: String,
    /// Its nodes, by operating system. Without any it has one Amazon Linux node for each pod of its largest DaemonSet.
    pub node_groups: Vec<NodeGroup>,
    /// What runs in it beside Istio itself.
    pub workloads: Vec<WorkloadSpec>,
    /// Old ReplicaSets without pods that each Deployment keeps; Kubernetes keeps ten at most.
    pub old_replica_sets: usize,
    /// Resource definitions of others, beside those of Istio and Flux.
    pub other_definitions: usize,
    /// Its objects weigh what a real API server's weigh.
    pub real_sizes: bool,
    /// Mean requests a minute through the mesh.
    pub requests_per_minute: f64,
    /// The usual 95th percentile of the latency.
    pub latency_p95_ms: f64,
}

/// How the person answers each kind of merge request.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// The answer to an upgrade: any title that does not start with `[ROLLBACK]`.
    pub upgrade: Answer,
    /// The answer to a rollback.
    pub rollback: Answer,
}

/// One answer to a merge request, counted from its opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Merge it.
    Merge {
        /// How long after its opening.
        after: Duration,
    },
    /// Close it unmerged.
    Close {
        /// How long after its opening.
        after: Duration,
    },
    /// Never look at it.
    Ignore,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            upgrade: Answer::Merge { after: Duration::from_mins(20) },
            rollback: Answer::Merge { after: Duration::from_mins(5) },
        }
    }
}

impl Default for WorldSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            start: Timestamp::from_second(1_790_000_000).unwrap_or(Timestamp::UNIX_EPOCH),
            region: "eu-west-1".to_owned(),
            gitlab_project: "platform/fleet".to_owned(),
            more_projects: BTreeMap::new(),
            gitlab_users: ["mesh-team", "platform-team", "robin", "casey"].map(str::to_owned).to_vec(),
            gitlab_page_limit: 100,
            protected_branches: vec!["main".to_owned()],
            token_scopes: vec!["api".to_owned()],
            gitlab_token: "glpat-world".to_owned(),
            token_may_merge: false,
            datadog_api_key: "dd-api-world".to_owned(),
            datadog_app_key: "dd-app-world".to_owned(),
            slack_webhook_url: "https://hooks.slack.com/services/T0WORLD/B0WORLD/hush-world".to_owned(),
            pagerduty_routing_key: "pd-key-world".to_owned(),
            clusters: Vec::new(),
            files: BTreeMap::new(),
            metrics_since: None,
            person: Person::default(),
        }
    }
}

impl ClusterSpec {
    /// A cluster with the usual workloads: every shape that a restart must handle, and two it must leave alone.
    pub fn usual(cluster_id: &str, account_id: &str) -> Self {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        Self {
            cluster_id: cluster_id.to_owned(),
            account_id: account_id.to_owned(),
            role_arn: format!("arn:aws:iam::{account_id}:role/guard-member"),
            external_id: None,
            kubernetes_version: "1.33".to_owned(),
            gitlab_project: None,
            flux_path: format!("clusters/{cluster_id}/istio"),
            datadog_cluster_tag: cluster_id.to_owned(),
            environment: "test".to_owned(),
            node_groups: Vec::new(),
            workloads: vec![
                WorkloadSpec::new("shop", "cart", Deployment, 3),
                WorkloadSpec::new("shop", "web", Deployment, 4),
                WorkloadSpec::new("shop", "search", Deployment, 2).with_native_sidecar(),
                WorkloadSpec::new("data", "ledger", StatefulSet, 3),
                WorkloadSpec::new("edge", "relay", DaemonSet, 3),
                WorkloadSpec::new("edge", "node-agent", DaemonSet, 3).on_host_network(),
                WorkloadSpec::new("batch", "reports", Deployment, 2).outside_the_mesh(),
            ],
            old_replica_sets: 2,
            other_definitions: 2,
            real_sizes: false,
            requests_per_minute: 6_000.0,
            latency_p95_ms: 120.0,
        }
    }
}

impl WorldSpec {
    /// `count` healthy clusters `test-euw1-1`, `test-euw1-2`, ... whose files ask for Istio `version`.
    pub fn healthy(count: usize, version: &str) -> Self {
        let mut spec = Self::default();
        for n in 1..=count {
            let cluster =
                ClusterSpec::usual(&format!("test-euw1-{n}"), &format!("{:012}", 210_000_000_000 + n));
            for (name, text) in istio_files(&cluster.cluster_id, version) {
                spec.files.insert(format!("{}/{name}", cluster.flux_path), text);
            }
            spec.clusters.push(cluster);
        }
        spec.files.insert("README.md".to_owned(), "# fleet\n\nWhat runs on the clusters.\n".to_owned());
        spec
    }
}

/// The three files of one cluster, written as people write them: comments, quotes in two styles, an anchor.
pub fn istio_files(cluster_id: &str, version: &str) -> [(&'static str, String); 3] {
    let base = format!(
        "# Istio's CRDs. Upgraded first.\n\
         apiVersion: source.toolkit.fluxcd.io/v1\n\
         kind: HelmRepository\n\
         metadata:\n  name: istio\n  namespace: flux-system\n\
         spec:\n  interval: 12h\n  url: https://blob.istio.io/istio-release/charts\n\
         ---\n\
         apiVersion: helm.toolkit.fluxcd.io/v2\n\
         kind: HelmRelease\n\
         metadata:\n  name: istio-base\n  namespace: istio-system\n\
         spec:\n  interval: 10m\n  chart:\n    spec:\n      chart: base\n      version: {version}\n      \
         sourceRef:\n        kind: HelmRepository\n        name: istio\n        namespace: flux-system\n  \
         install:\n    crds: CreateReplace\n  upgrade:\n    crds: CreateReplace\n"
    );
    let istiod = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\n\
         kind: HelmRelease\n\
         metadata:\n  name: &app istiod\n  namespace: istio-system\n\
         spec:\n  interval: 10m\n  dependsOn:\n    - name: istio-base\n  chart:\n    spec:\n      chart: istiod\n      \
         version: \"{version}\" # keep in step with base.yaml\n      \
         sourceRef:\n        kind: HelmRepository\n        name: istio\n        namespace: flux-system\n  \
         values:\n    global:\n      meshID: mesh1\n      multiCluster:\n        clusterName: {cluster_id}\n    \
         pilot:\n      autoscaleMin: 2\n      podLabels:\n        team: *app\n"
    );
    let gateway = format!(
        "# The front door.\n\
         apiVersion: helm.toolkit.fluxcd.io/v2\n\
         kind: HelmRelease\n\
         metadata:\n  name: istio-ingressgateway\n  namespace: istio-ingress\n\
         spec:\n  interval: 10m\n  dependsOn:\n    - name: istiod\n      namespace: istio-system\n  \
         chart:\n    spec:\n      chart: gateway\n      version: '{version}'\n      \
         sourceRef:\n        kind: HelmRepository\n        name: istio\n        namespace: flux-system\n"
    );
    [("base.yaml", base), ("istiod.yaml", istiod), ("gateway.yaml", gateway)]
}
