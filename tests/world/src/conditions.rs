//! Levers for what stands around a cluster: what EKS says of it, how Flux is served, and what a monitor knows.

use jiff::Timestamp;

use crate::World;
use crate::cluster::Cluster;
use crate::datadog::Silence;

/// What EKS says of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// `ACTIVE` when usable.
    pub(crate) status: String,
    /// Codes of health issues.
    pub(crate) issues: Vec<String>,
}

impl Default for Condition {
    fn default() -> Self {
        Self { status: "ACTIVE".to_owned(), issues: Vec::new() }
    }
}

/// The name that only the older mode of Datadog's Istio integration reports.
pub(crate) const LEGACY_COUNT: &str = "istio.mesh.request.count.total";

impl Cluster {
    /// What a metric was bent to.
    pub(crate) fn gauge(&self, metric: &str) -> Option<f64> {
        self.gauges.get(metric).copied().flatten()
    }

    /// Whether a metric has series at all.
    pub(crate) fn reports(&self, metric: &str) -> bool {
        self.gauges.get(metric).is_none_or(Option::is_some)
    }
}

impl World {
    /// A metric of a cluster has this value from the beginning of time, or no series at all.
    pub fn bend_metric(&self, cluster_id: &str, metric: &str, value: Option<f64>) {
        self.bend_past(cluster_id, |cluster| _ = cluster.gauges.insert(metric.to_owned(), value));
    }

    /// Datadog lost the metrics of a cluster of this time, which may be over.
    pub fn lose_metrics(&self, cluster_id: &str, from: Timestamp, until: Timestamp) {
        let silence = Silence { cluster: Some(cluster_id.to_owned()), from, until: Some(until) };
        let mut state = self.state();
        state.signals.forget();
        state.signals.silences.push(silence);
    }

    fn bend_past(&self, cluster_id: &str, bend: impl FnOnce(&mut Cluster)) {
        let mut state = self.state();
        state.signals.forget();
        if let Some(cluster) = state.clusters.get_mut(cluster_id) {
            bend(cluster);
        }
    }

    /// Datadog's integration reports the requests of a cluster in its older mode.
    pub fn report_in_the_older_mode(&self, cluster_id: &str) {
        self.bend_metric(cluster_id, LEGACY_COUNT, Some(1.0));
    }

    /// EKS calls a cluster so, for example `UPDATING`. Its API server answers as before.
    pub fn set_eks_status(&self, cluster_id: &str, status: &str) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            status.clone_into(&mut cluster.eks.status);
        }
    }

    /// EKS knows of a health issue with this code.
    pub fn add_eks_issue(&self, cluster_id: &str, code: &str) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.eks.issues.push(code.to_owned());
        }
    }

    /// A cluster serves HelmReleases in this version only, as an older Flux does.
    pub fn serve_helm_releases_as(&self, cluster_id: &str, version: &str) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            version.clone_into(&mut cluster.helm_version);
        }
    }

    /// A monitor of a cluster has no data.
    pub fn blind_monitor(&self, cluster_id: &str, name: &str) {
        self.state().monitor(cluster_id, name, |monitor| monitor.status = "No Data");
    }
}
