//! The Lambda functions, in this process: every task over the real adapters.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_asl::{FunctionError, Invocation, Reply, TaskRunner};
use guard_aws::{Aws, Endpoints};
use guard_datadog::Datadog;
use guard_domain::{Budget, Config};
use guard_gitlab::{GitLab, Webhook};
use guard_http::{Metered, Transport};
use guard_kubernetes::Clusters;
use guard_memory::FixedConfig;
use guard_notify::{PagerDuty, Slack};
use guard_tasks::ledger::Ledger;
use guard_tasks::{
    Channels, JsonTask, answer_decision, await_decision, await_merge, decide, gate_control_plane, judge_soak,
    merge_webhook, open_merge_request, plan_batch, plan_rollout, post_check, pre_check, restart_proxies,
    settle, sweep, watch_merges, watch_rollout,
};
use guard_world::{World, WorldSpec};
use serde_json::Value;

use crate::analyzer::LocalAnalyzer;
use crate::faults::{Fault, Faults};
use crate::house::Parts;
use crate::ports::{Clocks, LocalStepFunctions, VirtualTime};
use crate::stores::Stores;
use crate::transport::InProcess;
use crate::webhook::TOKEN;

/// Every function's name.
pub const FUNCTIONS: [&str; 17] = [
    "plan-rollout",
    "plan-batch",
    "pre-check",
    "decide",
    "open-merge-request",
    "await-merge",
    "watch-merges",
    "merge-webhook",
    "watch-rollout",
    "restart-proxies",
    "gate-control-plane",
    "judge-soak",
    "await-decision",
    "answer-decision",
    "post-check",
    "settle",
    "sweep",
];

/// Virtual time of an invocation that calls nobody, and what each outward call adds. Rough figures: they only have to
/// make time pass.
const BARE: Duration = Duration::from_millis(50);
const PER_CALL: Duration = Duration::from_millis(40);

/// What a state calls a function by.
pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:guard-{name}", guard_asl::REGION, guard_asl::ACCOUNT)
}

/// What a killed function, or one whose reply is lost, is to the state machine.
const UNKNOWN: &str = "Lambda.Unknown";

/// Longer than any function may run: Lambda's own limit.
const TOO_LONG: Duration = Duration::from_mins(15);

/// Runs a function when the interpreter calls it.
pub(crate) struct Functions {
    world: World,
    faults: Arc<Faults>,
    clocks: Clocks,
    tasks: BTreeMap<String, Arc<dyn JsonTask>>,
}

impl Functions {
    /// What a house is made of, in the hands of its functions.
    pub(crate) fn new(parts: &Parts) -> Self {
        let Parts { world, store, service, analyzer, faults, history, planted, older, clocks, spec, config } =
            parts;
        let transport = InProcess {
            world: world.clone(),
            faults: Arc::clone(faults),
            older: Arc::clone(older),
            planted: planted.clone(),
        };
        let stores = Stores {
            memory: store.clone(),
            faults: Arc::clone(faults),
            history: history.clone(),
            planted: planted.clone(),
        };
        let step_functions = LocalStepFunctions { service: service.clone(), faults: Arc::clone(faults) };
        let clock = VirtualTime { clock: service.clock(), clocks: clocks.clone() };
        let analyzer =
            LocalAnalyzer { state: analyzer.clone(), clock: service.clock(), faults: Arc::clone(faults) };
        let config = Config::clone(config);
        let tasks = tasks(Arc::new(transport), spec, stores, config, step_functions, analyzer, clock);
        let tasks = tasks.into_iter().map(|task| (function_arn(task.name()), task)).collect();
        Self { world: world.clone(), faults: Arc::clone(faults), clocks: clocks.clone(), tasks }
    }

    /// One of them by its name.
    pub(crate) fn task(&self, name: &str) -> Option<&dyn JsonTask> {
        self.tasks.get(&function_arn(name)).map(AsRef::as_ref)
    }

    /// Runs it once; `None` when it dies on the way.
    async fn run(&self, invocation: &Invocation) -> Option<Result<Value, FunctionError>> {
        let Some(task) = self.tasks.get(&invocation.function) else {
            return Some(Err(failed(
                "Lambda.ResourceNotFoundException",
                format!("Function not found: {}", invocation.function),
            )));
        };
        let mut running = task.invoke(invocation.payload.clone());
        // Nothing in this process ever waits: a function that is not ready has died at one of its calls, and is dropped
        // there as Lambda drops it.
        let outcome = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if self.faults.is_dead() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        Some(outcome.map_err(|error| failed(error.name.as_str(), error.chain())))
    }
}

fn failed(name: &str, message: impl Into<String>) -> FunctionError {
    FunctionError { error_type: name.to_owned(), error_message: message.into() }
}

#[async_trait]
impl TaskRunner for Functions {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        self.world.advance_to(invocation.at);
        self.clocks.begin(&invocation.function);
        let fault = self.faults.begin(&invocation);
        self.faults.recorder.invoked(&invocation);
        let outcome = match fault {
            // Of an invocation there is no older copy anywhere.
            None | Some(Fault::IsSlow | Fault::IsStale) => self.run(&invocation).await,
            Some(Fault::Fails(name)) => Some(Err(failed(name, "injected"))),
            Some(Fault::LosesReply) => {
                self.run(&invocation).await;
                Some(Err(failed(UNKNOWN, "the reply was lost")))
            }
            Some(Fault::ActsTwice) => {
                self.run(&invocation).await;
                self.run(&invocation).await
            }
            Some(Fault::Dies) => None,
        };
        let outcome = outcome.unwrap_or_else(|| Err(failed(UNKNOWN, "the function died")));
        self.faults.recorder.replied(&invocation, &outcome);
        let (calls, waited) = self.faults.spent();
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let late = if fault == Some(Fault::IsSlow) { TOO_LONG } else { Duration::ZERO };
        Reply { outcome, took: BARE + PER_CALL.saturating_mul(calls) + waited + late }
    }
}

