//! The whole registry and the locks, read for people: a row that does not decode is told beside those that do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use guard_domain::{BatchId, ClusterId, ClusterRecord, RunId};
use guard_tasks::{Fence, HeldLease, Lease, LeaseReader, TaskError};
use jiff::Timestamp;

use super::DynamoDb;
use super::attributes::{Item, str_of};
use super::lock_row::{BATCH, LockRow, batch_lock, cluster_lock};
use super::registry::decode;
use crate::error;

/// A row of the registry as it was found.
#[derive(Debug, Clone)]
pub struct FleetRow {
    /// Its key, as written.
    pub cluster_id: String,
    /// The cluster, or what is wrong with its row.
    pub record: Result<ClusterRecord, TaskError>,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// `batch#<id>` or `cluster#<id>`.
    pub resource: String,
    /// The holder's fence.
    pub fence: Fence,
    /// The holder's run.
    pub run_id: String,
    /// The holder's execution.
    pub execution_arn: String,
    /// When it was taken.
    pub since: Timestamp,
}

impl DynamoDb {
    /// Every row of the registry, by key, read consistently.
    pub async fn fleet(&self) -> Result<Vec<FleetRow>, TaskError> {
        let mut rows: Vec<FleetRow> = self
            .scan(&self.tables.registry)
            .await?
            .iter()
            .map(|row| FleetRow {
                cluster_id: str_of(row, "cluster_id").unwrap_or_default().to_owned(),
                record: decode(row),
            })
            .collect();
        rows.sort_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
        Ok(rows)
    }

    /// Every lock that somebody holds, by resource, read consistently. Whether the holder lives is asked of Step
    /// Functions.
    pub async fn held_locks(&self) -> Result<Vec<HeldLock>, TaskError> {
        let mut held = Vec::new();
        for row in self.scan(&self.tables.locks).await? {
            let resource = str_of(&row, "resource").unwrap_or_default().to_owned();
            held.extend(lock(LockRow::decode(&resource, &row)?));
        }
        held.sort_by(|a, b| a.resource.cmp(&b.resource));
        Ok(held)
    }

    /// Who holds a batch.
    pub async fn holder_of_batch(&self, id: &BatchId) -> Result<Option<HeldLock>, TaskError> {
        self.lock_row(&batch_lock(id)).await.map(lock)
    }

    /// Who holds a cluster.
    pub async fn holder_of_cluster(&self, id: &ClusterId) -> Result<Option<HeldLock>, TaskError> {
        self.lock_row(&cluster_lock(id)).await.map(lock)
    }

    async fn scan(&self, table: &str) -> Result<Vec<Item>, TaskError> {
        let label = format!("DynamoDB Scan {table}");
        let rows: Result<Vec<std::collections::HashMap<String, AttributeValue>>, _> = self
            .client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        rows.map_err(|refused| error::classify(&label, &refused))
    }
}

#[async_trait]
impl LeaseReader for DynamoDb {
    /// A batch's row is claimed first and freed last: while any row of a lease is held, this one is.
    async fn leases(&self) -> Result<Vec<Result<HeldLease, TaskError>>, TaskError> {
        let mut rows: BTreeMap<String, Item> = BTreeMap::new();
        for row in self.scan(&self.tables.locks).await? {
            let resource = str_of(&row, "resource").unwrap_or_default();
            if resource.starts_with(BATCH) {
                rows.insert(resource.to_owned(), row);
            }
        }
        Ok(rows.iter().filter_map(|(resource, row)| held_lease(resource, row).transpose()).collect())
    }
}

/// The lease of a batch's row, if it is held.
fn held_lease(resource: &str, row: &Item) -> Result<Option<HeldLease>, TaskError> {
    let Some(lock) = lock(LockRow::decode(resource, row)?) else { return Ok(None) };
    let wrong = |why: guard_domain::InvalidName| {
        TaskError::internal(format!("lock {resource}: {why}: mend the row by hand"))
    };
    let lease = Lease {
        run_id: RunId::parse(&lock.run_id).map_err(wrong)?,
        batch_id: BatchId::parse(resource.strip_prefix(BATCH).unwrap_or_default()).map_err(wrong)?,
        fence: lock.fence,
    };
    Ok(Some(HeldLease { lease, execution_arn: lock.execution_arn }))
}

fn lock(row: LockRow) -> Option<HeldLock> {
    let holder = row.holder?;
    Some(HeldLock {
        resource: row.resource,
        fence: Fence(row.fence),
        run_id: holder.run_id,
        execution_arn: holder.execution_arn,
        since: holder.since,
    })
}
