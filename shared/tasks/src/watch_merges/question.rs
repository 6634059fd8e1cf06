//! A person's answer by a reply in the merge request.
//!
//! The question is said there once; whoever may merge may answer. `guard approve` and `guard reject` need a permission in
//! AWS, a reply needs the role of a Maintainer: both are those who decide about these clusters anyway.

use guard_domain::reply::reply;
use guard_domain::text;

use super::WatchMerges;
use crate::ledger::{self, DecisionAnswer, DecisionEnd, MergeRequestEntry, QuestionEntry};
use crate::{Context as _, OpenToken, TaskError};

impl WatchMerges {
    /// The first answer that counts; `None` while there is none.
    pub(super) async fn replied(&self, waiting: &OpenToken) -> Result<Option<DecisionAnswer>, TaskError> {
        let run_id = &waiting.lease.run_id;
        let undecodable = |error: serde_json::Error| {
            TaskError::internal(format!("the question of run {run_id} does not decode: {error}"))
        };
        let Some(asked) = self.records.entry(run_id, "question").await.context("read the run record")? else {
            return Ok(None);
        };
        let asked: QuestionEntry = serde_json::from_value(asked).map_err(undecodable)?;
        // A cluster is asked about once in a run, so the first one and their number tell one question from another.
        let first = asked.clusters.first().map_or("", |id| id.as_str());
        let marker = text::marker(run_id, &format!("question:{first}+{}", asked.clusters.len()));
        let said = text::question(&asked.clusters, &asked.reasons, waiting.expires_at, &marker);
        let prefix = ledger::merge_request_prefix(ledger::UPGRADE);
        for (_, entry) in self.records.entries(run_id, &prefix).await.context("read the run record")? {
            let request: MergeRequestEntry = serde_json::from_value(entry).map_err(undecodable)?;
            let Some(opened) = &request.opened else { continue };
            if !request.clusters.iter().any(|id| asked.clusters.contains(id)) {
                continue;
            }
            let project = &request.project;
            let comments = self.conversation.ask(project, opened.iid, &marker, &said).await?;
            for comment in comments {
                let Some(answer) = reply(&comment.text) else { continue };
                if self.conversation.is_maintainer(project, comment.author_id).await? {
                    let end = if answer.approves { DecisionEnd::Approve } else { DecisionEnd::Reject };
                    let who = format!("{} in {}", comment.author, opened.web_url);
                    return Ok(Some(DecisionAnswer { answer: end, who, reason: answer.reason }));
                }
            }
        }
        Ok(None)
    }
}
