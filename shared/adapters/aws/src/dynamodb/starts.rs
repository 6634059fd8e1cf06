//! Starts that name a request, in the table of the runs: one row a request, which the first execution writes.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError as Refusal;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure as OnFailure;
use guard_domain::BatchId;
use guard_tasks::{FirstStart, Start, StartRegister, TaskError};

use super::DynamoDb;
use super::attributes::{Item, item, str_of, text};
use super::expression::Expression;
use super::records::key;
use super::schema;
use crate::error;

#[async_trait]
impl StartRegister for DynamoDb {
    async fn note(&self, start: &Start) -> Result<FirstStart, TaskError> {
        let mut row = key(&partition(start), start.request_id.as_str());
        row.extend(item([
            ("execution_arn", text(&start.execution_arn)),
            ("started_at", text(start.at.to_string())),
        ]));
        row.extend([self.expires_at(), schema::stamp()]);
        let is_first = Expression::default().when_absent("entry");
        let label = format!("DynamoDB PutItem {}", self.tables.runs);
        let answer = self
            .client
            .put_item()
            .table_name(&self.tables.runs)
            .set_item(Some(row))
            .set_condition_expression(is_first.condition())
            .set_expression_attribute_names(is_first.names())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let Err(refused) = answer else {
            return Ok(FirstStart { execution_arn: start.execution_arn.clone(), at: start.at });
        };
        match refused.as_service_error() {
            Some(Refusal::ConditionalCheckFailedException(found)) => {
                found.item().map_or(Ok(()), schema::check)?;
                found.item().and_then(first).ok_or_else(|| {
                    TaskError::internal(format!(
                        "the start of request {} does not decode: mend or delete its row by hand",
                        start.request_id
                    ))
                    .context(label)
                })
            }
            _ => Err(error::classify(&label, &refused)),
        }
    }
}

/// No run is named so: their names have no `#`.
fn partition(start: &Start) -> String {
    let batch = start.batch_id.as_ref().map_or("", BatchId::as_str);
    format!("start#{}#{batch}", start.machine)
}

fn first(row: &Item) -> Option<FirstStart> {
    Some(FirstStart {
        execution_arn: str_of(row, "execution_arn")?.to_owned(),
        at: str_of(row, "started_at")?.parse().ok()?,
    })
}
