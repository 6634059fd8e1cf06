//! `watch-merges`: look at every merge request that somebody waits for, once a minute. Polling is the truth; webhooks
//! only wake it earlier. The deadline of every other task token is watched along.
//!
//! Safe to run twice, also at the same time: answering a token that is gone is a success, and a token is forgotten only
//! after it was answered. People are reminded of a rollback that nobody merges, at growing intervals; each reminder is
//! told once.

mod question;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guard_domain::notification::Notification;
use guard_domain::{Direction, MergeEnd, MergeRequest, Plan, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::await_merge::pages;
use crate::ledger::{self, DecisionAnswer, MergeAnswer, MergeRequestEntry, RollbackEntry};
use crate::merge::Watch;
use crate::notices::{Notices, reminder, warn};
use crate::task::Task;
use crate::{
    Channels, Clock, CommitReader, Context, ErrorName, FileReader, MergeRequestConversation,
    MergeRequestReader, OpenToken, RunRecords, TaskError, TokenAnswerer, TokenStore, WaitsFor, merge,
};

/// The task.
pub struct WatchMerges {
    /// Merge requests.
    pub merge_requests: Arc<dyn MergeRequestReader>,
    /// What people say on them.
    pub conversation: Arc<dyn MergeRequestConversation>,
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
        let mut pass = Pass::default();
        for waiting in &open {
            pass.read(self, waiting).await;
        }
        pass.ask(self).await;
        for waiting in &open {
            // One request that cannot be read must not keep the others waiting.
            match self.look(waiting, &pass).await {
                Ok(true) => answered += 1,
                Ok(false) => {}
                Err(error) => {
                    let about = match &waiting.waits_for {
                        WaitsFor::Merge { direction } => format!("{} merge requests", direction.as_str()),
                        WaitsFor::Decision => "a person's answer".to_owned(),
                    };
                    first_error
                        .get_or_insert(error.context(format!("run {}, {about}", waiting.lease.run_id)));
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

/// What the runs wait for.
struct Change {
    name: String,
    requests: Vec<(String, MergeRequestEntry)>,
    /// Of a way back: the clusters that it covers.
    rollback: Option<RollbackEntry>,
}

/// One look at everything: however many runs wait, each project is asked for all of their requests at once.
#[derive(Default)]
struct Pass {
    changes: BTreeMap<(RunId, &'static str), Result<Change, TaskError>>,
    told: BTreeMap<String, Result<Vec<MergeRequest>, TaskError>>,
}

impl Pass {
    fn key(waiting: &OpenToken) -> (RunId, &'static str) {
        (waiting.lease.run_id.clone(), waiting.waits_for.as_str())
    }

    async fn read(&mut self, task: &WatchMerges, waiting: &OpenToken) {
        if let WaitsFor::Merge { direction } = &waiting.waits_for {
            let change = task.change(&waiting.lease.run_id, *direction).await;
            self.changes.insert(Self::key(waiting), change);
        }
    }

    async fn ask(&mut self, task: &WatchMerges) {
        let mut wanted: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for change in self.changes.values().flatten() {
            for (project, iids) in merge::to_ask(&change.requests) {
                wanted.entry(project).or_default().extend(iids);
            }
        }
        for (project, iids) in wanted {
            let iids: Vec<u64> = iids.into_iter().collect();
            let found = task.merge_requests.merge_requests(project, &iids).await;
            self.told.insert(project.to_owned(), found.context("look at the merge requests"));
        }
    }

    /// What one change waits for, as it was told. Every project of it must have answered.
    fn of(&self, waiting: &OpenToken) -> Result<Option<(&Change, Vec<MergeRequest>)>, TaskError> {
        let Some(change) = self.changes.get(&Self::key(waiting)) else { return Ok(None) };
        let change = change.as_ref().map_err(Clone::clone)?;
        let mut told = Vec::new();
        for project in merge::to_ask(&change.requests).keys() {
            match self.told.get(*project) {
                Some(found) => told.extend(found.clone()?),
                None => return Err(TaskError::internal(format!("{project} was not asked"))),
            }
        }
        Ok(Some((change, told)))
    }
}

impl WatchMerges {
    async fn look(&self, waiting: &OpenToken, pass: &Pass) -> Result<bool, TaskError> {
        let is_expired = self.clock.now() >= waiting.expires_at;
        let answer = match pass.of(waiting)? {
            Some((change, told)) => {
                let answer = self.end(waiting, change, &told, is_expired).await?;
                if answer.is_none()
                    && let Some(rollback) = &change.rollback
                    && let Err(error) = self.remind(waiting, change, rollback).await
                {
                    warn("remind of a rollback request", &error);
                }
                answer.map(serde_json::to_value)
            }
            // Most answers go past this task; here are the replies in the merge request, and the deadline.
            None if is_expired => Some(serde_json::to_value(DecisionAnswer::expired())),
            None => self.replied(waiting).await?.map(serde_json::to_value),
        };
        let Some(answer) = answer else { return Ok(false) };
        let output = answer.map_err(|error| TaskError::internal(format!("encode answer: {error}")))?;
        self.answers.answer(&waiting.token, &output).await.context("answer the task token")?;
        self.tokens.drop_token(waiting).await.context("drop the task token")?;
        Ok(true)
    }

    async fn end(
        &self,
        waiting: &OpenToken,
        change: &Change,
        told: &[MergeRequest],
        is_expired: bool,
    ) -> Result<Option<MergeAnswer>, TaskError> {
        let watch = Watch {
            requests: self.merge_requests.as_ref(),
            commits: self.commits.as_ref(),
            files: self.files.as_ref(),
            records: self.records.as_ref(),
            clock: self.clock.as_ref(),
            who: Self::NAME,
        };
        match watch.end(&waiting.lease, &change.name, &change.requests, told, is_expired).await {
            // Another watcher writes the same at the same time, and answers; or the run has lost its lock, and nobody waits
            // for this token any more: then it goes with its deadline.
            Err(error) if error.name == ErrorName::Conflict => {
                warn("note what became of a merge request", &error);
                let summary = format!("nobody could write down what became of the requests: {error}");
                Ok(is_expired.then_some(MergeAnswer { state: MergeEnd::Expired, summary }))
            }
            end => end,
        }
    }

    /// What a run waits for, from its record.
    async fn change(&self, run_id: &RunId, direction: Direction) -> Result<Change, TaskError> {
        let (name, rollback) = match direction {
            Direction::Upgrade => (ledger::UPGRADE.to_owned(), None),
            Direction::Rollback => {
                let rollback = self.records.entry(run_id, "rollback").await?.unwrap_or_default();
                let rollback: RollbackEntry = serde_json::from_value(rollback).unwrap_or_default();
                (ledger::rollback_name(rollback.attempt), Some(rollback))
            }
        };
        let prefix = ledger::merge_request_prefix(&name);
        let found = self.records.entries(run_id, &prefix).await.context("read the run record")?;
        let mut requests = Vec::new();
        for (entry, value) in found {
            let decoded = serde_json::from_value(value)
                .map_err(|error| TaskError::internal(format!("{entry} does not decode: {error}")))?;
            requests.push((entry, decoded));
        }
        if requests.is_empty() {
            return Err(TaskError::internal(format!("run {run_id} has no {prefix} in its record")));
        }
        Ok(Change { name, requests, rollback })
    }

    /// Tells people that clusters still wait for their way back, when that is due again.
    async fn remind(
        &self,
        waiting: &OpenToken,
        change: &Change,
        rollback: &RollbackEntry,
    ) -> Result<(), TaskError> {
        let run_id = &waiting.lease.run_id;
        let due = reminder(self.records.as_ref(), run_id, &change.name, self.clock.now()).await?;
        let Some(due) = due else { return Ok(()) };
        let plan = self.records.entry(run_id, "plan").await?;
        let plan: Plan = serde_json::from_value(plan.unwrap_or_default())
            .map_err(|error| TaskError::internal(format!("plan of run {run_id} does not decode: {error}")))?;
        let told = Notification::rollback_unmerged(
            &plan,
            &rollback.clusters,
            &pages(&change.requests),
            due.waited,
            waiting.expires_at,
        );
        let (records, clock) = (self.records.as_ref(), self.clock.as_ref());
        Notices::without_ledger(&self.notifier, records, clock, waiting.lease.clone(), Self::NAME)
            .remind(&due.subject, &told)
            .await
    }
}
