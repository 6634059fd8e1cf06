//! Requests that all functions together sent to GitLab: one row of the runs' table a window of ten seconds, counted by one
//! conditional update, gone an hour later.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use guard_tasks::{RequestBudget, TaskError};

use super::DynamoDb;
use super::attributes::number;
use super::records::key;
use crate::error;

/// No run is named so: their names have no `#`. The policy of the functions names it, too.
const PARTITION: &str = "budget#gitlab";

/// A window's seconds, to tell when its row may go.
const WINDOW_SECONDS: i64 = 10;

/// How long a row is kept after its window.
const KEPT_SECONDS: i64 = 3600;

#[async_trait]
impl RequestBudget for DynamoDb {
    async fn take(&self, window: i64, most: u64) -> Result<bool, TaskError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.tables.runs)
            .set_key(Some(key(PARTITION, &entry(window))))
            .update_expression("ADD spent :one SET expires_at = :gone")
            .condition_expression("attribute_not_exists(spent) OR spent < :most")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most))
            .expression_attribute_values(":gone", number(gone(window)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(refused) => Err(error::classify(&label(&self.tables.runs), &refused)),
        }
    }

    async fn close(&self, windows: RangeInclusive<i64>, most: u64) -> Result<(), TaskError> {
        for window in windows {
            let answer = self
                .client
                .update_item()
                .table_name(&self.tables.runs)
                .set_key(Some(key(PARTITION, &entry(window))))
                .update_expression("SET spent = :most, expires_at = :gone")
                .expression_attribute_values(":most", number(most))
                .expression_attribute_values(":gone", number(gone(window)))
                .send()
                .await;
            answer.map_err(|refused| error::classify(&label(&self.tables.runs), &refused))?;
        }
        Ok(())
    }
}

fn label(table: &str) -> String {
    format!("DynamoDB UpdateItem {table}")
}

fn entry(window: i64) -> String {
    format!("window#{window}")
}

fn gone(window: i64) -> u64 {
    (window * WINDOW_SECONDS + KEPT_SECONDS).unsigned_abs()
}
