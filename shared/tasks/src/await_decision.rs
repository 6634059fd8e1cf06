//! `await-decision`: keep the task token of a state that waits for a person's answer.
//!
//! The question is in the run record; the answer comes through `answer-decision`, its deadline through `watch-merges`.
//! Safe to run twice: a retried state brings a new token, which replaces the old one, and people are told once.

use std::sync::Arc;

use guard_domain::ClusterId;
use guard_domain::notification::Notification;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge_soak::first_few;
use crate::ledger::{Ledger, QuestionEntry, RunRef};
use crate::notices::Notices;
use crate::task::Task;
use crate::{Channels, Context, OpenToken, TaskError, TokenStore, WaitsFor};

/// The task.
pub struct AwaitDecision {
    /// Tokens that wait.
    pub tokens: Arc<dyn TokenStore>,
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
    /// `$$.Task.Token`.
    pub token: String,
}

/// Answer; the state's result is what the token is answered with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// What the person is asked.
    pub question: String,
}

impl Task for AwaitDecision {
    const NAME: &'static str = "await-decision";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, token } = input;
        let plan = self.ledger.plan(&run).await?;
        let asked: QuestionEntry = self
            .ledger
            .read(&run.run_id, "question")
            .await?
            .ok_or_else(|| TaskError::internal(format!("run {} has asked nothing", run.run_id)))?;
        let hours = i64::from(plan.config.policy.decision_timeout_hours);
        let waiting = OpenToken {
            lease: run.lease(),
            waits_for: WaitsFor::Decision,
            expires_at: self.ledger.clock.now() + SignedDuration::from_hours(hours),
            token,
        };
        self.tokens.keep(&waiting).await.context("keep the task token")?;
        let question = format!("approve or reject: {}", first_few(&asked.reasons));
        self.ledger.audit(&run, Self::NAME, format!("waiting for a person to {question}")).await?;
        let QuestionEntry { clusters, reasons } = asked;
        // A cluster is asked about once in a run, so the first one and their number tell one question from another.
        let first = clusters.first().map_or("", ClusterId::as_str);
        let subject = format!("{first}+{}", clusters.len());
        let told = Notification::waiting_for_person(&plan, &clusters, reasons, waiting.expires_at);
        Notices::new(&self.notifier, &self.ledger, &run, Self::NAME).tell(&subject, &told).await;
        Ok(Output { question })
    }
}
