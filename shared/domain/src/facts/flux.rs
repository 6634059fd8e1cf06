//! What Flux says: what it follows, what it applied, what it installed.

use serde::{Deserialize, Serialize};

use crate::{Component, Unread};

/// A Flux Kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KustomizationFacts {
    /// `namespace/name`.
    pub name: String,
    /// `spec.path`, without a leading `./`.
    pub path: String,
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// Commit of `status.lastAppliedRevision` (`main@sha1:<40 hex>`), the hex part.
    pub applied_commit: Option<String>,
    /// `metadata.generation` equals `status.observedGeneration`.
    pub is_observed: bool,
    /// `spec.sourceRef`.
    pub source: Option<SourceRef>,
    /// `spec.dependsOn`, `namespace/name` each.
    pub depends_on: Vec<String>,
    /// Condition Ready.
    pub ready: Condition,
}

/// The Ready condition of a Flux object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `True`, `False`, `Unknown` as a truth value; `None` for unknown or absent.
    pub status: Option<bool>,
    /// Reason, for example `UpgradeSucceeded`.
    pub reason: String,
    /// Message, cut to what a person reads.
    pub message: String,
}

impl Condition {
    /// Flux is at work on it: neither Ready nor not.
    pub fn is_progressing(&self) -> bool {
        self.status.is_none() && self.reason == "Progressing"
    }
}

/// A Flux HelmRelease of an Istio chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the object, and any may be true with any"
)]
pub struct HelmReleaseFacts {
    /// `namespace/name`.
    pub name: String,
    /// Which Istio chart it installs: keyed on the chart, never on the release's name.
    pub component: Component,
    /// The version that is asked for now: `spec.chart.spec.version`; of a chart by reference, what the OCIRepository's
    /// `spec.ref.tag` or the HelmChart's `spec.version` says. `None` for a digest, a range by `spec.ref.semver`, or where
    /// the other object is not there.
    pub spec_version: Option<String>,
    /// Where its chart comes from: `spec.chart.spec.sourceRef`, or `spec.chartRef`.
    pub source: Option<SourceRef>,
    /// The HelmChart that Flux makes for `spec.chart`, `namespace/name`; `status.helmChart`.
    pub helm_chart: Option<String>,
    /// `spec.values.revision`; `None` for the default one, whose name is empty or `default`.
    pub revision: Option<String>,
    /// Values come from ConfigMaps or Secrets too (`spec.valuesFrom`): what they hold is not known.
    pub has_other_values: bool,
    /// `metadata.generation` equals `status.observedGeneration`.
    pub is_observed: bool,
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// Its Kustomization applies it no more: annotation `kustomize.toolkit.fluxcd.io/reconcile` is `disabled`.
    pub is_left_alone: bool,
    /// `spec.driftDetection.mode` is `enabled`.
    pub corrects_drift: bool,
    /// Condition Ready.
    pub ready: Condition,
    /// Condition Stalled: the helm-controller has given up until something changes.
    pub stalled: Condition,
    /// Condition Remediated: after a failure Helm went back, and the old chart runs.
    pub remediated: Condition,
    /// Condition Released: what came of Helm's last action.
    pub released: Condition,
    /// Condition Drifted: what runs is not what the chart says.
    pub drifted: Condition,
    /// `status.failures`: attempts at the present spec that failed.
    pub failures: u64,
    /// Attempts that the helm-controller makes after a failed upgrade (`spec.upgrade.remediation.retries`), negative for as
    /// many as it takes; none unless somebody asked for them.
    pub retries: i64,
    /// `history[0].chartVersion` where `history[0].status` is `deployed`.
    pub deployed_version: Option<String>,
}

/// Kind of an object that Flux fetches something from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SourceKind {
    /// Files from Git.
    GitRepository,
    /// Charts by HTTP, or an address of OCI charts.
    HelmRepository,
    /// One OCI artifact.
    OCIRepository,
    /// One chart.
    HelmChart,
    /// Files from object storage.
    Bucket,
}

impl SourceKind {
    /// The kind of this name, if it is one of Flux's sources.
    pub fn parse(kind: &str) -> Option<Self> {
        [Self::GitRepository, Self::HelmRepository, Self::OCIRepository, Self::HelmChart, Self::Bucket]
            .into_iter()
            .find(|one| one.as_str() == kind)
    }

    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::HelmRepository => "HelmRepository",
            Self::OCIRepository => "OCIRepository",
            Self::HelmChart => "HelmChart",
            Self::Bucket => "Bucket",
        }
    }
}

/// A source as another object names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRef {
    /// Its kind.
    pub kind: SourceKind,
    /// `namespace/name`.
    pub name: String,
}

impl std::fmt::Display for SourceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// An object that Flux fetches something from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Which one.
    pub source: SourceRef,
    /// `spec.url`; empty for a HelmChart.
    pub url: String,
    /// Of a HelmChart, the repository it is taken from.
    pub from: Option<SourceRef>,
    /// `spec.ref.tag` of an OCIRepository, `spec.version` of a HelmChart.
    pub version: Option<String>,
    /// It has nothing to be Ready of: a HelmRepository of type `oci` is an address only.
    pub is_address: bool,
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// `metadata.generation` equals `status.observedGeneration`.
    pub is_observed: bool,
    /// Condition Ready.
    pub ready: Condition,
}

/// What Flux of one cluster says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FluxFacts {
    /// Every Kustomization.
    pub kustomizations: Vec<KustomizationFacts>,
    /// Every GitRepository.
    pub repositories: Vec<SourceFacts>,
    /// Every HelmRelease of an Istio chart.
    pub releases: Vec<HelmReleaseFacts>,
    /// The version in which HelmReleases are served, for example `v2`.
    pub helm_api: String,
}

impl FluxFacts {
    /// The first thing that Flux is at work on: a moment later it may be done.
    pub fn progressing(&self) -> Option<Unread> {
        let kustomizations = self.kustomizations.iter().map(|one| ("Kustomization", &one.name, &one.ready));
        let releases = self.releases.iter().map(|one| ("HelmRelease", &one.name, &one.ready));
        let (kind, name, ready) =
            kustomizations.chain(releases).find(|(_, _, ready)| ready.is_progressing())?;
        Some(Unread { why: format!("{kind} {name}: {}", ready.message), may_pass: true })
    }
}
