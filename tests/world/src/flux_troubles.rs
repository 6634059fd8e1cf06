//! What goes wrong with Flux: sources, charts, remediation, drift, annotations that it takes away.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::World;
use crate::cluster::Cluster;
use crate::flux::{Release, ReleaseKey, text};
use crate::managers::{Field, Place};
use crate::state::{Event, State};
use crate::workload::{Key, Workload};

/// How often the kustomize-controller takes away what is not its own.
pub(crate) const STRIP_INTERVAL: i64 = 60;

/// Which annotations of other field managers Flux takes away from workloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FluxStrips {
    /// None.
    #[default]
    Nothing,
    /// Those of pod templates: the pods roll.
    Templates,
    /// Those of the workloads' own metadata too.
    Everything,
}

/// Why a chart cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartTrouble {
    /// The repository has no such version.
    NoVersion,
    /// The registry or repository does not give it out.
    Refused,
    /// It is there and is no chart.
    Unreadable,
}

/// Everything that is wrong with the Flux of one cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct FluxTroubles {
    pub(crate) strips: FluxStrips,
    strip_is_planned: bool,
    /// By chart version.
    pub(crate) charts: BTreeMap<String, ChartTrouble>,
    /// Whether the last failure is rolled back too, whatever the release says.
    pub(crate) rolls_back: Option<bool>,
    /// Releases whose drift is corrected for ever.
    pub(crate) drifting: BTreeSet<ReleaseKey>,
    /// Sources that are suspended: kind, namespace, name.
    pub(crate) suspended: BTreeSet<(String, String, String)>,
    /// What kustomize says of whatever is fetched.
    pub(crate) build_failure: Option<String>,
}

impl FluxTroubles {
    pub(crate) fn is_suspended(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let is_meant = |(k, ns, n): &&(String, String, String)| k == kind && ns == namespace && n == name;
        self.suspended.iter().any(|one| is_meant(&one))
    }
}

/// Where a release's chart comes from: kind, namespace, name.
pub(crate) fn source_of(key: &ReleaseKey, release: &Release) -> (String, String, String) {
    let at = if release.by_reference.is_some() { "/chartRef" } else { "/chart/spec/sourceRef" };
    let part = |name: &str| text(&release.spec, &format!("{at}/{name}"));
    let namespace = match part("namespace") {
        "" => &key.0,
        given => given,
    };
    (part("kind").to_owned(), namespace.to_owned(), part("name").to_owned())
}

/// What is wrong with the chart that a release asks for, as its source says it.
pub(crate) fn chart_trouble(cluster: &Cluster, key: &ReleaseKey, release: &Release) -> Option<ChartTrouble> {
    let troubles = &cluster.flux.troubles;
    let wanted = release.wanted();
    if let Some(trouble) = troubles.charts.get(&wanted) {
        return Some(*trouble);
    }
    let (kind, namespace, name) = source_of(key, release);
    // Who is not looked at any more knows nothing of a new version.
    let is_known = release.history.iter().any(|one| one.version == wanted);
    (!is_known && troubles.is_suspended(&kind, &namespace, &name)).then_some(ChartTrouble::NoVersion)
}

/// Reason and message of a HelmRelease whose source is not ready, or whose chart is none.
pub(crate) fn source_failure(cluster: &Cluster, key: &ReleaseKey) -> Option<(&'static str, String)> {
    let release = cluster.flux.releases.get(key)?;
    let trouble = chart_trouble(cluster, key, release)?;
    if trouble == ChartTrouble::Unreadable {
        let message = "Could not load chart: file does not appear to be a gzipped archive; got 'application/octet-stream'";
        return Some(("ArtifactFailed", message.to_owned()));
    }
    let (kind, namespace, name) = source_of(key, release);
    Some((
        "SourceNotReady",
        if release.by_reference.is_some() {
            let is_suspended = cluster.flux.troubles.is_suspended(&kind, &namespace, &name);
            let why = if is_suspended {
                "latest generation of object has not been reconciled".to_owned()
            } else {
                pull_failure(trouble, release).1
            };
            format!("OCIRepository '{namespace}/{name}' is not ready: {why}")
        } else {
            format!(
                "HelmChart '{namespace}/{}-{}' is not ready: {}",
                key.0,
                key.1,
                pull_failure(trouble, release).1
            )
        },
    ))
}

/// Reason and message of the source itself.
pub(crate) fn pull_failure(trouble: ChartTrouble, release: &Release) -> (&'static str, String) {
    let (chart, version) = (release.chart(), release.wanted());
    match (trouble, release.by_reference.is_some()) {
        (ChartTrouble::NoVersion | ChartTrouble::Unreadable, false) => (
            "InvalidChartReference",
            format!(
                "invalid chart reference: failed to get chart version for remote reference: no '{chart}' chart with version \
                 matching '{version}' found"
            ),
        ),
        (ChartTrouble::Refused, false) => (
            "ChartPullError",
            format!(
                "chart pull error: failed to download chart for remote reference: failed to fetch \
                 https://blob.istio.io/istio-release/charts/{chart}-{version}.tgz : 403 Forbidden"
            ),
        ),
        (ChartTrouble::Refused, true) => (
            "OCIArtifactPullFailed",
            format!(
                "failed to determine artifact digest: GET https://ghcr.io/v2/istio/release/charts/{chart}/manifests/{version}: \
                 UNAUTHORIZED: authentication required"
            ),
        ),
        (_, true) => (
            "OCIArtifactPullFailed",
            format!(
                "failed to determine artifact digest: GET https://ghcr.io/v2/istio/release/charts/{chart}/manifests/{version}: \
                 MANIFEST_UNKNOWN: manifest unknown"
            ),
        ),
    }
}

