//! What the checks look at, and how they ask for it.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus, IstioVersion, Plan, RunId};
use guard_tasks::{AuditEntry, Lease, RunRecords as _, StatusMove, TaskError, VersionChange};
use serde_json::Value;

use crate::fleet::Fleet;
use crate::history::Written;
use crate::house::House;

/// Status and version of every cluster at one moment.
pub(super) type Registry = BTreeMap<ClusterId, (ClusterStatus, IstioVersion)>;

/// What the checks look at.
pub struct Seen<'a> {
    pub(super) house: &'a House,
    pub(super) fleet: &'a Fleet,
    pub(super) history: Vec<Written>,
    pub(super) rows: Vec<ClusterRecord>,
    pub(super) audit: BTreeMap<RunId, Vec<AuditEntry>>,
    pub(super) records: BTreeMap<RunId, Vec<(String, Value)>>,
    /// Runs that went on with another one, and the one that began.
    pub(super) began: BTreeMap<RunId, RunId>,
    /// Clusters whose row a person wrote: its status is theirs.
    pub(super) by_hand: BTreeSet<ClusterId>,
    /// Something else than GUARD changed clusters or their files: what runs there says nothing about GUARD.
    pub(super) has_meddlers: bool,
}

impl<'a> Seen<'a> {
    /// Everything there is to see in a house.
    pub(super) async fn of(
        house: &'a House,
        fleet: &'a Fleet,
        has_meddlers: bool,
    ) -> Result<Self, TaskError> {
        let history = house.history();
        let runs: BTreeSet<RunId> =
            history.iter().filter_map(lease).map(|lease| lease.run_id.clone()).collect();
        let by_hand = history.iter().filter_map(|written| match written {
            Written::ByHand { cluster_id, .. } => Some(cluster_id.clone()),
            _ => None,
        });
        let by_hand = by_hand.collect();
        let mut audit = BTreeMap::new();
        let mut records = BTreeMap::new();
        let mut began = BTreeMap::new();
        for run in runs {
            audit.insert(run.clone(), house.store.audit_log(&run).await?);
            if let Some(plan) = house.store.entry(&run, "plan").await?
                && let Ok(Plan { resumes: Some(resumed), .. }) = serde_json::from_value(plan)
            {
                began.insert(run.clone(), resumed.first);
            }
            records.insert(run.clone(), house.store.entries(&run, "").await?);
        }
        let rows = house.store.clusters();
        Ok(Seen { house, fleet, history, rows, audit, records, began, by_hand, has_meddlers })
    }
}

fn lease(written: &Written) -> Option<&Lease> {
    match written {
        Written::Took { lease, .. }
        | Written::Freed(lease)
        | Written::Moved { lease, .. }
        | Written::Noted { lease, .. } => Some(lease),
        Written::ByHand { .. } => None,
    }
}

impl Seen<'_> {
    pub(super) fn moves(&self) -> impl Iterator<Item = (&Lease, &StatusMove)> {
        self.history.iter().filter_map(|written| match written {
            Written::Moved { lease, change } => Some((lease, change)),
            Written::Took { .. } | Written::Freed(_) | Written::Noted { .. } | Written::ByHand { .. } => None,
        })
    }

    pub(super) fn entry<T: serde::de::DeserializeOwned>(&self, run: &RunId, name: &str) -> Option<T> {
        let (_, value) = self.records.get(run)?.iter().find(|(own, _)| own == name)?;
        serde_json::from_value(value.clone()).ok()
    }

    pub(super) fn has_entry(&self, run: &RunId, prefix: &str) -> bool {
        self.records.get(run).is_some_and(|all| all.iter().any(|(name, _)| name.starts_with(prefix)))
    }

    /// The registry as it was before each move: status and version of every cluster.
    pub(super) fn replayed(&self) -> Vec<(Registry, &Lease, &StatusMove)> {
        let own =
            |row: &ClusterRecord| (row.cluster_id.clone(), (row.status, row.current_istio_version.clone()));
        let mut now: Registry = self.fleet.rows.iter().map(own).collect();
        let mut all = Vec::new();
        for written in &self.history {
            match written {
                Written::Moved { lease, change } => {
                    all.push((now.clone(), lease, change));
                    if let Some((status, version)) = now.get_mut(&change.cluster_id) {
                        *status = change.to;
                        if let Some(VersionChange::Reached(new) | VersionChange::WentBack(new)) =
                            &change.version
                        {
                            *version = new.clone();
                        }
                    }
                }
                Written::ByHand { cluster_id, row: Some(row) } => {
                    now.insert(cluster_id.clone(), row.clone());
                }
                // Nobody waits for a cluster that is not there.
                Written::ByHand { cluster_id, row: None } => _ = now.remove(cluster_id),
                Written::Took { .. } | Written::Freed(_) | Written::Noted { .. } => {}
            }
        }
        all
    }

    pub(super) fn of_batch<'b>(&'b self, batch: &'b BatchId) -> impl Iterator<Item = &'b ClusterId> {
        self.fleet.rows.iter().filter(move |row| row.batch_id == *batch).map(|row| &row.cluster_id)
    }

    pub(super) fn batch_of(&self, id: &ClusterId) -> Option<&BatchId> {
        self.fleet.rows.iter().find(|row| row.cluster_id == *id).map(|row| &row.batch_id)
    }

    pub(super) fn before(&self, id: &ClusterId) -> impl Iterator<Item = &ClusterId> {
        let order = &self.fleet.config.batch_order;
        let waits_for = self.batch_of(id).and_then(|batch| order.get(batch));
        waits_for.into_iter().flatten().flat_map(|batch| self.of_batch(batch))
    }
}

impl Seen<'_> {
    /// The run that moved a cluster last.
    pub(super) fn last_of(&self, id: &ClusterId) -> Option<RunId> {
        let moves: Vec<_> = self.moves().filter(|(_, change)| change.cluster_id == *id).collect();
        moves.last().map(|(lease, _)| lease.run_id.clone())
    }

    /// What runs in a cluster that is said to be at its current version.
    pub(super) fn elsewhere(&self, row: &ClusterRecord) -> Option<String> {
        let cluster = self.house.world.cluster(row.cluster_id.as_str())?;
        let version = row.current_istio_version.to_string();
        let proxies: Vec<&String> = cluster.proxy_versions.keys().collect();
        let is_there = cluster.istiod_version.as_ref() == Some(&version) && proxies == [&version];
        (!is_there && !self.has_meddlers).then(|| {
            format!(
                "{} is {} at {version}, and runs istiod {:?} with proxies {proxies:?}",
                row.cluster_id, row.status, cluster.istiod_version
            )
        })
    }
}
