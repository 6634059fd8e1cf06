//! What a run is going to do, frozen when it starts.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{BatchId, ClusterId, ClusterRecord, Config, Direction, IstioVersion, RunId};

/// Most clusters of one batch: beyond it the state machine's limits come near (25,000 events, 256 KiB of state).
pub const MAX_CLUSTERS: usize = 200;

/// A run's plan. It is written once into the run record and read by every task; a dry run computes it anew instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The run.
    pub run_id: RunId,
    /// Execution of the state machine that a person, a schedule or a pipeline started.
    pub execution_arn: String,
    /// Which way this run goes by itself.
    pub direction: Direction,
    /// The batch.
    pub batch_id: BatchId,
    /// When it started.
    pub started_at: Timestamp,
    /// Why, in the words of who started it.
    pub reason: Option<String>,
    /// The clusters that change, in order of their ids.
    pub clusters: Vec<PlannedCluster>,
    /// Branch that Flux follows.
    pub target_branch: String,
    /// The configuration as it was when the run started.
    pub config: Config,
}

/// One cluster's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCluster {
    /// The registry's row when the run started.
    pub record: ClusterRecord,
    /// The lower version: where an upgrade starts and a rollback ends.
    pub old: IstioVersion,
    /// The higher version.
    pub new: IstioVersion,
}

impl PlannedCluster {
    /// The version a change in this direction starts from.
    pub fn from(&self, direction: Direction) -> &IstioVersion {
        match direction {
            Direction::Upgrade => &self.old,
            Direction::Rollback => &self.new,
        }
    }

    /// The version a change in this direction leads to.
    pub fn to(&self, direction: Direction) -> &IstioVersion {
        match direction {
            Direction::Upgrade => &self.new,
            Direction::Rollback => &self.old,
        }
    }
}

impl Plan {
    /// One cluster's part.
    pub fn cluster(&self, id: &ClusterId) -> Option<&PlannedCluster> {
        self.clusters.iter().find(|planned| planned.record.cluster_id == *id)
    }

    /// The version people talk about: the highest new version of an upgrade, the lowest old one of a rollback.
    pub fn headline_version(&self, direction: Direction) -> Option<&IstioVersion> {
        let versions = self.clusters.iter().map(|planned| planned.to(direction));
        match direction {
            Direction::Upgrade => versions.max(),
            Direction::Rollback => versions.min(),
        }
    }

    /// Length of the soak.
    pub fn soak(&self) -> SignedDuration {
        SignedDuration::from_mins(self.config.validation.soak_period_minutes.into())
    }

    /// Deadlines and waiting times for the state machine, in seconds.
    pub fn pace(&self) -> Pace {
        let policy = &self.config.policy;
        let minutes = |m: u32| u64::from(m) * 60;
        Pace {
            max_parallel_clusters: self.config.execution.max_parallel_clusters,
            // The watcher says `expired` in time; the state's own time-out is for a watcher that cannot.
            merge_seconds: u64::from(policy.merge_timeout_hours) * 3600 + 900,
            // At most 250 turns of the loop, whatever the soak: rule 8 of the house.
            look_seconds: minutes(policy.soak_look_minutes).max(
                (minutes(self.config.validation.soak_period_minutes)
                    + minutes(policy.soak_data_grace_minutes))
                .div_ceil(200),
            ),
            poll_seconds: (minutes(
                self.config.validation.flux_sync_timeout_minutes.max(policy.restart_timeout_minutes),
            ))
            .div_ceil(200)
            .max(20),
        }
    }
}

/// How fast the machines look, in seconds; they route on these numbers and compute nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pace {
    /// Clusters worked on at the same time.
    pub max_parallel_clusters: u32,
    /// After how long the state that waits for a person gives up by itself.
    pub merge_seconds: u64,
    /// Between two looks at the soak.
    pub look_seconds: u64,
    /// Between two looks at Flux or at restarts.
    pub poll_seconds: u64,
}

/// Name of a child execution. It is built from run, cluster, direction and attempt, so a repeated start finds the same
/// execution, and it fits the 80 characters of the service: long ids are cut, the hash keeps them apart.
pub fn child_name(run_id: &RunId, subject: &str, direction: Direction, attempt: u32) -> String {
    let digest = Sha256::digest(format!("{run_id}/{subject}"));
    let hash = digest.iter().take(5).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let short: String = subject.chars().take(50).collect();
    format!("{short}-{}-{attempt}-{hash}", direction.as_str())
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;
    use crate::cluster::fixtures::record;

    /// Two clusters from 1.29.3 to 1.30.5.
    pub(crate) fn plan() -> Plan {
        let planned = |id: &str| PlannedCluster {
            record: record(id),
            old: IstioVersion::parse("1.29.3").unwrap(),
            new: IstioVersion::parse("1.30.5").unwrap(),
        };
        Plan {
            run_id: RunId::parse("run-1").unwrap(),
            execution_arn: "arn:aws:states:eu-west-1:123456789012:execution:batch-upgrade:run-1".into(),
            direction: Direction::Upgrade,
            batch_id: BatchId::parse("test").unwrap(),
            started_at: Timestamp::UNIX_EPOCH,
            reason: None,
            clusters: vec![planned("c1"), planned("c2")],
            target_branch: "main".into(),
            config: Config::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_names_are_stable_short_and_apart() {
        let run = RunId::parse("run-1").unwrap();
        let long = "x".repeat(100);
        let name = child_name(&run, &long, Direction::Upgrade, 1);
        assert!(name.len() <= 80, "{}", name.len());
        assert_eq!(name, child_name(&run, &long, Direction::Upgrade, 1));
        assert_ne!(name, child_name(&run, &(long.clone() + "y"), Direction::Upgrade, 1));
        assert_ne!(name, child_name(&RunId::parse("run-2").unwrap(), &long, Direction::Upgrade, 1));
        assert_ne!(name, child_name(&run, &long, Direction::Rollback, 1));
        assert!(child_name(&run, "prod-eu-1", Direction::Upgrade, 2).starts_with("prod-eu-1-upgrade-2-"));
    }
}
