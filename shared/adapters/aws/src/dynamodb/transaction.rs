//! A write together with the proof that its lock is held: both or neither.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Refusal;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
};
use guard_http::clip;
use guard_tasks::{Lease, TaskError};

use super::DynamoDb;
use super::attributes::{Item, item, number, text};
use super::expression::Expression;
use super::lock_row::LockRow;
use crate::error;

/// A reason's code when its action was not what stopped the transaction.
const NONE: &str = "None";
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// What came of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// Made.
    Yes,
    /// Not made: the lock is held, but the row is not as expected. The row as it is, if it was asked for and is there.
    No(Option<Item>),
}

impl DynamoDb {
    /// Makes the write if the lease holds `resource`, in one transaction. A lost lock is `Conflict` and names the
    /// holder.
    ///
    /// The SDK gives each call a token of its own, so a request that the network delivers twice counts once. A token
    /// made from the content would be wrong: for ten minutes DynamoDB answers a known token with success and does
    /// nothing, and a status or an entry may go from A to B, back to A and to B again within that time. A caller that
    /// repeats a call whose answer was lost therefore gets the truth, "not as expected"; it looks first and finds its
    /// write done (`guard_tasks::ledger`).
    pub(super) async fn write_under_lock(
        &self,
        lease: &Lease,
        resource: &str,
        table: &str,
        write: TransactWriteItem,
    ) -> Result<Written, TaskError> {
        let label = format!("DynamoDB TransactWriteItems {} {table}", self.tables.locks);
        let answer = self
            .client
            .transact_write_items()
            .transact_items(self.lock_check(lease, resource)?)
            .transact_items(write)
            .send()
            .await;
        let Err(refused) = answer else { return Ok(Written::Yes) };
        match refused.as_service_error() {
            Some(Refusal::TransactionCanceledException(cancelled)) => {
                outcome(lease, resource, cancelled.cancellation_reasons())
                    .map_err(|error| error.context(label))
            }
            _ => Err(error::classify(&label, &refused)),
        }
    }

    fn lock_check(&self, lease: &Lease, resource: &str) -> Result<TransactWriteItem, TaskError> {
        let held = holds(lease);
        let check = ConditionCheck::builder()
            .table_name(&self.tables.locks)
            .set_key(Some(item([("resource", text(resource))])))
            .set_condition_expression(held.condition())
            .set_expression_attribute_names(held.names())
            .set_expression_attribute_values(held.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// The condition under which a lock row is this lease's.
pub(super) fn holds(lease: &Lease) -> Expression {
    Expression::default()
        .when_is("fence", number(lease.fence.0))
        .when_is("holder.run_id", text(lease.run_id.as_str()))
}

/// The lock comes first: who does not hold it has no business with the row. A condition that failed is a definite
/// answer; anything else that stopped the transaction means that nothing was written and nobody knows.
fn outcome(lease: &Lease, resource: &str, reasons: &[CancellationReason]) -> Result<Written, TaskError> {
    let code = |reason: &CancellationReason| reason.code().unwrap_or(NONE).to_owned();
    if let Some(lock) = reasons.first()
        && code(lock) == CONDITION_FAILED
    {
        let row = lock.item().map(|row| LockRow::decode(resource, row)).transpose()?;
        return Err(lost(lease, resource, row.as_ref()));
    }
    let unknown = reasons.iter().find(|reason| ![NONE, CONDITION_FAILED].contains(&code(reason).as_str()));
    if let Some(reason) = unknown {
        let (code, message) = (code(reason), clip(reason.message().unwrap_or_default()));
        return Err(TaskError::new(error::name_of(&code), format!("cancelled by {code}: {message}")));
    }
    match reasons.get(1) {
        Some(reason) if code(reason) == CONDITION_FAILED => {
            Ok(Written::No(reason.item().filter(|row| !row.is_empty()).cloned()))
        }
        _ => Err(TaskError::internal("cancelled without a reason")),
    }
}

/// `run a with fence 3 does not hold batch#test; <execution> does`.
pub(super) fn lost(lease: &Lease, resource: &str, row: Option<&LockRow>) -> TaskError {
    let holder = row.and_then(|row| row.holder.as_ref()).map_or("nobody", |holder| &holder.execution_arn);
    TaskError::conflict(format!(
        "run {} with fence {} does not hold {resource}; {holder} does",
        lease.run_id, lease.fence.0
    ))
}