/// What `spec.upgrade.remediation` asks for.
pub(crate) struct Remediation {
    /// Below zero it is tried for ever.
    retries: i64,
    /// Whether the last failure is rolled back too: by default when there are retries.
    last: bool,
}

impl Remediation {
    pub(crate) fn of(spec: &Value, forced: Option<bool>) -> Self {
        let field = |name: &str| spec.pointer(&format!("/upgrade/remediation/{name}"));
        let retries = field("retries").and_then(Value::as_i64).unwrap_or(0);
        let last = forced.or_else(|| field("remediateLastFailure").and_then(Value::as_bool));
        Self { retries, last: last.unwrap_or(retries != 0) }
    }

    pub(crate) fn is_exhausted(&self, failures: u64) -> bool {
        self.retries >= 0 && i64::try_from(failures).is_ok_and(|failures| failures > self.retries)
    }

    /// Before each retry, and after the last one where that is asked for.
    pub(crate) fn rolls_back(&self, failures: u64) -> bool {
        self.last || !self.is_exhausted(failures)
    }
}

impl State {
    /// Takes away annotations that other managers wrote.
    pub(crate) fn strip(&mut self, cluster_id: &str) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(cluster_id) else { return };
        let strips = cluster.flux.troubles.strips;
        cluster.flux.troubles.strip_is_planned = strips != FluxStrips::Nothing;
        if strips == FluxStrips::Nothing {
            return;
        }
        let is_taken = |(place, _): &Field| *place == Place::Template || strips == FluxStrips::Everything;
        let keys: Vec<Key> = cluster
            .workloads
            .values()
            .filter(|one| one.is_application())
            .map(|one| one.key.clone())
            .collect();
        let mut due = Vec::new();
        for key in keys {
            let fields = cluster.workloads.get(&key).map(|one| one.managers.fields()).unwrap_or_default();
            let gone: BTreeSet<Field> = fields.into_iter().filter(is_taken).collect();
            let take = |workload: &mut Workload| {
                for field in &gone {
                    workload.set_annotation(field, None);
                }
                workload.managers.forget(&gone);
            };
            if !gone.is_empty() && cluster.retemplate(&key, now, take) {
                due.push(key);
            }
        }
        for workload in due {
            self.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload });
        }
        self.after(STRIP_INTERVAL, Event::Strip { cluster: cluster_id.to_owned() });
    }
}

impl World {
    fn with_troubles(&self, cluster_id: &str, change: impl FnOnce(&mut FluxTroubles)) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            change(&mut cluster.flux.troubles);
        }
    }

    /// From the next minute on Flux takes away, each minute, what other field managers wrote into workloads.
    pub fn flux_strips_annotations(&self, cluster_id: &str, strips: FluxStrips) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        let troubles = &mut cluster.flux.troubles;
        troubles.strips = strips;
        if strips != FluxStrips::Nothing && !std::mem::replace(&mut troubles.strip_is_planned, true) {
            state.after(STRIP_INTERVAL, Event::Strip { cluster: cluster_id.to_owned() });
        }
    }

    /// Charts of this version cannot be used; `None` ends it.
    pub fn break_charts(&self, cluster_id: &str, version: &str, trouble: Option<ChartTrouble>) {
        self.with_troubles(cluster_id, |troubles| {
            match trouble {
                Some(trouble) => troubles.charts.insert(version.to_owned(), trouble),
                None => troubles.charts.remove(version),
            };
        });
    }

    /// Whether the last failed upgrade is rolled back too, whatever `remediateLastFailure` of a release says.
    pub fn roll_back_last_failure(&self, cluster_id: &str, rolls_back: bool) {
        self.with_troubles(cluster_id, |troubles| troubles.rolls_back = Some(rolls_back));
    }

    /// The helm-controller corrects drift of a release for ever, or no longer.
    pub fn drift_for_ever(&self, cluster_id: &str, namespace: &str, name: &str, drifts: bool) {
        let key = (namespace.to_owned(), name.to_owned());
        self.with_troubles(cluster_id, |troubles| {
            if drifts {
                troubles.drifting.insert(key)
            } else {
                troubles.drifting.remove(&key)
            };
        });
    }

    /// Suspends or resumes a `GitRepository`, `HelmRepository`, `OCIRepository` or `HelmRelease`, as a person does.
    pub fn suspend_flux_object(
        &self,
        cluster_id: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        suspended: bool,
    ) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        cluster.next_revision();
        if kind == "HelmRelease" {
            if let Some(release) = cluster.flux.releases.get_mut(&(namespace.to_owned(), name.to_owned())) {
                release.suspend(suspended);
            }
        } else {
            let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
            let suspensions = &mut cluster.flux.troubles.suspended;
            if suspended {
                suspensions.insert(key)
            } else {
                suspensions.remove(&key)
            };
        }
        if !suspended {
            state.after(1, Event::Fetch { cluster: cluster_id.to_owned() });
            state.after(1, Event::Reconcile { cluster: cluster_id.to_owned() });
        }
    }

    /// kustomize cannot build what is fetched, and says this; `None` ends it, and what was fetched is applied.
    pub fn fail_kustomization(&self, cluster_id: &str, message: Option<&str>) {
        self.with_troubles(cluster_id, |troubles| troubles.build_failure = message.map(str::to_owned));
        if message.is_none() {
            self.state().after(1, Event::Apply { cluster: cluster_id.to_owned() });
        }
    }
}
