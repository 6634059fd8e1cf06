//! Locks: one row a batch and a cluster, claimed one after the other.
//!
//! 201 rows do not fit one transaction (100 actions), so a claim can stop in the middle. What keeps it right:
//!
//! - Every claim is conditioned on the row as it was read, and raises its fence. So no fence of a row is given twice,
//!   and of two who claim a row only one does.
//! - The batch's row is claimed first and freed last, and lists the clusters' rows from the start. While any row of a
//!   lease is held, the batch's row tells which. Whoever replaces a dead holder of the batch takes all that it lists.
//! - A call that finds some rows its own, or its own with several fences, is the repetition of one that stopped. It
//!   claims every row anew with one fence above all of them, rather than going on with the old one: the earlier call
//!   may still be alive, about to undo what it claimed, and its undoing must not fit the rows any more. Its lease, if
//!   it gets one, is older than the batch's row and every write refuses it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError as Refusal;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure as OnFailure;
use guard_domain::{BatchId, ClusterId, RunId};
use guard_tasks::{Fence, Lease, LockOutcome, Locks, TaskError};
use jiff::Timestamp;

use super::DynamoDb;
use super::attributes::{number, str_of, text};
use super::expression::Expression;
use super::lock_row::{Holder, LockRow, batch_lock, cluster_lock, key};
use super::transaction::{Written, holds, lost};
use crate::error;
use aws_sdk_dynamodb::types::AttributeValue;

/// Looks at one row before it is said that it changes hands too fast.
const LOOKS_MAX: usize = 3;

/// What is written into every row.
struct Claim<'a> {
    lease: &'a Lease,
    holder: Holder,
    replacing: Option<&'a str>,
    /// The clusters' locks, for the batch's row.
    clusters: &'a [String],
}

#[async_trait]
impl Locks for DynamoDb {
    async fn acquire(
        &self,
        run_id: &RunId,
        execution_arn: &str,
        batch_id: &BatchId,
        clusters: &[ClusterId],
        replacing: Option<&str>,
        now: Timestamp,
    ) -> Result<LockOutcome, TaskError> {
        let names = resources(batch_id, clusters);
        let mut rows = self.lock_rows(&names).await?;
        let others = self.left_with(&rows[0], &names, run_id, replacing).await?;
        rows.extend(others);
        rows[1..].sort_by(|a, b| a.resource.cmp(&b.resource));
        if let Some(taken) = rows.iter().find_map(|row| row.taken_from(run_id, replacing)) {
            return Ok(taken);
        }
        let newest = rows.iter().map(|row| row.fence).max().unwrap_or_default();
        let is_whole = rows.iter().all(|row| row.is_of(run_id) && row.fence == newest);
        let fence = if is_whole { Some(newest) } else { newest.checked_add(1) };
        let fence =
            Fence(fence.ok_or_else(|| TaskError::internal(format!("the fences of {batch_id} are used up")))?);
        let lease = Lease { run_id: run_id.clone(), batch_id: batch_id.clone(), fence };
        if !is_whole {
            let holder =
                Holder { run_id: run_id.to_string(), execution_arn: execution_arn.to_owned(), since: now };
            let clusters: Vec<String> = rows[1..].iter().map(|row| row.resource.clone()).collect();
            let claim = Claim { lease: &lease, holder, replacing, clusters: &clusters };
            if let Some(lost_to) = self.claim_all(&rows, &claim).await? {
                return lost_to.taken_from(run_id, replacing).ok_or_else(|| {
                    TaskError::conflict(format!("{} changed hands while it was taken", lost_to.resource))
                });
            }
        }
        Ok(LockOutcome::Held(lease))
    }

    async fn confirm(&self, lease: &Lease) -> Result<(), TaskError> {
        let resource = batch_lock(&lease.batch_id);
        let row = self.lock_row(&resource).await?;
        if row.is_held_by(lease) { Ok(()) } else { Err(lost(lease, &resource, Some(&row))) }
    }

    /// Claims the rows anew for the same holder: the batch's first, so that the old lease is refused from then on.
    async fn renew(&self, lease: &Lease) -> Result<Lease, TaskError> {
        let resource = batch_lock(&lease.batch_id);
        let batch = self.lock_row(&resource).await?;
        let Some(holder) = batch.holder.clone().filter(|_| batch.is_held_by(lease)) else {
            return Err(lost(lease, &resource, Some(&batch)));
        };
        let clusters = batch.clusters.clone();
        let mut rows = vec![batch];
        rows.extend(self.lock_rows(&clusters).await?.into_iter().filter(|row| row.is_of(&lease.run_id)));
        let newest = rows.iter().map(|row| row.fence).max().unwrap_or_default();
        let fence = newest
            .checked_add(1)
            .ok_or_else(|| TaskError::internal(format!("the fences of {} are used up", lease.batch_id)))?;
        let renewed = Lease { fence: Fence(fence), ..lease.clone() };
        let claim = Claim { lease: &renewed, holder, replacing: None, clusters: &clusters };
        for row in &rows {
            if let Some(lost_to) = self.claim(row, &claim).await? {
                return Err(lost(lease, &lost_to.resource, Some(&lost_to)));
            }
        }
        Ok(renewed)
    }

    async fn release(&self, lease: &Lease) -> Result<(), TaskError> {
        let batch = self.lock_row(&batch_lock(&lease.batch_id)).await?;
        if !batch.is_held_by(lease) {
            return Ok(());
        }
        for resource in batch.clusters.iter().rev().chain([&batch.resource]) {
            self.free(resource, lease).await?;
        }
        Ok(())
    }
}

