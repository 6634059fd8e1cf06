//! What a run is going to do, frozen when it starts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::manifest::{Aim, Rules};
use crate::{
    BatchId, ClusterId, ClusterRecord, Config, Direction, IstioVersion, OnUnknown, RunId, UpgradeSpec,
};

/// Most clusters of one batch: beyond it the state machine's limits come near (25,000 events, 256 KiB of state).
pub const MAX_CLUSTERS: usize = 200;

/// Most controls of one environment: enough for a median, few enough to read at every look.
const MAX_CONTROLS: usize = 10;

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
    /// Rows of clusters that this run does not touch, of the same environments: what moves there too does not come
    /// from the new version. None for a rollback.
    #[serde(default)]
    pub controls: Vec<ClusterRecord>,
    /// Branch that Flux follows.
    pub target_branch: String,
    /// Settings that change together with the version.
    #[serde(default)]
    pub upgrade_spec: Option<UpgradeSpec>,
    /// The run that this one goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumed>,
    /// The configuration as it was when the run started.
    pub config: Config,
}

/// A run that ended after its merge, and that another one goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The run.
    pub run_id: RunId,
    /// The one that began: whose marks workloads carry. The same, unless it went on with another one itself.
    pub first: RunId,
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
    /// The run whose changes a rollback by hand takes back; `None` where only the versions are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RunId>,
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

    /// The run whose marks on workloads are this run's own.
    pub fn marks(&self) -> &RunId {
        self.resumes.as_ref().map_or(&self.run_id, |resumed| &resumed.first)
    }

    /// The run whose changes are taken back when this cluster goes back; `None` where nobody knows it.
    pub fn undone<'a>(&'a self, planned: &'a PlannedCluster) -> Option<&'a RunId> {
        match self.direction {
            Direction::Upgrade => Some(&self.run_id),
            Direction::Rollback => planned.undoes.as_ref(),
        }
    }

    /// What an edit of this cluster's files is to reach. A rollback that knows no changes of an upgrade moves the version
    /// only.
    pub fn aim<'a>(&'a self, planned: &'a PlannedCluster, direction: Direction) -> Aim<'a> {
        let policy = &self.config.policy;
        let settings = match (&self.upgrade_spec, direction) {
            (Some(spec), Direction::Upgrade) => spec.updates.as_slice(),
            _ => &[],
        };
        Aim {
            from: Some(planned.from(direction)),
            to: planned.to(direction),
            rules: Rules {
                pin_ranges: policy.pin_ranges,
                allow_umbrella: policy.allow_umbrella_chart,
                trust_repositories_elsewhere: policy.repositories_elsewhere == OnUnknown::Warn,
            },
            // The plan was made on the registry's versions, and a rollback goes down.
            check_path: false,
            settings,
        }
    }

    /// The version people talk about: the highest new version of an upgrade, the lowest old one of a rollback.
    pub fn headline_version(&self, direction: Direction) -> Option<&IstioVersion> {
        let versions = self.clusters.iter().map(|planned| planned.to(direction));
        match direction {
            Direction::Upgrade => versions.max(),
            Direction::Rollback => versions.min(),
        }
    }

    /// Chooses the controls from the rows of other batches: the environments of this batch, behind its new version, and
    /// nobody at work on them. The first of each environment by their ids, so that a repeated choice is the same.
    pub fn choose_controls(&self, others: impl IntoIterator<Item = ClusterRecord>) -> Vec<ClusterRecord> {
        let behind = |row: &ClusterRecord| {
            let mut alike = self.clusters.iter().filter(|own| own.record.environment == row.environment);
            alike.any(|own| row.current_istio_version < own.new)
        };
        let mut chosen: Vec<ClusterRecord> =
            others.into_iter().filter(|row| behind(row) && !row.status.needs_an_owner()).collect();
        chosen.sort_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
        let mut counts = BTreeMap::new();
        chosen.retain(|row| {
            let count = counts.entry(row.environment.clone()).or_insert(0);
            *count += 1;
            *count <= MAX_CONTROLS
        });
        chosen
    }

    /// The longest the judge may look: the soak, every extension, and the grace for missing data.
    pub fn longest_soak_minutes(&self) -> u32 {
        longest_soak_minutes(&self.config)
    }

    /// How fast the machines of this run look.
    pub fn pace(&self) -> Pace {
        Pace::of(&self.config)
    }

    /// Length of the soak.
    pub fn soak(&self) -> SignedDuration {
        SignedDuration::from_mins(self.config.validation.soak_period_minutes.into())
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
    /// After how long the state that waits for a person's answer gives up by itself.
    pub decision_seconds: u64,
    /// Between two looks at restarts, and at the most between two looks at Flux.
    pub poll_seconds: u64,
}

