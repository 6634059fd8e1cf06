//! `Retry` and `Catch`.

use super::fields::{Fields, Place};
use super::{json, state};
use crate::error::ParseError;
use crate::machine::{Catcher, Jitter, Retrier};
use serde_json::Value;

pub(super) fn retry(fields: &mut Fields) -> Result<Vec<Retrier>, ParseError> {
    let items = fields.array("Retry")?.unwrap_or_default();
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            retrier(Fields::of(&fields.place, &fields.way(&format!("Retry[{index}]")), item)?)
        })
        .collect()
}

/// A named policy's list of retriers, read by the same rules as `Retry`.
pub(crate) fn retry_policy(name: &str, text: &str) -> Result<Vec<Retrier>, ParseError> {
    let place = Place { machine: format!("retry policy {name}"), state: None };
    let Value::Array(items) = json::read(text).map_err(|why| place.refuse("Retry", why))? else {
        return Err(place.refuse("Retry", "must be an array of retriers"));
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| retrier(Fields::of(&place, &format!("Retry[{index}]"), item)?))
        .collect()
}

fn retrier(mut fields: Fields) -> Result<Retrier, ParseError> {
    fields.text("Comment")?;
    let interval_seconds = fields.whole("IntervalSeconds")?.unwrap_or(1);
    if interval_seconds == 0 {
        return Err(fields.refuse("IntervalSeconds", "must be positive"));
    }
    let backoff_rate = match fields.take("BackoffRate") {
        None => 2.0,
        Some(value) => value
            .as_f64()
            .filter(|rate| *rate >= 1.0)
            .ok_or_else(|| fields.refuse("BackoffRate", "must be a number of at least 1.0"))?,
    };
    let max_delay_seconds = fields.whole("MaxDelaySeconds")?;
    if max_delay_seconds.is_some_and(|most| most <= interval_seconds || most >= 31_622_400) {
        return Err(fields.refuse("MaxDelaySeconds", "must be more than IntervalSeconds and below 31622400"));
    }
    let jitter = match fields.text("JitterStrategy")?.as_deref() {
        None | Some("NONE") => Jitter::None,
        Some("FULL") => Jitter::Full,
        Some(_) => return Err(fields.refuse("JitterStrategy", "must be FULL or NONE")),
    };
    let retrier = Retrier {
        error_equals: error_equals(&mut fields)?,
        interval_seconds,
        max_attempts: fields.whole("MaxAttempts")?.unwrap_or(3),
        backoff_rate,
        max_delay_seconds,
        jitter,
    };
    fields.finish()?;
    Ok(retrier)
}

pub(super) fn catch(fields: &mut Fields) -> Result<Vec<Catcher>, ParseError> {
    let items = fields.array("Catch")?.unwrap_or_default();
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let mut fields = Fields::of(&fields.place, &fields.way(&format!("Catch[{index}]")), item)?;
            let catcher = Catcher {
                comment: fields.text("Comment")?,
                error_equals: error_equals(&mut fields)?,
                result_path: state::result_path(&mut fields)?,
                next: fields.required_text("Next")?,
            };
            fields.finish()?;
            Ok(catcher)
        })
        .collect()
}

fn error_equals(fields: &mut Fields) -> Result<Vec<String>, ParseError> {
    let Some(items) = fields.array("ErrorEquals")? else {
        return Err(fields.refuse("ErrorEquals", "is missing"));
    };
    if items.is_empty() {
        return Err(fields.refuse("ErrorEquals", "must not be empty"));
    }
    items
        .into_iter()
        .map(|item| match item {
            Value::String(name) => Ok(name),
            _ => Err(fields.refuse("ErrorEquals", "must hold strings only")),
        })
        .collect()
}
