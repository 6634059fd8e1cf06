//! A row of the cluster registry, with the attribute names of the table that exists already.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BatchId, ClusterId, ClusterStatus, IstioVersion, RunId};

/// One cluster as the registry knows it. Unknown attributes are kept out of the way, not refused: the table is
/// shared with other tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Key; also the EKS cluster's name.
    pub cluster_id: ClusterId,
    /// The batch it is upgraded with.
    pub batch_id: BatchId,
    /// Free text such as `test` or `prod`; thresholds may be set per environment.
    pub environment: String,
    /// AWS region.
    pub region: String,
    /// GitLab project path, for example `platform/fleet`.
    pub gitlab_repo: String,
    /// A YAML file in that project, or a folder whose YAML files pin this cluster's Istio charts.
    pub flux_config_path: String,
    /// Role to assume in the cluster's account.
    pub aws_role_arn: String,
    /// The version that runs, advanced only together with HEALTHY and taken back with a rollback.
    pub current_istio_version: IstioVersion,
    /// The version a run is taking it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_istio_version: Option<IstioVersion>,
    /// How Datadog calls this cluster.
    pub datadog_tags: DatadogTags,
    /// Team that owns it.
    pub owner_team: String,
    /// The owner's GitLab handle.
    pub owner_handle: String,
    /// Where it stands.
    #[serde(default = "pending")]
    pub status: ClusterStatus,
    /// When the row last changed.
    pub last_updated: Timestamp,
    /// Versions it has been healthy at, oldest first.
    #[serde(default)]
    pub upgrade_history: Vec<HistoryEntry>,
    /// Links of the current change.
    #[serde(default)]
    pub metadata: ClusterMetadata,
}

fn pending() -> ClusterStatus {
    ClusterStatus::Pending
}

/// Tags that select one cluster's series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatadogTags {
    /// Value of `kube_cluster_name`.
    pub cluster: String,
    /// Service tag.
    #[serde(default = "istio_system")]
    pub service: String,
    /// Value of `env`.
    pub env: String,
}

fn istio_system() -> String {
    "istio-system".to_owned()
}

/// One step of a cluster's past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The version it was left or reached at.
    pub version: IstioVersion,
    /// When.
    pub date: Timestamp,
    /// The status it ended in.
    pub status: ClusterStatus,
    /// The run that did it; unknown for rows that others wrote. A rollback takes back what that run changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}

/// Links and marks that are not part of the decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMetadata {
    /// Mesh the cluster belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_id: Option<String>,
    /// Part of a multi-cluster mesh.
    #[serde(default)]
    pub multi_cluster: bool,
    /// The open or last merge request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mr_url: Option<String>,
    /// When it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mr_created_at: Option<Timestamp>,
    /// When it was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mr_merged_at: Option<Timestamp>,
}

impl ClusterRecord {
    /// The version to go back to: the newest healthy version in the history below the one that runs. What is above it was
    /// taken back before.
    pub fn previous_version(&self) -> Option<&IstioVersion> {
        self.newest_healthy(|version| *version < self.current_istio_version).map(|entry| &entry.version)
    }

    /// The run that brought the version that runs, where the history knows it.
    pub fn brought_by(&self) -> Option<&RunId> {
        self.newest_healthy(|version| *version == self.current_istio_version)?.run_id.as_ref()
    }

    fn newest_healthy(&self, is_it: impl Fn(&IstioVersion) -> bool) -> Option<&HistoryEntry> {
        let healthy = |entry: &&HistoryEntry| entry.status == ClusterStatus::Healthy && is_it(&entry.version);
        self.upgrade_history.iter().rev().find(healthy)
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

    /// A healthy row that tests bend.
    pub(crate) fn record(id: &str) -> ClusterRecord {
        ClusterRecord {
            cluster_id: ClusterId::parse(id).unwrap(),
            batch_id: BatchId::parse("test").unwrap(),
            environment: "test".into(),
            region: "eu-west-1".into(),
            gitlab_repo: "platform/fleet".into(),
            flux_config_path: format!("clusters/{id}/istio"),
            aws_role_arn: "arn:aws:iam::111111111111:role/guard".into(),
            current_istio_version: IstioVersion::parse("1.29.3").unwrap(),
            target_istio_version: None,
            datadog_tags: DatadogTags {
                cluster: id.into(),
                service: "istio-system".into(),
                env: "test".into(),
            },
            owner_team: "mesh".into(),
            owner_handle: "mesh-team".into(),
            status: ClusterStatus::Pending,
            last_updated: Timestamp::UNIX_EPOCH,
            upgrade_history: Vec::new(),
            metadata: ClusterMetadata::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_newest_healthy_version_below() {
        let mut row = fixtures::record("c1");
        assert_eq!((row.previous_version(), row.brought_by()), (None, None));
        let at = |v: &str, status, run: &str| HistoryEntry {
            version: IstioVersion::parse(v).unwrap(),
            date: Timestamp::UNIX_EPOCH,
            status,
            run_id: RunId::parse(run).ok(),
        };
        row.upgrade_history = vec![
            at("1.27.0", ClusterStatus::Healthy, ""),
            at("1.28.2", ClusterStatus::Healthy, "run-1"),
            at("1.28.9", ClusterStatus::FailedUpgradeRolledBack, "run-2"),
            at("1.29.3", ClusterStatus::Healthy, "run-3"),
        ];
        assert_eq!(row.previous_version().unwrap().to_string(), "1.28.2");
        assert_eq!(row.brought_by().unwrap().as_str(), "run-3");
        // Further up, and taken back by hand: the next way back goes on down, not up again.
        row.upgrade_history.push(at("1.30.5", ClusterStatus::Healthy, "run-4"));
        row.upgrade_history.push(at("1.30.5", ClusterStatus::FailedUpgradeRolledBack, "run-5"));
        assert_eq!(row.previous_version().unwrap().to_string(), "1.28.2");
        assert_eq!(row.brought_by().unwrap().as_str(), "run-3");
        // Corrected by a person: nobody knows what brought it.
        row.current_istio_version = IstioVersion::parse("1.29.4").unwrap();
        assert_eq!(row.brought_by(), None);
    }

    #[test]
    fn a_row_of_the_first_tool_is_read() {
        let row: ClusterRecord = serde_json::from_value(serde_json::json!({
            "cluster_id": "eks-1", "batch_id": "test", "environment": "test", "region": "eu-west-1",
            "gitlab_repo": "g/p", "flux_config_path": "clusters/eks-1/istio.yaml", "aws_role_arn": "arn:aws:iam::1:role/x",
            "current_istio_version": "1.29.3", "datadog_tags": {"cluster": "eks-1", "env": "test"},
            "owner_team": "t", "owner_handle": "h", "last_updated": "2026-11-01T00:00:00Z", "something_else": 1
        }))
        .unwrap();
        assert_eq!(row.status, ClusterStatus::Pending);
        assert_eq!(row.datadog_tags.service, "istio-system");
    }
}
