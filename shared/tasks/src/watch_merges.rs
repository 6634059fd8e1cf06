//! `watch-merges`: look at every merge request that somebody waits for, once a minute. Polling is the truth; webhooks
//! only wake it earlier.
//!
//! Safe to run twice, also at the same time: answering a token that is gone is a success, and a token is forgotten only
//! after it was answered.

use std::sync::Arc;

use guard_domain::{Direction, RunId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{MergeAnswer, MergeEnd, MergeRequestEntry, RollbackEntry};
use crate::task::Task;
use crate::{
    Clock, CommitReader, Context, FileReader, MergeRequestReader, OpenToken, RunRecords, TaskError,
    TokenAnswerer, TokenStore, merge,
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
                    let about = format!(
                        "run {}, merge request {} of {}",
                        waiting.run_id, waiting.iid, waiting.project
                    );
                    first_error.get_or_insert(error.context(about));
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
        let entry = self.entry(waiting).await?;
        let request = self
            .merge_requests
            .merge_request(&waiting.project, waiting.iid)
            .await
            .context("look at the merge request")?;
        let end = merge::end_of(&request, &entry, self.commits.as_ref(), self.files.as_ref()).await?;
        let Some(answer) = end.or_else(|| expired(waiting, self.clock.now())) else { return Ok(false) };
        let output = serde_json::to_value(&answer)
            .map_err(|error| TaskError::internal(format!("encode answer: {error}")))?;
        self.answers.answer(&waiting.token, &output).await.context("answer the task token")?;
        self.tokens.drop_token(waiting).await.context("drop the task token")?;
        Ok(true)
    }

    /// What was proposed, from the run's record.
    async fn entry(&self, waiting: &OpenToken) -> Result<MergeRequestEntry, TaskError> {
        let run_id = RunId::parse(&waiting.run_id).map_err(|error| TaskError::internal(error.to_string()))?;
        let name = match waiting.direction {
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

fn expired(waiting: &OpenToken, now: Timestamp) -> Option<MergeAnswer> {
    (now >= waiting.expires_at).then(|| MergeAnswer { state: MergeEnd::Expired, commit: String::new() })
}
