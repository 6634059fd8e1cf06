//! `await-merge`: keep the task token of a state that waits for people.
//!
//! Answers at once if the requests have ended already; otherwise people are told that it waits for them. Safe to run
//! twice: a retried state brings a new token, which replaces the old one, and people are told once.

use std::sync::Arc;

use guard_domain::notification::Notification;
use guard_domain::{ClusterId, Direction, Phase, Plan, Progress};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RunRef};
use crate::merge::Watch;
use crate::notices::{Notices, warn};
use crate::task::Task;
use crate::{
    Channels, CommitReader, Context, FileReader, MergeRequestReader, OpenToken, TaskError, TokenAnswerer,
    TokenStore, WaitsFor, merge,
};

/// The task.
pub struct AwaitMerge {
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestReader>,
    /// The branch that Flux follows.
    pub commits: Arc<dyn CommitReader>,
    /// The Flux files.
    pub files: Arc<dyn FileReader>,
    /// Tokens that wait.
    pub tokens: Arc<dyn TokenStore>,
    /// Step Functions.
    pub answers: Arc<dyn TokenAnswerer>,
    /// People.
    pub notifier: Channels,
    /// Registry and run record.
    pub ledger: Ledger,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run.
    pub run: RunRef,
    /// Which request.
    pub direction: Direction,
    /// `$$.Task.Token`.
    pub token: String,
}

/// Answer; the state's result is what the token is answered with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// True when the request had ended already.
    pub answered: bool,
}

impl Task for AwaitMerge {
    const NAME: &'static str = "await-merge";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, direction, token } = input;
        let plan = self.ledger.plan(&run).await?;
        let change = self.ledger.change_name(&run, direction).await?;
        let requests = self.ledger.merge_requests(&run.run_id, &change).await?;
        if requests.is_empty() {
            return Err(TaskError::internal(format!(
                "run {} has no merge request of its {change} in its record",
                run.run_id
            )));
        }
        let hours = i64::from(plan.config.policy.merge_timeout_hours);
        let waiting = OpenToken {
            lease: run.lease(),
            waits_for: WaitsFor::Merge { direction },
            expires_at: self.ledger.clock.now() + SignedDuration::from_hours(hours),
            token,
        };
        // Kept first, asked second: a merge between the two is seen by the watcher.
        self.tokens.keep(&waiting).await.context("keep the task token")?;
        let watch = Watch {
            requests: self.merge_requests.as_ref(),
            commits: self.commits.as_ref(),
            files: self.files.as_ref(),
            records: self.ledger.records.as_ref(),
            clock: self.ledger.clock.as_ref(),
            who: Self::NAME,
        };
        let told = watch.ask(&requests).await?;
        let end = watch.end(&run.lease(), &change, &requests, &told, false).await?;
        if let Some(answer) = &end {
            let output = serde_json::to_value(answer)
                .map_err(|e| TaskError::internal(format!("encode answer: {e}")))?;
            self.answers.answer(&waiting.token, &output).await.context("answer the task token")?;
            self.tokens.drop_token(&waiting).await.context("drop the task token")?;
        } else {
            let clusters = self.clusters(&run, &plan, direction).await;
            let told = Notification::waiting_for_merge(
                &plan,
                direction,
                &clusters,
                &pages(&requests),
                waiting.expires_at,
            );
            let notices = Notices::new(&self.notifier, &self.ledger, &run, Self::NAME);
            notices.tell(&change, &told).await;
        }
        Ok(Output { answered: end.is_some() })
    }
}

/// The pages of the requests that wait.
pub(crate) fn pages(requests: &merge::Requests) -> Vec<String> {
    let open = requests.iter().filter(|(_, entry)| entry.landed.is_none());
    open.filter_map(|(_, entry)| Some(entry.opened.as_ref()?.web_url.clone())).collect()
}

impl AwaitMerge {
    /// The clusters the request is about, for people.
    async fn clusters(&self, run: &RunRef, plan: &Plan, direction: Direction) -> Vec<ClusterId> {
        match direction {
            Direction::Upgrade => {
                let all = plan.clusters.iter().map(|planned| planned.record.cluster_id.clone());
                let left_out = self.ledger.progress(run).await.unwrap_or_else(|error| {
                    warn("read which clusters are left out", &error);
                    Progress::default()
                });
                let left_out = left_out.in_phase(Phase::LeftOut);
                all.filter(|id| !left_out.contains(id)).collect()
            }
            Direction::Rollback => match self.ledger.rollback(run).await {
                Ok(rollback) => rollback.clusters,
                Err(error) => {
                    warn("read which clusters go back", &error);
                    Vec::new()
                }
            },
        }
    }
}