fn ledger(config: Config, store: &Arc<Stores>, clock: &Arc<VirtualTime>) -> Ledger {
    Ledger {
        config: Arc::new(FixedConfig(config)),
        batches: store.clone(),
        clusters: store.clone(),
        statuses: store.clone(),
        records: store.clone(),
        clock: clock.clone(),
    }
}

/// Both ways to people.
fn channels(transport: &Arc<dyn Transport>, spec: &WorldSpec) -> Channels {
    Channels {
        chat: Some(Arc::new(Slack::new(Arc::clone(transport), spec.slack_webhook_url.clone().into()))),
        pager: Some(Arc::new(PagerDuty::new(
            Arc::clone(transport),
            None,
            spec.pagerduty_routing_key.clone().into(),
        ))),
    }
}

/// The composition that the functions' own packages make for AWS, over one transport.
#[expect(clippy::too_many_lines, reason = "one line for each port of each task")]
fn tasks(
    transport: Arc<dyn Transport>,
    spec: &WorldSpec,
    store: Stores,
    config: Config,
    step_functions: LocalStepFunctions,
    analyzer: LocalAnalyzer,
    clock: VirtualTime,
) -> Vec<Arc<dyn JsonTask>> {
    let (store, step_functions, clock) = (Arc::new(store), Arc::new(step_functions), Arc::new(clock));
    let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKIAWORLD", "secret", None));
    let aws = Arc::new(Aws::new(Arc::clone(&transport), credentials, clock.clone(), Endpoints::default()));
    let clusters = Arc::new(Clusters::new(Arc::clone(&transport), aws));
    let budget = Budget { per_minute: config.gitlab.requests_per_minute };
    let metered = Metered::new(Arc::clone(&transport), store.clone(), budget, clock.clone());
    let gitlab =
        Arc::new(GitLab::new(Arc::new(metered), &config.gitlab.url, spec.gitlab_token.clone().into()));
    let notifier = channels(&transport, spec);
    let analyzer = Arc::new(analyzer);
    let datadog = Arc::new(Datadog::new(
        transport,
        &config.datadog.site,
        spec.datadog_api_key.clone().into(),
        spec.datadog_app_key.clone().into(),
    ));
    let ledger = ledger(config, &store, &clock);
    vec![
        Arc::new(plan_rollout::PlanRollout { starts: store.clone(), ledger: ledger.clone() }),
        Arc::new(plan_batch::PlanBatch {
            starts: store.clone(),
            locks: store.clone(),
            executions: step_functions.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(pre_check::PreCheck {
            health: clusters.clone(),
            traffic: datadog.clone(),
            memory: datadog.clone(),
            integration: datadog.clone(),
            monitors: datadog.clone(),
            commits: gitlab.clone(),
            files: gitlab.clone(),
            analyzer: analyzer.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(decide::Decide { notifier: notifier.clone(), ledger: ledger.clone() }),
        Arc::new(open_merge_request::OpenMergeRequest {
            commits: gitlab.clone(),
            files: gitlab.clone(),
            merge_requests: gitlab.clone(),
            looks: gitlab.clone(),
            metrics: datadog.clone(),
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
            notifier: notifier.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(watch_merges::WatchMerges {
            merge_requests: gitlab.clone(),
            conversation: gitlab.clone(),
            commits: gitlab.clone(),
            files: gitlab.clone(),
            tokens: store.clone(),
            answers: step_functions.clone(),
            records: store.clone(),
            notifier: notifier.clone(),
            clock: clock.clone(),
        }),
        Arc::new(merge_webhook::MergeWebhook {
            deliveries: Arc::new(Webhook::new(TOKEN.into())),
            watcher: step_functions.clone(),
            clock,
        }),
        Arc::new(watch_rollout::WatchRollout {
            rollouts: clusters.clone(),
            commits: gitlab.clone(),
            nudger: clusters.clone(),
            locks: store.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(gate_control_plane::GateControlPlane {
            health: clusters.clone(),
            traffic: datadog.clone(),
            memory: datadog.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(restart_proxies::RestartProxies {
            data_plane: clusters.clone(),
            restarts: clusters.clone(),
            locks: store.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(judge_soak::JudgeSoak { metrics: datadog, ledger: ledger.clone() }),
        Arc::new(await_decision::AwaitDecision {
            tokens: store.clone(),
            notifier: notifier.clone(),
            ledger: ledger.clone(),
        }),
        Arc::new(answer_decision::AnswerDecision { tokens: store.clone(), answers: step_functions.clone() }),
        Arc::new(post_check::PostCheck { health: clusters, analyzer, ledger: ledger.clone() }),
        Arc::new(settle(&gitlab, &store, &notifier, &ledger)),
        Arc::new(sweep::Sweep {
            leases: store.clone(),
            executions: step_functions,
            tokens: store.clone(),
            settle: settle(&gitlab, &store, &notifier, &ledger),
        }),
    ]
}

fn settle(gitlab: &Arc<GitLab>, store: &Arc<Stores>, notifier: &Channels, ledger: &Ledger) -> settle::Settle {
    settle::Settle {
        merge_requests: gitlab.clone(),
        looks: gitlab.clone(),
        commits: gitlab.clone(),
        files: gitlab.clone(),
        locks: store.clone(),
        notifier: notifier.clone(),
        ledger: ledger.clone(),
    }
}
