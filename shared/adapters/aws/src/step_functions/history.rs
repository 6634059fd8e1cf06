//! What happened in an execution, event by event.

use std::collections::BTreeMap;

use aws_sdk_sfn::operation::get_execution_history::GetExecutionHistoryError;
use aws_sdk_sfn::types::HistoryEvent as Raw;
use guard_tasks::{Context as _, TaskError};
use jiff::Timestamp;
use serde_json::Value;

use super::StepFunctions;
use super::executions::{json, time};
use crate::error;

/// Events in one page when all are read, and when only the newest are looked for. Source: the API reference of
/// GetExecutionHistory, at most 1000.
const PAGE: i32 = 1000;
const NEWEST_PAGE: i32 = 100;

/// One event that people follow; the many others are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Its number in the history, from 1 upwards.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A state began.
    Entered {
        /// Its name.
        state: String,
        /// Its data.
        input: Value,
    },
    /// A state ended.
    Exited {
        /// Its name.
        state: String,
        /// Its data.
        output: Value,
    },
    /// An attempt of a state failed. The machine may try again, or catch it.
    Failed {
        /// The error's name.
        error: String,
        /// Why.
        cause: String,
    },
}

/// Events after one, and how far was read.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// In their order.
    pub events: Vec<HistoryEvent>,
    /// The newest event's number, whatever it is about; what to ask for next is what comes after it.
    pub read_to: i64,
}

impl StepFunctions {
    /// What happened after the event `after`; 0 is the whole history. It is read from its end, so that following a long
    /// run stays cheap. An execution that does not exist, or not yet, has an empty one.
    pub async fn history(&self, execution_arn: &str, after: i64) -> Result<History, TaskError> {
        let mut pages = self
            .client
            .get_execution_history()
            .execution_arn(execution_arn)
            .reverse_order(true)
            .max_results(if after == 0 { PAGE } else { NEWEST_PAGE })
            .into_paginator()
            .send();
        let mut found = BTreeMap::new();
        'pages: while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(refused)
                    if refused
                        .as_service_error()
                        .is_some_and(GetExecutionHistoryError::is_execution_does_not_exist) =>
                {
                    break;
                }
                Err(refused) => {
                    return Err(error::classify("Step Functions GetExecutionHistory", &refused))
                        .context(format!("read the history of {execution_arn}"));
                }
            };
            for event in page.events {
                if event.id <= after {
                    break 'pages;
                }
                found.insert(event.id, event);
            }
        }
        let read_to = found.keys().next_back().copied().unwrap_or(after);
        let events = found.values().filter_map(|raw| read(raw).transpose()).collect::<Result<_, _>>()?;
        Ok(History { events, read_to })
    }
}

fn read(raw: &Raw) -> Result<Option<HistoryEvent>, TaskError> {
    let Some(what) = happened(raw) else { return Ok(None) };
    Ok(Some(HistoryEvent { id: raw.id, at: time(&raw.timestamp)?, what }))
}

fn happened(raw: &Raw) -> Option<Happened> {
    if let Some(entered) = &raw.state_entered_event_details {
        return Some(Happened::Entered {
            state: entered.name.clone(),
            input: json(entered.input.as_deref()),
        });
    }
    if let Some(exited) = &raw.state_exited_event_details {
        return Some(Happened::Exited { state: exited.name.clone(), output: json(exited.output.as_deref()) });
    }
    let failed = |error: Option<&String>, cause: Option<&String>| {
        Some(Happened::Failed {
            error: error.cloned().unwrap_or_else(|| "no name".to_owned()),
            cause: cause.cloned().unwrap_or_default(),
        })
    };
    if let Some(details) = &raw.task_failed_event_details {
        return failed(details.error.as_ref(), details.cause.as_ref());
    }
    if let Some(details) = &raw.task_timed_out_event_details {
        return failed(details.error.as_ref(), details.cause.as_ref());
    }
    if let Some(details) = &raw.task_submit_failed_event_details {
        return failed(details.error.as_ref(), details.cause.as_ref());
    }
    if let Some(details) = &raw.lambda_function_failed_event_details {
        return failed(details.error.as_ref(), details.cause.as_ref());
    }
    let details = raw.lambda_function_timed_out_event_details.as_ref()?;
    failed(details.error.as_ref(), details.cause.as_ref())
}
