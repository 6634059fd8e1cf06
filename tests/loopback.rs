//! The adapters over real sockets: HTTP for the vendors, TLS with the cluster's own authority for Kubernetes, bearer
//! tokens signed for real. What the in-process simulation leaves out, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_aws::{Aws, Endpoints};
use guard_datadog::Datadog;
use guard_domain::notification::Notification;
use guard_domain::{ClusterRecord, Plan, Proposal, WorkloadKind, manifest};
use guard_gitlab::GitLab;
use guard_http::cluster_access::{Access, ClusterAccess};
use guard_http::{ReqwestTransport, Transport};
use guard_kubernetes::Clusters;
use guard_notify::{PagerDuty, Slack};
use guard_simulation::Fleet;
use guard_tasks::{
    Clock, ClusterHealthReader, CommitReader, DataPlaneReader, ErrorName, FileReader, MergeRequestWriter,
    MonitorReader, Notifier, Opening, ProxyRestarter, RolloutReader, TaskError, TrafficReader,
};
use guard_world::{Pace, Served, World};
use jiff::{SignedDuration, Timestamp};

struct WorldClock(World);

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

struct Outside {
    fleet: Fleet,
    world: World,
    served: Served,
    transport: Arc<dyn Transport>,
    aws: Arc<Aws>,
}

async fn outside() -> Outside {
    let fleet = Fleet::new(2, 1, None, None).unwrap();
    let world = World::new(fleet.world.clone());
    let served = guard_world::serve(world.clone(), Pace::ByHand).await.unwrap();
    let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new());
    let endpoints = Endpoints { sts: Some(served.sts_url.clone()), eks: Some(served.eks_url.clone()) };
    let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKIAGUARD", "secret", None));
    let aws = Arc::new(Aws::new(
        Arc::clone(&transport),
        credentials,
        Arc::new(WorldClock(world.clone())),
        endpoints,
    ));
    Outside { fleet, world, served, transport, aws }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_read_and_restarted_over_tls() {
    let outside = outside().await;
    let row = &outside.fleet.rows[0];
    let clusters = Clusters::new(Arc::clone(&outside.transport), outside.aws.clone());

    let facts = clusters.health(row, guard_tasks::Extent::Whole, Duration::from_mins(1)).await.unwrap();
    assert_eq!(facts.eks.unwrap().status, "ACTIVE");
    let nodes = facts.nodes.unwrap();
    assert!(!nodes.is_empty() && nodes.iter().all(|node| node.is_ready));
    assert_eq!(facts.flux.unwrap().releases.len(), 3);
    assert_eq!(facts.istiod.unwrap().pods, [(Some(outside.fleet.start.clone()), 2)]);

    let workload = facts
        .workloads
        .unwrap()
        .iter()
        .find(|w| w.workload.kind == WorkloadKind::StatefulSet)
        .unwrap()
        .workload
        .clone();
    clusters.restart(row, std::slice::from_ref(&workload), "run-1/upgrade").await.unwrap();
    clusters.restart(row, std::slice::from_ref(&workload), "run-1/upgrade").await.unwrap();
    outside.world.advance_to(outside.world.now() + SignedDuration::from_mins(5));
    let found = clusters.data_plane(row, true).await.unwrap().workloads;
    let after = found.into_iter().find(|w| w.workload == workload).unwrap();
    assert_eq!(after.restart_mark.as_deref(), Some("run-1/upgrade"));
    assert!(after.counts.is_complete());
    let seen = outside.world.cluster(row.cluster_id.as_str()).unwrap();
    let restarts = seen.workloads.iter().find(|w| w.name == workload.name).unwrap().restarts;
    assert_eq!(restarts, 1, "the second call changed nothing");
}

/// Takes the authority of a world that has nothing to do with the one that is served.
struct WrongAuthority(Arc<Aws>, String);