impl DynamoDb {
    /// What the batch's holder, who is replaced, holds beside what is asked for: it is taken over with the batch, for nobody
    /// else would free it. The same when an earlier call of this run was about to, and stopped.
    async fn left_with(
        &self,
        batch: &LockRow,
        names: &[String],
        run_id: &RunId,
        replacing: Option<&str>,
    ) -> Result<Vec<LockRow>, TaskError> {
        let is_dead = |row: &LockRow| {
            replacing.is_some_and(|dead| row.holder.as_ref().is_some_and(|held| held.execution_arn == dead))
        };
        let is_ours = batch.is_of(run_id);
        if !is_ours && !is_dead(batch) {
            return Ok(Vec::new());
        }
        let beside: Vec<String> =
            batch.clusters.iter().filter(|name| !names.contains(name)).cloned().collect();
        let rows = self.lock_rows(&beside).await?;
        let is_left = |row: &LockRow| row.is_of(run_id) || is_dead(row) || is_ours && row.holder.is_some();
        Ok(rows.into_iter().filter(is_left).collect())
    }

    /// Claims the rows in order. `Some` is a row that somebody else came to first; then nothing is left claimed.
    ///
    /// An error leaves the rows that were claimed so far. They are this run's: it finds them when it asks again, and
    /// whoever else finds them asks Step Functions for the holder.
    async fn claim_all(&self, rows: &[LockRow], claim: &Claim<'_>) -> Result<Option<LockRow>, TaskError> {
        for (index, row) in rows.iter().enumerate() {
            if let Some(lost_to) = self.claim(row, claim).await? {
                for claimed in rows[..index].iter().rev() {
                    self.free(&claimed.resource, claim.lease).await?;
                }
                return Ok(Some(lost_to));
            }
        }
        Ok(None)
    }

    /// Claims one row. `Some` is the row as somebody else has it now.
    async fn claim(&self, read: &LockRow, claim: &Claim<'_>) -> Result<Option<LockRow>, TaskError> {
        let mut row = read.clone();
        for _ in 0..LOOKS_MAX {
            match self.change_lock(&row.resource, claim.of(&row)).await? {
                Written::Yes => return Ok(None),
                Written::No(found) => {
                    row = LockRow::decode(&row.resource, &found.unwrap_or_default())?;
                }
            }
            if row.is_held_by(claim.lease) {
                // The request was delivered twice: it was ours that came first.
                return Ok(None);
            }
            let is_ours_to_take = row.taken_from(&claim.lease.run_id, claim.replacing).is_none()
                && row.fence < claim.lease.fence.0;
            if !is_ours_to_take {
                return Ok(Some(row));
            }
            // Taken and freed meanwhile, or claimed by an earlier call of this run: still below our fence.
        }
        Ok(Some(row))
    }

    /// Frees the row if this lease holds it. The fence stays.
    async fn free(&self, resource: &str, lease: &Lease) -> Result<(), TaskError> {
        let freed = holds(lease).remove("holder").remove("clusters");
        self.change_lock(resource, freed).await.map(|_| ())
    }

    async fn change_lock(&self, resource: &str, change: Expression) -> Result<Written, TaskError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.tables.locks)
            .set_key(Some(key(resource)))
            .update_expression(change.update())
            .set_condition_expression(change.condition())
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let Err(refused) = answer else { return Ok(Written::Yes) };
        if let Some(Refusal::ConditionalCheckFailedException(failed)) = refused.as_service_error() {
            return Ok(Written::No(failed.item().cloned()));
        }
        let label = format!("DynamoDB UpdateItem {} {resource}", self.tables.locks);
        Err(error::classify(&label, &refused))
    }

    pub(super) async fn lock_row(&self, resource: &str) -> Result<LockRow, TaskError> {
        let row = self.row(&self.tables.locks, key(resource)).await?;
        LockRow::decode(resource, &row.unwrap_or_default())
    }

    /// The rows of these names, in their order.
    async fn lock_rows(&self, names: &[String]) -> Result<Vec<LockRow>, TaskError> {
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        let found = self.rows(&self.tables.locks, &keys).await?;
        let row = |name: &String| {
            let row = found.iter().find(|row| str_of(row, "resource") == Some(name));
            row.map_or_else(|| Ok(LockRow::never_written(name)), |row| LockRow::decode(name, row))
        };
        names.iter().map(row).collect()
    }
}

impl Claim<'_> {
    /// The write that claims a row, if it still is as it was read.
    fn of(&self, row: &LockRow) -> Expression {
        let claimed = Expression::default()
            .set("fence", number(self.lease.fence.0))
            .set("holder", self.holder.attribute())
            .when_still("fence", row.read.get("fence"))
            .when_still("holder", row.read.get("holder"));
        if row.resource == batch_lock(&self.lease.batch_id) {
            claimed.set("clusters", AttributeValue::L(self.clusters.iter().map(text).collect()))
        } else {
            claimed
        }
    }
}

/// The batch's lock, then the clusters' in order of their names: two who want the same rows meet at the first.
fn resources(batch_id: &BatchId, clusters: &[ClusterId]) -> Vec<String> {
    let sorted: BTreeSet<String> = clusters.iter().map(cluster_lock).collect();
    std::iter::once(batch_lock(batch_id)).chain(sorted).collect()
}
