//! The number of a row's shape, on each row of a run: see [`guard_tasks::RECORD_SCHEMA`]. A row that a newer release wrote
//! is not read, for it might be misread.
//!
//! Counters of requests carry none: they live for minutes.

use aws_sdk_dynamodb::types::AttributeValue;
use guard_tasks::{RECORD_SCHEMA, TaskError, newer_row};

use super::attributes::{Item, number, str_of};

const SCHEMA: &str = "schema";

/// What every row that is written now carries.
pub(super) fn stamp() -> (String, AttributeValue) {
    (SCHEMA.to_owned(), number(RECORD_SCHEMA))
}

/// Refuses a row that a newer release wrote. One without a number was written before there were numbers.
pub(super) fn check(row: &Item) -> Result<(), TaskError> {
    let found = match row.get(SCHEMA) {
        None => return Ok(()),
        Some(AttributeValue::N(digits)) => digits.as_str(),
        Some(_) => "that is no number",
    };
    if found.parse::<u32>().is_ok_and(|found| found <= RECORD_SCHEMA) {
        return Ok(());
    }
    let (run_id, entry) = (str_of(row, "run_id"), str_of(row, "entry"));
    let (run_id, entry) = (run_id.unwrap_or_default(), entry.unwrap_or_default());
    Err(newer_row(&format!("entry {entry} of run {run_id}"), found))
}
