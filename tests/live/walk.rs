//! One cluster's dry run over real systems: plan, pre-check, decision, the change that would be proposed. Every task gives
//! an answer, and nothing is changed anywhere.

use std::sync::Arc;

use guard_datadog::Datadog;
use guard_domain::{ClusterRecord, Config};
use guard_gitlab::GitLab;
use guard_http::cluster_access::ClusterAccess;
use guard_istioctl::Istioctl;
use guard_kubernetes::Clusters;
use guard_lambda::SystemClock;
use guard_memory::{FixedConfig, MemoryStore};
use guard_tasks::ledger::Ledger;
use guard_tasks::{
    Channels, Clock, ExecutionReader, JsonTask, Liveness, TaskError, decide, open_merge_request, plan_batch,
    pre_check,
};
use serde_json::{Value, json};

use crate::environment::{given_or, say, wanted};
use crate::kubeconfig::Context;
use crate::world::{Outside, reads};

struct Subject {
    access: Arc<dyn ClusterAccess>,
    clock: Arc<dyn Clock>,
    row: ClusterRecord,
    target: String,
    config: Config,
    gitlab_token: String,
    datadog_keys: [String; 2],
}

/// In a dry run nobody holds anything.
struct Nobody;

#[async_trait::async_trait]
impl ExecutionReader for Nobody {
    async fn liveness(&self, _: &str) -> Result<Liveness, TaskError> {
        Ok(Liveness::Unknown)
    }
}

/// What each task said.
async fn walk(subject: Subject) -> [Value; 4] {
    let Subject { access, clock, row, target, config, gitlab_token, datadog_keys: [api, app] } = subject;
    let store = Arc::new(MemoryStore::with_clusters([row.clone()]));
    let gitlab = Arc::new(GitLab::new(reads(), &config.gitlab.url, gitlab_token.into()));
    let datadog = Arc::new(Datadog::new(reads(), &config.datadog.site, api.into(), app.into()));
    let ledger = Ledger {
        config: Arc::new(FixedConfig(config)),
        batches: store.clone(),
        clusters: store.clone(),
        statuses: store.clone(),
        records: store.clone(),
        clock,
    };
    let input = json!({"batch_id": row.batch_id, "target_version": target, "dry_run": true});
    let plan = plan_batch::PlanBatch {
        starts: store.clone(),
        locks: store.clone(),
        executions: Arc::new(Nobody),
        ledger: ledger.clone(),
    };
    let planned = plan
        .invoke(json!({
            "machine": "batch-upgrade", "input": input, "execution_arn": "arn:live", "execution_name": "guard-live"
        }))
        .await
        .unwrap();
    assert_eq!(planned["decision"], "go", "{}", planned["summary"]);
    let run = &planned["run"];
    let check = pre_check::PreCheck {
        health: Arc::new(Clusters::new(reads(), Arc::clone(&access))),
        traffic: datadog.clone(),
        memory: datadog.clone(),
        integration: datadog.clone(),
        monitors: datadog.clone(),
        commits: gitlab.clone(),
        files: gitlab.clone(),
        // Where there is one; where there is none, the check says so.
        analyzer: Arc::new(Istioctl::new("/opt/bin/istioctl", "/tmp", access)),
        ledger: ledger.clone(),
    };
    let checked = check.invoke(json!({"run": run, "cluster_id": row.cluster_id})).await.unwrap();
    let decided = decide::Decide { notifier: Channels::default(), ledger: ledger.clone() }
        .invoke(json!({"run": run, "gate": "pre_check", "results": [checked]}))
        .await
        .unwrap();
    let open = open_merge_request::OpenMergeRequest {
        commits: gitlab.clone(),
        files: gitlab.clone(),
        merge_requests: gitlab.clone(),
        looks: gitlab,
        metrics: datadog,
        batches: store.clone(),
        locks: store.clone(),
        ledger,
    };
    let preview = open.invoke(json!({"run": run, "direction": "upgrade"})).await.unwrap();
    assert_eq!(store.clusters(), [row], "no row was changed");
    assert_eq!((store.runs(), store.held_locks()), (vec![], vec![]), "nothing was written down");
    [planned, checked, decided, preview]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_is_walked_through() {
    let outside = Outside::open().await;
    let fleet = &outside.fleet;
    let mut config = fleet.config.clone();
    config.gitlab.url.clone_from(&outside.served.gitlab_url);
    config.datadog.site.clone_from(&outside.served.datadog_url);
    let [_, checked, _, preview] = walk(Subject {
        access: outside.aws(),
        clock: outside.clock(),
        row: fleet.rows[0].clone(),
        target: fleet.target.to_string(),
        config,
        gitlab_token: fleet.world.gitlab_token.clone(),
        datadog_keys: [fleet.world.datadog_api_key.clone(), fleet.world.datadog_app_key.clone()],
    })
    .await;
    assert_eq!(checked["verdict"], "pass", "{checked}");
    assert!(preview["summary"].as_str().unwrap().contains("+      version: \"1.30.5\""), "{preview}");
    assert_eq!((outside.world.branches().len(), outside.world.merge_requests().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_systems_are_walked_through() {
    let names = [
        "GITLAB_TEST_TOKEN",
        "KUBECONFIG",
        "K8S_TEST_CONTEXT",
        "DATADOG_TEST_API_KEY",
        "DATADOG_TEST_APP_KEY",
        "GUARD_TEST_ROW",
        "GUARD_TEST_TARGET_VERSION",
    ];
    let Some([token, files, context, api, app, row, target]) = wanted("the walk", names) else { return };
    let row = serde_json::from_str(&std::fs::read_to_string(row).unwrap()).unwrap();
    let mut config = Config::default();
    config.gitlab.url = given_or("GITLAB_TEST_URL", "https://gitlab.com");
    config.gitlab.default_target_branch = given_or("GITLAB_TEST_BRANCH", "main");
    config.datadog.site = given_or("DATADOG_TEST_SITE", "datadoghq.com");
    let answers = walk(Subject {
        access: Arc::new(Context::read(&files, &context).unwrap()),
        clock: Arc::new(SystemClock),
        row,
        target,
        config,
        gitlab_token: token,
        datadog_keys: [api, app],
    })
    .await;
    for answer in answers {
        say(&answer.to_string());
    }
}
