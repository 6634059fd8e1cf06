//! Consistent reads: one row, or many by their keys.

use aws_sdk_dynamodb::types::KeysAndAttributes;
use guard_tasks::{ErrorName, TaskError};

use super::DynamoDb;
use super::attributes::Item;
use crate::error;

/// Keys in one BatchGetItem. Source: DynamoDB's API reference.
const KEYS_A_REQUEST: usize = 100;

/// Answers in a row that bring nothing, before it is said that the table is too slow.
const IDLE_MAX: usize = 3;

impl DynamoDb {
    /// One row, read consistently.
    pub(super) async fn row(&self, table: &str, key: Item) -> Result<Option<Item>, TaskError> {
        let label = format!("DynamoDB GetItem {table}");
        let answer =
            self.client.get_item().table_name(table).set_key(Some(key)).consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|refused| error::classify(&label, &refused))
    }

    /// The rows of these keys that are there, read consistently, in no order. The keys must differ.
    pub(super) async fn rows(&self, table: &str, keys: &[Item]) -> Result<Vec<Item>, TaskError> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_A_REQUEST) {
            self.chunk(table, chunk.to_vec(), &mut found).await?;
        }
        Ok(found)
    }

    /// An answer stops at 16 MB and where the table is throttled, and names the keys it left out. Each answer has to
    /// bring something, so this ends after as many as there are keys.
    async fn chunk(&self, table: &str, mut keys: Vec<Item>, found: &mut Vec<Item>) -> Result<(), TaskError> {
        let label = format!("DynamoDB BatchGetItem {table}");
        let mut idle = 0;
        while !keys.is_empty() && idle < IDLE_MAX {
            let asked = keys.len();
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(table, request)
                .send()
                .await
                .map_err(|refused| error::classify(&label, &refused))?;
            // One table was asked; its answer may come under its ARN.
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let left = answer.unprocessed_keys.unwrap_or_default();
            keys = left.into_values().flat_map(|left| left.keys).collect();
            idle = if keys.len() < asked { 0 } else { idle + 1 };
        }
        if keys.is_empty() {
            return Ok(());
        }
        let message = format!("{} keys were left unprocessed {IDLE_MAX} times", keys.len());
        Err(TaskError::new(ErrorName::Throttled, message).context(label))
    }
}