impl Pace {
    /// Deadlines and waiting times that follow from a configuration.
    pub fn of(config: &Config) -> Self {
        let policy = &config.policy;
        let minutes = |m: u32| u64::from(m) * 60;
        Self {
            max_parallel_clusters: config.execution.max_parallel_clusters,
            // The watcher says `expired` in time; the state's own time-out is for a watcher that cannot.
            merge_seconds: u64::from(policy.merge_timeout_hours) * 3600 + 900,
            // At most 250 turns of the loop, whatever the soak: rule 8 of the house.
            look_seconds: minutes(policy.soak_look_minutes)
                .max(minutes(longest_soak_minutes(config)).div_ceil(200)),
            decision_seconds: u64::from(policy.decision_timeout_hours) * 3600 + 900,
            poll_seconds: (minutes(
                config.validation.flux_sync_timeout_minutes.max(policy.restart_timeout_minutes),
            ))
            .div_ceil(200)
            .max(20),
        }
    }
}

/// Seconds until the next look at Flux, so long after following it began: a fifth of that, since most changes arrive within
/// minutes and some take their whole time, and never longer than the plan's pace.
pub fn watch_seconds(elapsed: SignedDuration, poll_seconds: u64) -> u64 {
    const LEAST: u64 = 10;
    let fifth = u64::try_from(elapsed.as_secs() / 5).unwrap_or_default();
    fifth.clamp(LEAST.min(poll_seconds), poll_seconds)
}

fn longest_soak_minutes(config: &Config) -> u32 {
    let policy = &config.policy;
    let extensions = policy.soak_extension_minutes.saturating_mul(policy.soak_extensions_max);
    let soak = config.validation.soak_period_minutes;
    soak.saturating_add(extensions).saturating_add(policy.soak_data_grace_minutes)
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
            undoes: None,
        };
        Plan {
            run_id: RunId::parse("run-1").unwrap(),
            execution_arn: "arn:aws:states:eu-west-1:123456789012:execution:batch-upgrade:run-1".into(),
            direction: Direction::Upgrade,
            batch_id: BatchId::parse("test").unwrap(),
            started_at: Timestamp::UNIX_EPOCH,
            reason: None,
            clusters: vec![planned("c1"), planned("c2")],
            controls: Vec::new(),
            target_branch: "main".into(),
            upgrade_spec: None,
            resumes: None,
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

    #[test]
    fn controls_are_of_the_same_environment_behind_and_at_rest() {
        let plan = fixtures::plan();
        let other = |id: &str, bend: fn(&mut ClusterRecord)| {
            let mut row = crate::cluster::fixtures::record(id);
            bend(&mut row);
            row
        };
        let others = [
            other("d2", |_| {}),
            other("d1", |_| {}),
            other("d3", |row| row.environment = "elsewhere".into()),
            other("d4", |row| row.current_istio_version = IstioVersion::parse("1.30.5").unwrap()),
            other("d5", |row| row.status = crate::ClusterStatus::Upgrading),
        ];
        let chosen = plan.choose_controls(others);
        let ids: Vec<&str> = chosen.iter().map(|row| row.cluster_id.as_str()).collect();
        assert_eq!(ids, ["d1", "d2"]);
        let many = (0..30).map(|n| other(&format!("e{n:02}"), |_| {}));
        assert_eq!(plan.choose_controls(many).len(), MAX_CONTROLS);
    }
}
