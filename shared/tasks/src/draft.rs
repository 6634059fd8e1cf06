//! A plan drawn from registry rows: the same for a real run, which freezes it, and for a dry run, which forgets it.

use guard_domain::{BatchId, ClusterRecord, Config, Direction, IstioVersion, Plan, PlannedCluster, RunId};
use jiff::Timestamp;

/// The plan of an upgrade: the rows that are not at the target yet.
pub(crate) fn upgrade(
    run_id: RunId,
    execution_arn: String,
    batch_id: BatchId,
    rows: Vec<ClusterRecord>,
    target: &IstioVersion,
    config: Config,
    started_at: Timestamp,
) -> Plan {
    let clusters = rows
        .into_iter()
        .filter(|row| row.current_istio_version != *target)
        .map(|row| PlannedCluster {
            old: row.current_istio_version.clone(),
            new: target.clone(),
            undoes: None,
            record: row,
        })
        .collect();
    let target_branch = config.gitlab.default_target_branch.clone();
    Plan {
        run_id,
        execution_arn,
        direction: Direction::Upgrade,
        batch_id,
        started_at,
        reason: None,
        clusters,
        controls: Vec::new(),
        target_branch,
        upgrade_spec: None,
        resumes: None,
        config,
    }
}

/// The plan of a rollback that a person asked for: each row goes back to its previous healthy version; rows without
/// one are returned apart.
pub(crate) fn rollback(
    run_id: RunId,
    execution_arn: String,
    batch_id: BatchId,
    rows: Vec<ClusterRecord>,
    config: Config,
    started_at: Timestamp,
) -> (Plan, Vec<ClusterRecord>) {
    let (with, without): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.previous_version().is_some());
    let clusters = with
        .into_iter()
        .filter_map(|row| {
            let old = row.previous_version()?.clone();
            let undoes = row.brought_by().cloned();
            Some(PlannedCluster { old, new: row.current_istio_version.clone(), undoes, record: row })
        })
        .collect();
    let target_branch = config.gitlab.default_target_branch.clone();
    let plan = Plan {
        run_id,
        execution_arn,
        direction: Direction::Rollback,
        batch_id,
        started_at,
        reason: None,
        clusters,
        controls: Vec::new(),
        target_branch,
        upgrade_spec: None,
        resumes: None,
        config,
    };
    (plan, without)
}
