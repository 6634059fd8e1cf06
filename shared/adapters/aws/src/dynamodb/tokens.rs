//! Task tokens that wait, as entries of their runs. No error tells a token.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use guard_domain::{BatchId, Direction, RunId};
use guard_tasks::{Fence, Lease, OpenToken, TaskError, TokenStore, WaitsFor};

use super::DynamoDb;
use super::attributes::{Item, item, number, str_of, text, u64_of};
use super::expression::Expression;
use super::records::key;
use super::schema;
use crate::error;

/// Sort keys of tokens.
pub(super) const TOKEN_PREFIX: &str = "token#";

/// The index on `token_state`. Only tokens have the attribute, so only tokens are in it.
const OPEN_TOKENS: &str = "open-tokens";

#[async_trait]
impl TokenStore for DynamoDb {
    async fn keep(&self, token: &OpenToken) -> Result<(), TaskError> {
        let mut row = key(token.lease.run_id.as_str(), &entry(token));
        row.extend(item([
            ("token_state", text("open")),
            ("waits_for", text(token.waits_for.as_str())),
            ("waits_until", text(token.expires_at.to_string())),
            ("token", text(&token.token)),
            ("batch_id", text(token.lease.batch_id.as_str())),
            ("fence", number(token.lease.fence.0)),
        ]));
        row.extend([self.expires_at(), schema::stamp()]);
        let label = format!("DynamoDB PutItem {}", self.tables.runs);
        let answer = self.client.put_item().table_name(&self.tables.runs).set_item(Some(row)).send().await;
        answer.map(|_| ()).map_err(|refused| without(token, &error::classify(&label, &refused)))
    }

    /// An index shows a token some time after the table has it, and one that was dropped a while longer. The first is
    /// found at the next look; the second is left out, for the rows are read again. One that a newer release kept is left
    /// to that release: it must not keep the others waiting.
    async fn open_tokens(&self) -> Result<Vec<OpenToken>, TaskError> {
        let label = format!("DynamoDB Query {} {OPEN_TOKENS}", self.tables.runs);
        let found: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.tables.runs)
            .index_name(OPEN_TOKENS)
            .key_condition_expression("token_state = :open")
            .expression_attribute_values(":open", text("open"))
            .projection_expression("run_id, entry")
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let found = found.map_err(|refused| error::classify(&label, &refused))?;
        let mut rows = self.rows(&self.tables.runs, &found).await?;
        rows.sort_by(|a, b| {
            (str_of(a, "run_id"), str_of(a, "entry")).cmp(&(str_of(b, "run_id"), str_of(b, "entry")))
        });
        rows.iter().filter(|row| is_known(row)).map(decode).collect()
    }

    async fn drop_token(&self, token: &OpenToken) -> Result<(), TaskError> {
        // A newer token of a retried state must not be lost with the old one.
        let is_this_one = Expression::default().when_is("token", text(&token.token));
        let answer = self
            .client
            .delete_item()
            .table_name(&self.tables.runs)
            .set_key(Some(key(token.lease.run_id.as_str(), &entry(token))))
            .set_condition_expression(is_this_one.condition())
            .set_expression_attribute_names(is_this_one.names())
            .set_expression_attribute_values(is_this_one.values())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(refused) if is_another(&refused) => Ok(()),
            Err(refused) => {
                let label = format!("DynamoDB DeleteItem {}", self.tables.runs);
                Err(without(token, &error::classify(&label, &refused)))
            }
        }
    }
}

fn is_another<R>(refused: &SdkError<DeleteItemError, R>) -> bool {
    refused.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception)
}

fn entry(token: &OpenToken) -> String {
    format!("{TOKEN_PREFIX}{}", token.waits_for.as_str())
}

/// A refusal may quote what was sent.
fn without(token: &OpenToken, error: &TaskError) -> TaskError {
    TaskError::new(error.name, error.chain().replace(&token.token, "[token]"))
}

fn is_known(row: &Item) -> bool {
    let known = schema::check(row);
    if let Err(newer) = &known {
        tracing::warn!("a task token is left alone: {newer}");
    }
    known.is_ok()
}

fn decode(row: &Item) -> Result<OpenToken, TaskError> {
    read(row).ok_or_else(|| {
        let (run_id, entry) = (str_of(row, "run_id"), str_of(row, "entry"));
        let (run_id, entry) = (run_id.unwrap_or_default(), entry.unwrap_or_default());
        TaskError::internal(format!(
            "{entry} of run {run_id} does not decode: mend or delete the row by hand"
        ))
    })
}

fn read(row: &Item) -> Option<OpenToken> {
    let waits_for = match str_of(row, "waits_for")? {
        "decision" => WaitsFor::Decision,
        direction => {
            WaitsFor::Merge { direction: serde_json::from_value::<Direction>(direction.into()).ok()? }
        }
    };
    Some(OpenToken {
        lease: Lease {
            run_id: RunId::parse(str_of(row, "run_id")?).ok()?,
            batch_id: BatchId::parse(str_of(row, "batch_id")?).ok()?,
            fence: Fence(u64_of(row, "fence")?),
        },
        waits_for,
        expires_at: str_of(row, "waits_until")?.parse().ok()?,
        token: str_of(row, "token")?.to_owned(),
    })
}
