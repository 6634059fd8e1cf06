//! The run record: JSON entries, and the audit log.
//!
//! An entry's value is kept as JSON text and compared as text, so it is written in one canonical form: keys sorted,
//! numbers and strings as serde_json prints them. DynamoDB's own maps would not do: they make 1.0 and 1 the same, end at
//! 32 levels, and have no room for the larger floats. Text comes back exactly because serde_json is built with
//! `float_roundtrip`; without it a float could be read as its neighbour, and its entry could never be replaced.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use guard_domain::RunId;
use guard_tasks::{AuditEntry, Context as _, Lease, RunRecords, TaskError};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::DynamoDb;
use super::attributes::{ITEM_BYTES_MAX, Item, item, number, size, str_of, text};
use super::expression::Expression;
use super::lock_row::batch_lock;
use super::schema;
use super::tokens::TOKEN_PREFIX;
use super::transaction::Written;
use crate::error;

/// How long a run is remembered after its last word: a year, and the month in which somebody asks about it. DynamoDB
/// deletes by the attribute `expires_at`.
const RETENTION_SECONDS: i64 = 400 * 24 * 60 * 60;

/// Sort keys of the audit log. Names of entries do not start so, nor like a token's.
const AUDIT_PREFIX: &str = "audit#";

#[async_trait]
impl RunRecords for DynamoDb {
    async fn entry(&self, run_id: &RunId, name: &str) -> Result<Option<Value>, TaskError> {
        check_name(name)?;
        let row = self.row(&self.tables.runs, key(run_id.as_str(), name)).await?;
        row.map(|row| value(run_id, &row).map(|(_, value)| value)).transpose()
    }

    async fn entries(&self, run_id: &RunId, prefix: &str) -> Result<Vec<(String, Value)>, TaskError> {
        let rows = self.rows_below(run_id, prefix).await?;
        rows.iter().filter(|row| row.contains_key("value")).map(|row| value(run_id, row)).collect()
    }

    async fn put(
        &self,
        lease: &Lease,
        name: &str,
        expected: Option<&Value>,
        value: &Value,
    ) -> Result<(), TaskError> {
        check_name(name)?;
        let mut row = key(lease.run_id.as_str(), name);
        row.insert("value".to_owned(), text(canonical(value)));
        let condition = match expected {
            None => Expression::default().when_absent("entry"),
            Some(expected) => Expression::default().when_is("value", text(canonical(expected))),
        };
        match self.put_under_lock(lease, name, row, &condition).await? {
            Written::Yes => Ok(()),
            Written::No(_) => Err(TaskError::conflict(format!(
                "entry {name} of run {} was changed by somebody else",
                lease.run_id
            ))),
        }
    }

    /// The key is made of who and what: a repeated task says the same at a later time, and is heard once.
    async fn audit(&self, lease: &Lease, line: &AuditEntry) -> Result<(), TaskError> {
        let digest = Sha256::digest(format!("{}\n{}", line.who, line.what));
        let hash = digest.iter().take(16).fold(0_u128, |hash, byte| hash << 8 | u128::from(*byte));
        let name = format!("{AUDIT_PREFIX}{hash:032x}");
        let mut row = key(lease.run_id.as_str(), &name);
        row.extend(item([
            ("at", text(line.at.to_string())),
            ("who", text(&line.who)),
            ("what", text(&line.what)),
        ]));
        let is_new = Expression::default().when_absent("entry");
        self.put_under_lock(lease, &name, row, &is_new).await.map(|_| ())
    }

    async fn audit_log(&self, run_id: &RunId) -> Result<Vec<AuditEntry>, TaskError> {
        let rows = self.rows_below(run_id, AUDIT_PREFIX).await?;
        let mut log = rows.iter().map(|row| line(run_id, row)).collect::<Result<Vec<_>, _>>()?;
        log.sort_by(|a, b| (a.at, &a.who, &a.what).cmp(&(b.at, &b.who, &b.what)));
        Ok(log)
    }
}

