//! `watch-merges`: look at every merge request that somebody waits for, once a minute. Polling is the truth; webhooks
//! only wake it earlier. The deadline of every other task token is watched along.
//!
//! Safe to run twice, also at the same time: answering a token that is gone is a success, and a token is forgotten only
//! after it was answered. People are reminded of a rollback that nobody merges, at growing intervals; each reminder is
//! told once.

use std::sync::Arc;

use guard_domain::notification::Notification;
use guard_domain::{Direction, Plan, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::await_merge::subject_of;
use crate::ledger::{DecisionAnswer, MergeAnswer, MergeRequestEntry, RollbackEntry};
use crate::notices::{Notices, reminder, warn};
use crate::task::Task;
use crate::{
    Channels, Clock, CommitReader, Context, FileReader, Lease, MergeRequestReader, OpenToken, RunRecords,
    TaskError, TokenAnswerer, TokenStore, WaitsFor, merge,
};

/// The task.
pub struct WatchMerges {
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
    /// What was proposed.
    pub records: Arc<dyn RunRecords>,
    /// People.
    pub notifier: Channels,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Payload: none. EventBridge may send its own document, which is not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {}

/// Answer.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Output {
    /// Requests looked at.
    pub watched: usize,
    /// Tokens answered.
    pub answered: usize,
    /// Merge requests that wait for a person.
    pub waiting_for_merge: usize,
    /// Questions that wait for a person's answer.
    pub waiting_for_person: usize,
}

impl Task for WatchMerges {
    const NAME: &'static str = "watch-merges";
    type Input = Input;
    type Output = Output;

    async fn run(&self, _: Input) -> Result<Output, TaskError> {
        let open = self.tokens.open_tokens().await.context("list open task tokens")?;
        let mut answered = 0;
        let mut first_error = None;
        for waiting in &open {
            // One request that cannot be read must not keep the others waiting.
            match self.look(waiting).await {
                Ok(true) => answered += 1,
                Ok(false) => {}
                Err(error) => {
                    let about = match &waiting.waits_for {
                        WaitsFor::Merge { project, iid, .. } => format!("merge request {iid} of {project}"),
                        WaitsFor::Decision => "a person's answer".to_owned(),
                    };
                    first_error.get_or_insert(error.context(format!("run {}, {about}", waiting.run_id)));
                }
            }
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        let waiting_for_person =
            open.iter().filter(|waiting| waiting.waits_for == WaitsFor::Decision).count();
        let waiting_for_merge = open.len() - waiting_for_person;
        Ok(Output { watched: open.len(), answered, waiting_for_merge, waiting_for_person })
    }
}

impl WatchMerges {
    async fn look(&self, waiting: &OpenToken) -> Result<bool, TaskError> {
        let is_expired = self.clock.now() >= waiting.expires_at;
        let answer = match &waiting.waits_for {
            WaitsFor::Merge { direction, project, iid } => {
                let run_id =
                    RunId::parse(&waiting.run_id).map_err(|error| TaskError::internal(error.to_string()))?;
                let (name, rollback) = self.entry_name(&run_id, *direction).await?;
                let entry = self.entry(&run_id, &name).await?;
                let request = self
                    .merge_requests
                    .merge_request(project, *iid)
                    .await
                    .context("look at the merge request")?;
                let end = merge::end_of(&request, &entry, self.commits.as_ref(), self.files.as_ref()).await?;
                let answer = end.or_else(|| is_expired.then(MergeAnswer::expired));
                if answer.is_none()
                    && let Some(rollback) = rollback
                    && let Err(error) = self.remind(waiting, &run_id, &name, &entry, rollback).await
                {
                    warn("remind of a rollback request", &error);
                }
                answer.map(serde_json::to_value)
            }
            // The answer itself goes past this task; only the deadline is watched here.
            WaitsFor::Decision => is_expired.then(DecisionAnswer::expired).map(serde_json::to_value),
        };
        let Some(answer) = answer else { return Ok(false) };
        let output = answer.map_err(|error| TaskError::internal(format!("encode answer: {error}")))?;
        self.answers.answer(&waiting.token, &output).await.context("answer the task token")?;
        self.tokens.drop_token(waiting).await.context("drop the task token")?;
        Ok(true)
    }

    /// Where the run keeps this request, and for a way back what that covers.
    async fn entry_name(
        &self,
        run_id: &RunId,
        direction: Direction,
    ) -> Result<(String, Option<RollbackEntry>), TaskError> {
        match direction {
            Direction::Upgrade => Ok(("merge-request#upgrade".to_owned(), None)),
            Direction::Rollback => {
                let rollback = self.records.entry(run_id, "rollback").await?.unwrap_or_default();
                let rollback: RollbackEntry = serde_json::from_value(rollback).unwrap_or_default();
                Ok((format!("merge-request#rollback-{}", rollback.attempt), Some(rollback)))
            }
        }
    }

    /// What was proposed, from the run's record.
    async fn entry(&self, run_id: &RunId, name: &str) -> Result<MergeRequestEntry, TaskError> {
        let value = self.records.entry(run_id, name).await.context("read the run record")?;
        let value =
            value.ok_or_else(|| TaskError::internal(format!("run {run_id} has no {name} in its record")))?;
        serde_json::from_value(value)
            .map_err(|error| TaskError::internal(format!("{name} does not decode: {error}")))
    }

    /// Tells people that clusters still wait for their way back, when that is due again.
    async fn remind(
        &self,
        waiting: &OpenToken,
        run_id: &RunId,
        name: &str,
        entry: &MergeRequestEntry,
        rollback: RollbackEntry,
    ) -> Result<(), TaskError> {
        let now = self.clock.now();
        let due = reminder(self.records.as_ref(), run_id, subject_of(name), now).await?;
        let Some(due) = due else { return Ok(()) };
        let plan = self.records.entry(run_id, "plan").await?;
        let plan: Plan = serde_json::from_value(plan.unwrap_or_default())
            .map_err(|error| TaskError::internal(format!("plan of run {run_id} does not decode: {error}")))?;
        let told = Notification::rollback_unmerged(
            &plan,
            &rollback.clusters,
            &entry.web_url,
            due.waited,
            waiting.expires_at,
        );
        let lease = Lease { run_id: run_id.clone(), batch_id: plan.batch_id, fence: due.fence };
        let (records, clock) = (self.records.as_ref(), self.clock.as_ref());
        Notices::without_ledger(&self.notifier, records, clock, lease, Self::NAME)
            .remind(&due.subject, &told)
            .await
    }
}