#[async_trait]
impl ClusterAccess for WrongAuthority {
    async fn access(&self, cluster: &ClusterRecord) -> Result<Access, TaskError> {
        let mut access = self.0.access(cluster).await?;
        if let Some(server) = &mut access.api_server {
            server.ca_pem = Arc::from(self.1.as_str());
        }
        Ok(access)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_cannot_prove_itself_is_not_spoken_to() {
    let outside = outside().await;
    let mut other = outside.fleet.world.clone();
    other.seed += 1;
    let strange = World::new(other).ca_pem();
    let access = Arc::new(WrongAuthority(outside.aws.clone(), strange));
    let error = Clusters::new(Arc::clone(&outside.transport), access)
        .rollout(&outside.fleet.rows[0])
        .await
        .unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
    assert!(
        outside.world.requests().iter().all(|r| !r.path.starts_with("/api")),
        "a request reached the API server"
    );
}

/// A token is good for its own cluster only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_of_another_account_opens_nothing() {
    let outside = outside().await;
    let mut row = outside.fleet.rows[0].clone();
    row.aws_role_arn.clone_from(&outside.fleet.rows[1].aws_role_arn);
    let error =
        Clusters::new(Arc::clone(&outside.transport), outside.aws.clone()).rollout(&row).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_request_is_opened_once_and_withdrawn() {
    let outside = outside().await;
    let row = &outside.fleet.rows[0];
    let token = outside.fleet.world.gitlab_token.clone();
    let gitlab = GitLab::new(Arc::clone(&outside.transport), &outside.served.gitlab_url, token.into());
    let project = row.gitlab_repo.as_str();
    let head = gitlab.head(project, "main").await.unwrap();
    let files = gitlab.yaml_files(project, &[&row.flux_config_path], &head).await.unwrap();
    assert_eq!(files.len(), 3);
    let edited =
        manifest::edit(&files[..1], &manifest::Aim::new(&outside.fleet.start, &outside.fleet.target))
            .unwrap();
    let proposal = Proposal {
        project: project.into(),
        base_commit: head.clone(),
        source_branch: "feature/istio-x".into(),
        target_branch: "main".into(),
        title: "Istio".into(),
        description: "words <!-- mark -->".into(),
        marker: "<!-- mark -->".into(),
        commit_message: "Istio".into(),
        files: edited.files,
        labels: vec!["guard".into()],
        assignees: vec!["mesh-team".into()],
        reviewers: Vec::new(),
    };
    let opened = async || match gitlab.open(&proposal).await.unwrap() {
        Opening::Opened(opened) => opened.request,
        Opening::Refused(finding) => panic!("{finding}"),
    };
    let first = opened().await;
    assert_eq!(first.iid, opened().await.iid);
    assert_eq!(outside.world.merge_requests().len(), 1);
    assert!(gitlab.is_ancestor(project, &head, &head).await.unwrap());
    gitlab.withdraw(project, first.iid).await.unwrap();
    gitlab.withdraw(project, first.iid).await.unwrap();
    assert_eq!(outside.world.merge_requests()[0].state, "closed");
    assert_eq!(outside.world.branches().len(), 1);

    let stranger = GitLab::new(
        Arc::clone(&outside.transport),
        &outside.served.gitlab_url,
        "glpat-other".to_owned().into(),
    );
    assert_eq!(stranger.head(project, "main").await.unwrap_err().name, ErrorName::Denied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datadog_is_asked_for_all_clusters_at_once() {
    let outside = outside().await;
    let spec = &outside.fleet.world;
    let (api, app) = (spec.datadog_api_key.clone(), spec.datadog_app_key.clone());
    let datadog =
        Datadog::new(Arc::clone(&outside.transport), &outside.served.datadog_url, api.into(), app.into());
    let to = outside.world.now();
    let traffic = datadog.traffic(&outside.fleet.rows, to - SignedDuration::from_hours(1), to).await.unwrap();
    assert_eq!(traffic.len(), 2);
    assert!(traffic.values().all(|window| window.requests > 100_000.0 && window.latency_p95_ms.len() > 50));
    let calls = outside.world.requests().len();
    assert!(calls <= 3, "{calls} calls for two clusters");
    outside.world.fire_monitor("test-euw1-1", "5xx");
    let monitors = datadog.monitors(&outside.fleet.rows[0]).await.unwrap();
    assert_eq!(monitors.iter().map(|m| m.state.as_str()).collect::<Vec<_>>(), ["Alert"]);
    assert!(datadog.monitors(&outside.fleet.rows[1]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_over_sockets() {
    let outside = outside().await;
    let spec = &outside.fleet.world;
    let webhook = outside.served.slack_webhook_url.clone();
    let slack = Slack::new(Arc::clone(&outside.transport), webhook.clone().into());
    let url = outside.served.pagerduty_url.as_str();
    let key = spec.pagerduty_routing_key.clone();
    let pager = PagerDuty::new(Arc::clone(&outside.transport), Some(url), key.into());
    let plan = serde_json::json!({
        "run_id": "run-1", "execution_arn": "", "direction": "upgrade", "batch_id": "test",
        "started_at": "2026-11-28T08:00:00Z", "reason": null, "clusters": [], "target_branch": "main", "config": {}
    });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let told = Notification::halted(&plan, "Datadog is silent", true);
    for channel in [&slack as &dyn Notifier, &pager] {
        channel.notify(&told).await.unwrap();
        channel.resolve(&told.incident()).await.unwrap();
    }
    assert_eq!(outside.world.messages().len(), 1);
    let actions: Vec<String> = outside.world.events().into_iter().map(|event| event.action).collect();
    assert_eq!(actions, ["trigger", "resolve"]);

    let stranger = Slack::new(Arc::clone(&outside.transport), (webhook + "x").into());
    let error = stranger.notify(&told).await.unwrap_err();
    assert_eq!(error.chain(), "notify by webhook: Slack post message: status 404: no_service");
    let stranger = PagerDuty::new(Arc::clone(&outside.transport), Some(url), "other-key".to_owned().into());
    let error = stranger.notify(&told).await.unwrap_err();
    assert!(error.chain().ends_with("status 400: 'routing_key' is invalid or missing"), "{error}");
}