impl DynamoDb {
    /// When an entry that is written now is forgotten.
    pub(super) fn expires_at(&self) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
        let last = self.clock.now().as_second().saturating_add(RETENTION_SECONDS);
        ("expires_at".to_owned(), number(last))
    }

    async fn put_under_lock(
        &self,
        lease: &Lease,
        name: &str,
        mut row: Item,
        condition: &Expression,
    ) -> Result<Written, TaskError> {
        row.extend([self.expires_at(), schema::stamp()]);
        let about = format!("entry {name} of run {}", lease.run_id);
        let bytes = size(&row);
        if bytes > ITEM_BYTES_MAX {
            let message = format!("{bytes} bytes are more than the {ITEM_BYTES_MAX} that one item holds");
            return Err(TaskError::rejected(message).context(about));
        }
        let put = Put::builder()
            .table_name(&self.tables.runs)
            .set_item(Some(row))
            .set_condition_expression(condition.condition())
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        let write = TransactWriteItem::builder().put(put).build();
        self.write_under_lock(lease, &batch_lock(&lease.batch_id), &self.tables.runs, write)
            .await
            .context(about)
    }

    /// Rows of a run whose sort key starts with `prefix`, in order, read consistently.
    async fn rows_below(&self, run_id: &RunId, prefix: &str) -> Result<Vec<Item>, TaskError> {
        let label = format!("DynamoDB Query {}", self.tables.runs);
        let of_run = Expression::default().when_is("run_id", text(run_id.as_str()));
        // A key that is an empty string is refused, even as the start of another.
        let below = if prefix.is_empty() { of_run } else { of_run.when_starts("entry", text(prefix)) };
        let rows: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.tables.runs)
            .set_key_condition_expression(below.condition())
            .set_expression_attribute_names(below.names())
            .set_expression_attribute_values(below.values())
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        rows.map_err(|refused| error::classify(&label, &refused))
    }
}

pub(super) fn key(run_id: &str, entry: &str) -> Item {
    item([("run_id", text(run_id)), ("entry", text(entry))])
}

/// The audit log and the tokens share the table with the entries.
fn check_name(name: &str) -> Result<(), TaskError> {
    match [AUDIT_PREFIX, TOKEN_PREFIX].iter().find(|reserved| name.starts_with(**reserved)) {
        Some(reserved) => {
            Err(TaskError::rejected(format!("entry {name}: names do not start with {reserved}")))
        }
        None => Ok(()),
    }
}

fn canonical(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

fn value(run_id: &RunId, row: &Item) -> Result<(String, Value), TaskError> {
    schema::check(row)?;
    let name = str_of(row, "entry").unwrap_or_default();
    let text = str_of(row, "value").unwrap_or_default();
    let value = serde_json::from_str(text)
        .map_err(|wrong| TaskError::internal(format!("entry {name} of run {run_id} is not JSON: {wrong}")))?;
    Ok((name.to_owned(), value))
}

fn line(run_id: &RunId, row: &Item) -> Result<AuditEntry, TaskError> {
    schema::check(row)?;
    let word = |name: &str| {
        let wrong = || TaskError::internal(format!("an audit line of run {run_id} has no readable {name}"));
        str_of(row, name).ok_or_else(wrong)
    };
    let at = word("at")?.parse().map_err(|wrong| {
        TaskError::internal(format!("an audit line of run {run_id} has no readable at: {wrong}"))
    })?;
    Ok(AuditEntry { at, who: word("who")?.to_owned(), what: word("what")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_has_one_text() {
        let one: Value = serde_json::from_str(r#"{"b": [{"y": 1, "x": 1.0}], "a": "é\n"}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a": "\u00e9\n", "b": [{"x": 1.0, "y": 1}]}"#).unwrap();
        assert_eq!(one, other);
        assert_eq!(canonical(&one), canonical(&other));
        assert_ne!(canonical(&json!(1)), canonical(&json!(1.0)));
    }

    #[test]
    fn floats_come_back_as_they_were() {
        // Each of these is read as its neighbour by a parser that does not round-trip.
        for float in [0.958_327_592_195_351_1, 0.963_627_994_734_747_1, 0.193_276_361_600_924_54] {
            let text = canonical(&json!(float));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!(float), "{text}");
        }
    }
}
