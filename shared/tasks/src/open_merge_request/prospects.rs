//! What the judge will see on each cluster: for the person who is asked to merge.

use std::collections::BTreeMap;

use guard_domain::soak::{HISTORY_DAYS, Prospect, prospect};
use guard_domain::{ClusterId, ClusterRecord, Plan, PlannedCluster};
use jiff::SignedDuration;

use super::OpenMergeRequest;
use crate::ledger::RunRef;
use crate::task::Task as _;
use crate::{Context as _, HistoryAsked, TaskError};

/// By cluster; a cluster whose past says nothing is absent.
pub(super) type Prospects = BTreeMap<ClusterId, Prospect>;

/// Entry of the run record.
const ENTRY: &str = "prospects";

impl OpenMergeRequest {
    /// Asked once a run. Datadog's silence stops no request here: the pre-check has asked whether there is a baseline, and
    /// a soak without one is never a pass.
    pub(super) async fn prospects(
        &self,
        run: &RunRef,
        plan: &Plan,
        clusters: &[&PlannedCluster],
    ) -> Result<Prospects, TaskError> {
        if let Some(known) = self.ledger.read::<Prospects>(&run.run_id, ENTRY).await? {
            return Ok(known);
        }
        let now = self.ledger.clock.now();
        let from = now - SignedDuration::from_hours(24 * HISTORY_DAYS);
        let rows: Vec<ClusterRecord> = clusters.iter().map(|planned| planned.record.clone()).collect();
        let seen = self.metrics.history(&rows, HistoryAsked::All, from, now).await;
        let seen = match seen.context("read what the soak will be compared with") {
            Ok(seen) => seen,
            Err(error) => {
                let words = format!("what the soak can see is not known: {}", error.chain());
                self.ledger.audit(run, Self::NAME, words).await?;
                return Ok(Prospects::new());
            }
        };
        let minutes = plan.config.validation.soak_period_minutes;
        let of = |row: &ClusterRecord| {
            let thresholds = plan.config.validation.thresholds_of(&row.environment);
            let found = prospect(seen.get(&row.cluster_id)?, now, minutes, &thresholds)?;
            Some((row.cluster_id.clone(), found))
        };
        let prospects: Prospects = rows.iter().filter_map(of).collect();
        self.ledger.write(run, ENTRY, &prospects).await?;
        Ok(prospects)
    }
}
