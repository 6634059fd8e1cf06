//! The registry as people edit it: a row added, changed or removed, and only while no run is at work on it.
//!
//! Each is one transaction with the locks of the cluster and its batch. Attributes that are not ours stay.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Refusal;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure as OnFailure,
    TransactWriteItem, Update,
};
use guard_domain::{BatchId, ClusterRecord};
use guard_tasks::{Context as _, TaskError};
use serde_json::{Map, Value};

use super::DynamoDb;
use super::attributes::{Item, from_json, item, number, text};
use super::expression::Expression;
use super::fleet::HeldLock;
use super::lock_row::{batch_lock, cluster_lock};
use super::registry::decode;
use crate::error;

/// Attributes that hold attributes: what others keep inside of them stays too.
const NESTED: [&str; 2] = ["datadog_tags", "metadata"];

impl DynamoDb {
    /// Adds a cluster. `Conflict` when there is one of this name, or when somebody took its lock or its batch's.
    /// `dead` are locks whose holders were found not to run any more; they count as free while they stay so.
    pub async fn add_cluster(&self, row: &ClusterRecord, dead: &[HeldLock]) -> Result<(), TaskError> {
        let new = object(row)?.iter().map(|(name, value)| (name.clone(), from_json(value))).collect();
        let absent = Expression::default().when_absent("cluster_id");
        let put = Put::builder()
            .table_name(&self.tables.registry)
            .set_item(Some(new))
            .set_condition_expression(absent.condition())
            .set_expression_attribute_names(absent.names())
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        let write = TransactWriteItem::builder().put(put).build();
        self.edit(row, &[&row.batch_id], dead, write).await
    }

    /// Changes a cluster from what it was read as. `Conflict` when it is something else by now, or locked.
    pub async fn change_cluster(
        &self,
        before: &ClusterRecord,
        after: &ClusterRecord,
        dead: &[HeldLock],
    ) -> Result<(), TaskError> {
        let read = self.as_read(before).await?;
        let change = difference(&read, &object(before)?, &object(after)?).when_there("cluster_id");
        let update = Update::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(key(before)))
            .update_expression(change.update())
            .set_condition_expression(change.condition())
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        let write = TransactWriteItem::builder().update(update).build();
        self.edit(before, &[&before.batch_id, &after.batch_id], dead, write).await
    }

    /// Removes a cluster that still is what it was read as. `Conflict` otherwise, or when it is locked.
    pub async fn remove_cluster(&self, before: &ClusterRecord, dead: &[HeldLock]) -> Result<(), TaskError> {
        let read = self.as_read(before).await?;
        let same = Expression::default()
            .when_there("cluster_id")
            .when_still("status", read.get("status"))
            .when_still("last_updated", read.get("last_updated"));
        let delete = Delete::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(key(before)))
            .set_condition_expression(same.condition())
            .set_expression_attribute_names(same.names())
            .set_expression_attribute_values(same.values())
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        let write = TransactWriteItem::builder().delete(delete).build();
        self.edit(before, &[&before.batch_id], dead, write).await
    }

    /// The row's attributes, if they still say what was read.
    async fn as_read(&self, before: &ClusterRecord) -> Result<Item, TaskError> {
        let id = &before.cluster_id;
        let read = self.registry_row(id).await?;
        let read = read.ok_or_else(|| TaskError::conflict(format!("cluster {id} is not there any more")))?;
        if decode(&read)? == *before { Ok(read) } else { Err(changed(before)) }
    }

    async fn edit(
        &self,
        row: &ClusterRecord,
        batches: &[&BatchId],
        dead: &[HeldLock],
        write: TransactWriteItem,
    ) -> Result<(), TaskError> {
        let locks: BTreeSet<String> = batches.iter().copied().map(batch_lock).collect();
        let mut actions = vec![self.free_check(&cluster_lock(&row.cluster_id), dead)?];
        for lock in &locks {
            actions.push(self.free_check(lock, dead)?);
        }
        actions.push(write);
        let label = format!("DynamoDB TransactWriteItems {}", self.tables.registry);
        let answer = self.client.transact_write_items().set_transact_items(Some(actions)).send().await;
        let Err(refused) = answer else { return Ok(()) };
        let about = || format!("cluster {}", row.cluster_id);
        let Some(Refusal::TransactionCanceledException(cancelled)) = refused.as_service_error() else {
            return Err(error::classify(&label, &refused)).context(about());
        };
        let codes: Vec<&str> =
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
        let is_own = |code: &&str| ["None", "ConditionalCheckFailed"].contains(code);
        if let Some(code) = codes.iter().find(|code| !is_own(code)) {
            return Err(TaskError::new(error::name_of(code), format!("cancelled by {code}")).context(about()));
        }
        match codes.split_last() {
            Some((_, locks)) if locks.contains(&"ConditionalCheckFailed") => {
                Err(TaskError::conflict(format!(
                    "cluster {} or its batch was locked by a run meanwhile; nothing was written",
                    row.cluster_id
                )))
            }
            _ => Err(changed(row)),
        }
    }

    /// Nobody holds the lock, or still the one who is dead.
    fn free_check(&self, resource: &str, dead: &[HeldLock]) -> Result<TransactWriteItem, TaskError> {
        let free = match dead.iter().find(|lock| lock.resource == resource) {
            None => Expression::default().when_absent("holder"),
            Some(lock) => Expression::default()
                .when_is("fence", number(lock.fence.0))
                .when_is("holder.run_id", text(&lock.run_id)),
        };
        let check = ConditionCheck::builder()
            .table_name(&self.tables.locks)
            .set_key(Some(item([("resource", text(resource))])))
            .set_condition_expression(free.condition())
            .set_expression_attribute_names(free.names())
            .set_expression_attribute_values(free.values())
            .return_values_on_condition_check_failure(OnFailure::None)
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

fn key(row: &ClusterRecord) -> Item {
    item([("cluster_id", text(row.cluster_id.as_str()))])
}

fn changed(row: &ClusterRecord) -> TaskError {
    TaskError::conflict(format!(
        "cluster {} was added, changed or removed by somebody else meanwhile; nothing was written",
        row.cluster_id
    ))
}

fn object(row: &ClusterRecord) -> Result<Map<String, Value>, TaskError> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(TaskError::internal(format!("cluster {} cannot be encoded", row.cluster_id))),
    }
}

/// What leads from one to the other, conditioned on what it writes over and on the status.
fn difference(read: &Item, before: &Map<String, Value>, after: &Map<String, Value>) -> Expression {
    let mut change = Expression::default();
    if before.get("status") == after.get("status") {
        change = change.when_still("status", read.get("status"));
    }
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let inside = read.get(name).and_then(|value| value.as_m().ok());
        match (NESTED.contains(&name.as_str()), inside, old, new) {
            (true, Some(inside), Some(Value::Object(old)), Some(Value::Object(new))) => {
                let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
                for part in names.into_iter().filter(|part| old.get(*part) != new.get(*part)) {
                    change = write(change, &format!("{name}.{part}"), inside.get(part), new.get(part));
                }
            }
            _ => change = write(change, name, read.get(name), new),
        }
    }
    change
}

fn write(change: Expression, path: &str, read: Option<&AttributeValue>, new: Option<&Value>) -> Expression {
    let change = change.when_still(path, read);
    match new {
        Some(new) => change.set(path, from_json(new)),
        None => change.remove(path),
    }
}
