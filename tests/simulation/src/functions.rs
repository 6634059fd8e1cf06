//! The Lambda functions, in this process: every task over the real adapters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_asl::{FunctionError, Invocation, Reply, StepFunctions, TaskRunner};
use guard_aws::{Aws, Endpoints};
use guard_datadog::Datadog;
use guard_domain::Config;
use guard_gitlab::GitLab;
use guard_http::Transport;
use guard_kubernetes::Clusters;
use guard_memory::{FixedConfig, MemoryStore};
use guard_tasks::ledger::Ledger;
use guard_tasks::{
    JsonTask, await_merge, decide, judge_soak, open_merge_request, plan_batch, plan_rollout, post_check,
    pre_check, restart_proxies, settle, watch_merges, watch_rollout,
};
use guard_world::{World, WorldSpec};

use crate::ports::{LocalStepFunctions, VirtualTime};
use crate::transport::InProcess;

/// Every function's name.
pub const FUNCTIONS: [&str; 12] = [
    "plan-rollout",
    "plan-batch",
    "pre-check",
    "decide",
    "open-merge-request",
    "await-merge",
    "watch-merges",
    "watch-rollout",
    "restart-proxies",
    "judge-soak",
    "post-check",
    "settle",
];

/// Virtual time of an invocation that calls nobody, and what each outward call adds. Rough figures: they only have to
/// make time pass.
const BARE: Duration = Duration::from_millis(50);
const PER_CALL: Duration = Duration::from_millis(40);

/// What a state calls a function by.
pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:guard-{name}", guard_asl::REGION, guard_asl::ACCOUNT)
}

/// Runs a function when the interpreter calls it.
pub(crate) struct Functions {
    world: World,
    transport: Arc<InProcess>,
    tasks: BTreeMap<String, Arc<dyn JsonTask>>,
}

impl Functions {
    pub(crate) fn new(
        world: &World,
        spec: &WorldSpec,
        store: &MemoryStore,
        config: Config,
        service: &StepFunctions,
    ) -> Self {
        let transport = Arc::new(InProcess::new(world.clone()));
        let tasks = tasks(&(Arc::clone(&transport) as Arc<dyn Transport>), spec, store, config, service);
        let tasks = tasks.into_iter().map(|task| (function_arn(task.name()), task)).collect();
        Self { world: world.clone(), transport, tasks }
    }
}

#[async_trait]
impl TaskRunner for Functions {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        self.world.advance_to(invocation.at);
        let before = self.transport.calls();
        let outcome = match self.tasks.get(&invocation.function) {
            Some(task) => task.invoke(invocation.payload).await.map_err(|error| FunctionError {
                error_type: error.name.as_str().to_owned(),
                error_message: error.chain(),
            }),
            None => Err(FunctionError {
                error_type: "Lambda.ResourceNotFoundException".to_owned(),
                error_message: format!("Function not found: {}", invocation.function),
            }),
        };
        let calls = u32::try_from(self.transport.calls() - before).unwrap_or(u32::MAX);
        Reply { outcome, took: BARE + PER_CALL.saturating_mul(calls) }
    }
}

/// The composition that the functions' own packages make for AWS, over one transport.
fn tasks(
    transport: &Arc<dyn Transport>,
    spec: &WorldSpec,
    store: &MemoryStore,
    config: Config,
    service: &StepFunctions,
) -> Vec<Arc<dyn JsonTask>> {
    let store = Arc::new(store.clone());
    let clock = Arc::new(VirtualTime(service.clock()));
    let step_functions = Arc::new(LocalStepFunctions(service.clone()));
    let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKIAWORLD", "secret", None));
    let aws = Arc::new(Aws::new(Arc::clone(transport), credentials, clock.clone(), Endpoints::default()));
    let clusters = Arc::new(Clusters::new(Arc::clone(transport), aws));
    let gitlab =
        Arc::new(GitLab::new(Arc::clone(transport), &config.gitlab.url, spec.gitlab_token.clone().into()));
    let datadog = Arc::new(Datadog::new(
        Arc::clone(transport),
        &config.datadog.site,
        spec.datadog_api_key.clone().into(),
        spec.datadog_app_key.clone().into(),
    ));
    let ledger = Ledger {
        config: Arc::new(FixedConfig(config)),
        batches: store.clone(),
        clusters: store.clone(),
        statuses: store.clone(),
        records: store.clone(),
        clock: clock.clone(),
    };
    vec![
        Arc::new(plan_rollout::PlanRollout { ledger: ledger.clone() }),
        Arc::new(plan_batch::PlanBatch {
            locks: store.clone(),
            executions: step_functions.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(pre_check::PreCheck {
            health: clusters.clone(),
            traffic: datadog.clone(),
            monitors: datadog.clone(),
            commits: gitlab.clone(),
            files: gitlab.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(decide::Decide { ledger: ledger.clone() }),
        Arc::new(open_merge_request::OpenMergeRequest {
            commits: gitlab.clone(),
            files: gitlab.clone(),
            merge_requests: gitlab.clone(),
            batches: store.clone(),
            locks: store.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(await_merge::AwaitMerge {
            merge_requests: gitlab.clone(),
            commits: gitlab.clone(),
            files: gitlab.clone(),
            tokens: store.clone(),
            answers: step_functions.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(watch_merges::WatchMerges {
            merge_requests: gitlab.clone(),
            commits: gitlab.clone(),
            files: gitlab.clone(),
            tokens: store.clone(),
            answers: step_functions,
            records: store.clone(),
            clock,
        }),
        Arc::new(watch_rollout::WatchRollout {
            rollouts: clusters.clone(),
            commits: gitlab.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(restart_proxies::RestartProxies {
            workloads: clusters.clone(),
            restarts: clusters.clone(),
            locks: store.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(judge_soak::JudgeSoak { traffic: datadog, ledger: ledger.clone() }),
        Arc::new(post_check::PostCheck { health: clusters, ledger: ledger.clone() }),
        Arc::new(settle::Settle {
            merge_requests: gitlab.clone(),
            commits: gitlab.clone(),
            files: gitlab,
            locks: store,
            ledger,
        }),
    ]
}
