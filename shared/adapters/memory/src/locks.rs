//! Locks: one row a batch and a cluster.

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, RunId};
use guard_tasks::{Fence, HeldLease, Lease, LeaseReader, LockOutcome, Locks, TaskError};
use jiff::Timestamp;

use crate::{Holder, LockRow, MemoryStore, batch_lock, cluster_lock};

#[async_trait]
impl Locks for MemoryStore {
    async fn acquire(
        &self,
        run_id: &RunId,
        execution_arn: &str,
        batch_id: &BatchId,
        clusters: &[ClusterId],
        replacing: Option<&str>,
        now: Timestamp,
    ) -> Result<LockOutcome, TaskError> {
        let mut tables = self.tables();
        let mut names: Vec<String> = clusters.iter().map(cluster_lock).collect();
        let batch = batch_lock(batch_id);
        // What a dead holder of the batch holds beside it is taken over too: nobody else would free it.
        let is_dead = |row: &LockRow| {
            replacing.is_some_and(|dead| row.holder.as_ref().is_some_and(|held| held.execution_arn == dead))
        };
        if tables.locks.get(&batch).is_some_and(is_dead) {
            let left = tables.locks.iter().filter(|(name, row)| **name != batch && is_dead(row));
            names.extend(left.map(|(name, _)| name.clone()));
        }
        names.sort_unstable();
        names.dedup();
        names.insert(0, batch);

        let mut is_ours_already = true;
        let mut fence = 0;
        for name in &names {
            let row = tables.locks.get(name);
            fence = fence.max(row.map_or(0, |row| row.fence));
            match row.and_then(|row| row.holder.as_ref()) {
                Some(holder) if holder.run_id == run_id.as_str() => {}
                Some(holder) if replacing != Some(holder.execution_arn.as_str()) => {
                    return Ok(LockOutcome::Taken {
                        resource: name.clone(),
                        holder_arn: holder.execution_arn.clone(),
                        since: holder.since,
                    });
                }
                Some(_) | None => is_ours_already = false,
            }
        }
        // A fresh fence for all rows, above every one of them; the same run asking again keeps its own.
        if !is_ours_already {
            fence += 1;
            let holder =
                Holder { run_id: run_id.to_string(), execution_arn: execution_arn.to_owned(), since: now };
            for name in names {
                tables.locks.insert(name, LockRow { fence, holder: Some(holder.clone()) });
            }
        }
        Ok(LockOutcome::Held(Lease {
            run_id: run_id.clone(),
            batch_id: batch_id.clone(),
            fence: Fence(fence),
        }))
    }

    async fn confirm(&self, lease: &Lease) -> Result<(), TaskError> {
        self.tables().check_fence(lease, &batch_lock(&lease.batch_id))
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, TaskError> {
        let mut tables = self.tables();
        tables.check_fence(lease, &batch_lock(&lease.batch_id))?;
        let renewed = Lease { fence: Fence(lease.fence.0 + 1), ..lease.clone() };
        for row in tables.locks.values_mut() {
            if row.fence == lease.fence.0
                && row.holder.as_ref().is_some_and(|holder| holder.run_id == lease.run_id.as_str())
            {
                row.fence = renewed.fence.0;
            }
        }
        Ok(renewed)
    }

    async fn release(&self, lease: &Lease) -> Result<(), TaskError> {
        for row in self.tables().locks.values_mut() {
            if row.fence == lease.fence.0
                && row.holder.as_ref().is_some_and(|holder| holder.run_id == lease.run_id.as_str())
            {
                row.holder = None;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl LeaseReader for MemoryStore {
    async fn leases(&self) -> Result<Vec<Result<HeldLease, TaskError>>, TaskError> {
        let tables = self.tables();
        let of_batches = tables.locks.iter().filter_map(|(name, row)| {
            let (batch, holder) = (name.strip_prefix("batch#")?, row.holder.as_ref()?);
            let wrong =
                |error: guard_domain::InvalidName| TaskError::internal(format!("lock {name}: {error}"));
            let ids = RunId::parse(&holder.run_id).and_then(|run| Ok((run, BatchId::parse(batch)?)));
            Some(ids.map_err(wrong).map(|(run_id, batch_id)| HeldLease {
                lease: Lease { run_id, batch_id, fence: Fence(row.fence) },
                execution_arn: holder.execution_arn.clone(),
            }))
        });
        Ok(of_batches.collect())
    }
}
