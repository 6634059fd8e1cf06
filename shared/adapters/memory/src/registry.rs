//! The cluster registry.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus, HistoryEntry};
use guard_tasks::{
    BatchReader, ClusterReader, ErrorName, Lease, StatusMove, StatusWriter, TaskError, VersionChange,
};

use crate::{MemoryStore, cluster_lock};

#[async_trait]
impl ClusterReader for MemoryStore {
    async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, TaskError> {
        Ok(self.tables().clusters.get(id).cloned())
    }
}

#[async_trait]
impl BatchReader for MemoryStore {
    async fn batch(&self, id: &BatchId) -> Result<Vec<ClusterRecord>, TaskError> {
        Ok(self.tables().clusters.values().filter(|row| row.batch_id == *id).cloned().collect())
    }

    async fn batches(&self) -> Result<BTreeMap<BatchId, usize>, TaskError> {
        let mut sizes = BTreeMap::new();
        for row in self.tables().clusters.values() {
            *sizes.entry(row.batch_id.clone()).or_insert(0) += 1;
        }
        Ok(sizes)
    }
}

#[async_trait]
impl StatusWriter for MemoryStore {
    async fn move_status(&self, lease: &Lease, change: &StatusMove) -> Result<(), TaskError> {
        let mut tables = self.tables();
        tables.check_fence(lease, &cluster_lock(&change.cluster_id))?;
        let Some(row) = tables.clusters.get_mut(&change.cluster_id) else {
            return Err(TaskError::rejected(format!("cluster {} is not in the registry", change.cluster_id)));
        };
        if row.status != change.from {
            let message =
                format!("cluster {} is {}, expected {}", change.cluster_id, row.status, change.from);
            return Err(TaskError::new(ErrorName::Conflict, message));
        }
        if !change.from.may_become(change.to) {
            return Err(TaskError::internal(format!("{} may not become {}", change.from, change.to)));
        }
        apply(row, lease, change);
        Ok(())
    }
}

/// What DynamoDB's update expression will do.
fn apply(row: &mut ClusterRecord, lease: &Lease, change: &StatusMove) {
    let run_id = Some(lease.run_id.clone());
    row.status = change.to;
    row.last_updated = change.at;
    match &change.version {
        Some(VersionChange::Aim(version)) => row.target_istio_version = Some(version.clone()),
        Some(VersionChange::Forget) => row.target_istio_version = None,
        Some(VersionChange::Reached(version)) => {
            // A row that never had a history gets the version it leaves, or nothing could ever lead back to it.
            if row.upgrade_history.is_empty() {
                let left = row.current_istio_version.clone();
                row.upgrade_history.push(HistoryEntry {
                    version: left,
                    date: change.at,
                    status: ClusterStatus::Healthy,
                    run_id: None,
                });
            }
            row.current_istio_version = version.clone();
            row.target_istio_version = None;
            row.upgrade_history.push(HistoryEntry {
                version: version.clone(),
                date: change.at,
                status: change.to,
                run_id,
            });
        }
        Some(VersionChange::WentBack(version)) => {
            // The history names the version that failed; inside an upgrade it never became the current one.
            let failed = row.target_istio_version.take().unwrap_or_else(|| row.current_istio_version.clone());
            row.current_istio_version = version.clone();
            row.upgrade_history.push(HistoryEntry {
                version: failed,
                date: change.at,
                status: change.to,
                run_id,
            });
        }
        None => {}
    }
    if let Some(url) = &change.merge_request_url {
        row.metadata.mr_url = Some(url.clone());
        row.metadata.mr_created_at = Some(change.at);
        row.metadata.mr_merged_at = None;
    }
    if change.to == ClusterStatus::Upgrading {
        row.metadata.mr_merged_at = Some(change.at);
    }
}
