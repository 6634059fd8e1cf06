//! `watch-merges`: look at every merge request that somebody waits for, once a minute. Polling is the truth; webhooks
//! only wake it earlier. The deadline of every other task token is watched along.
//!
//! Safe to run twice, also at the same time: answering a token that is gone is a success, and a token is forgotten only
//! after it was answered.

use std::sync::Arc;

use guard_domain::{Direction, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{DecisionAnswer, MergeAnswer, MergeRequestEntry, RollbackEntry};
use crate::task::Task;
use crate::{
    Clock, CommitReader, Context, FileReader, MergeRequestReader, OpenToken, RunRecords, TaskError,
    TokenAnswerer, TokenStore, WaitsFor, merge,
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
        match first_error {
            Some(error) => Err(error),
            None => Ok(Output { watched: open.len(), answered }),
        }
    }
}

impl WatchMerges {
    async fn look(&self, waiting: &OpenToken) -> Result<bool, TaskError> {
        let is_expired = self.clock.now() >= waiting.expires_at;
        let answer = match &waiting.waits_for {
            WaitsFor::Merge { direction, project, iid } => {
                let entry = self.entry(&waiting.run_id, *direction).await?;
                let request = self
                    .merge_requests
                    .merge_request(project, *iid)
                    .await
                    .context("look at the merge request")?;
                let end = merge::end_of(&request, &entry, self.commits.as_ref(), self.files.as_ref()).await?;
                end.or_else(|| is_expired.then(MergeAnswer::expired)).map(serde_json::to_value)
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

    /// What was proposed, from the run's record.
    async fn entry(&self, run_id: &str, direction: Direction) -> Result<MergeRequestEntry, TaskError> {
        let run_id = RunId::parse(run_id).map_err(|error| TaskError::internal(error.to_string()))?;
        let name = match direction {
            Direction::Upgrade => "merge-request#upgrade".to_owned(),
            Direction::Rollback => {
                let rollback = self.records.entry(&run_id, "rollback").await?.unwrap_or_default();
                let rollback: RollbackEntry = serde_json::from_value(rollback).unwrap_or_default();
                format!("merge-request#rollback-{}", rollback.attempt)
            }
        };
        let value = self.records.entry(&run_id, &name).await.context("read the run record")?;
        let value =
            value.ok_or_else(|| TaskError::internal(format!("run {run_id} has no {name} in its record")))?;
        serde_json::from_value(value)
            .map_err(|error| TaskError::internal(format!("{name} does not decode: {error}")))
    }
}
