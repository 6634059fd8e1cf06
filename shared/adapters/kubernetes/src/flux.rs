//! Flux: what it follows, what it applied, and what it installed.

mod nudge;
mod sources;

use guard_domain::{
    Component, Condition, FluxFacts, HelmReleaseFacts, KustomizationFacts, SourceKind, SourceRef,
};
use guard_tasks::{Context as _, TaskError};
use kube::Client;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::groups::Groups;
use crate::list::{List, or_default};
use crate::object::Metadata;
use crate::workload_object::is_observed;

pub(crate) use nudge::nudge;
pub(crate) use sources::{everything, rollout};

const HELM: &str = "helm.toolkit.fluxcd.io";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";

/// Length of a Git commit's name.
const COMMIT_LENGTH: usize = 40;

/// Set on an object that its Kustomization is to leave as it is.
const LEFT_ALONE: &str = "kustomize.toolkit.fluxcd.io/reconcile";

/// A Flux object of any kind.
#[derive(Debug, Deserialize)]
struct FluxObject {
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

/// The fields that several Flux kinds share; unknown ones are left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    suspend: Option<bool>,
    /// Kustomization.
    path: Option<String>,
    /// Kustomization and HelmChart.
    source_ref: Option<Reference>,
    /// Kustomization and HelmRelease.
    depends_on: Option<Vec<Reference>>,
    /// HelmRelease has an object here, HelmChart a name.
    chart: Option<Chart>,
    /// HelmRelease.
    chart_ref: Option<Reference>,
    /// HelmRelease.
    upgrade: Option<Upgrade>,
    /// HelmRelease.
    drift_detection: Option<DriftDetection>,
    /// HelmRelease.
    values: Option<Values>,
    /// HelmRelease.
    values_from: Option<Vec<IgnoredAny>>,
    /// Repositories.
    url: Option<String>,
    /// HelmRepository: `default` or `oci`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// GitRepository and OCIRepository.
    #[serde(rename = "ref")]
    reference: Option<Revision>,
    /// HelmChart.
    version: Option<String>,
}

/// Another object; what is not named is of the object's own namespace.
#[derive(Debug, Clone, Deserialize)]
struct Reference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    namespace: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Revision {
    tag: Option<String>,
    semver: Option<String>,
    digest: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Upgrade {
    remediation: Option<Remediation>,
    strategy: Option<Named>,
}

#[derive(Debug, Clone, Deserialize)]
struct Remediation {
    retries: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

impl Upgrade {
    /// Attempts after a failed one.
    fn retries(&self) -> i64 {
        match &self.strategy {
            Some(strategy) if strategy.name == "RetryOnFailure" => -1,
            _ => self.remediation.as_ref().and_then(|one| one.retries).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct DriftDetection {
    #[serde(default)]
    mode: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Values {
    #[serde(default)]
    revision: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Chart {
    Template { spec: Box<ChartSpec> },
    Name(#[expect(dead_code, reason = "only that it is a name matters")] String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChartSpec {
    chart: String,
    version: Option<String>,
    source_ref: Option<Reference>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    conditions: Option<Vec<FluxCondition>>,
    /// Kustomization.
    last_applied_revision: Option<String>,
    /// HelmRelease, newest first.
    history: Option<Vec<Snapshot>>,
    /// HelmRelease: the HelmChart made for `spec.chart`.
    helm_chart: Option<String>,
    /// HelmRelease.
    failures: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct FluxCondition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    chart_name: Option<String>,
    chart_version: Option<String>,
    status: Option<String>,
}

async fn facts(client: &Client, groups: &Groups) -> Result<FluxFacts, TaskError> {
    Ok(FluxFacts {
        kustomizations: kustomizations(client, groups).await?,
        repositories: sources::git_repositories(client, groups).await?,
        ..releases(client, groups).await?
    })
}

async fn kustomizations(client: &Client, groups: &Groups) -> Result<Vec<KustomizationFacts>, TaskError> {
    let api = groups.resource(KUSTOMIZE, "Kustomization", "kustomizations")?;
    let list = List::of_resource(&api);
    list.read(client, |object| Some(kustomization(&object))).await.context("list Kustomizations")
}

/// Releases, and the version they are served in.
async fn releases(client: &Client, groups: &Groups) -> Result<FluxFacts, TaskError> {
    let api = groups.resource(HELM, "HelmRelease", "helmreleases")?;
    let list = List::of_resource(&api);
    let releases = list.read(client, |object| release(&object)).await.context("list HelmReleases")?;
    Ok(FluxFacts { releases, helm_api: api.version, ..FluxFacts::default() })
}

fn kustomization(object: &FluxObject) -> KustomizationFacts {
    let status = &object.status;
    let path = object.spec.path.as_deref().unwrap_or_default();
    KustomizationFacts {
        name: object.metadata.full_name(),
        path: path.trim_start_matches("./").to_owned(),
        is_suspended: object.spec.suspend.unwrap_or_default(),
        applied_commit: status.last_applied_revision.as_deref().and_then(commit),
        is_observed: is_observed(object.metadata.generation, status.observed_generation),
        source: object.spec.source_ref.as_ref().and_then(|source| source_ref(object, source)),
        depends_on: object.spec.depends_on.iter().flatten().map(|one| place(object, one)).collect(),
        ready: condition(status, "Ready"),
    }
}

/// `None` for releases of other charts. The chart is told by its name: by the one that is asked for, or else (a chart by
/// reference, or from a folder of a repository) by the one that was installed last.
fn release(object: &FluxObject) -> Option<HelmReleaseFacts> {
    let status = &object.status;
    let newest = status.history.as_deref().unwrap_or_default().first();
    let template = match &object.spec.chart {
        Some(Chart::Template { spec }) => Some(spec),
        Some(Chart::Name(_)) | None => None,
    };
    let installed = newest.and_then(|snapshot| snapshot.chart_name.as_deref());
    let component = template
        .and_then(|chart| Component::of_chart(&chart.chart))
        .or_else(|| installed.and_then(Component::of_chart))?;
    let reference = object.spec.chart_ref.as_ref().or_else(|| template?.source_ref.as_ref());
    let revision = object.spec.values.as_ref().and_then(|values| values.revision.as_ref()?.as_str());
    Some(HelmReleaseFacts {
        name: object.metadata.full_name(),
        component,
        spec_version: template.and_then(|chart| chart.version.clone()),
        source: reference.and_then(|source| source_ref(object, source)),
        helm_chart: status.helm_chart.clone().filter(|name| !name.is_empty()),
        revision: revision.filter(|name| !name.is_empty() && *name != "default").map(str::to_owned),
        has_other_values: object.spec.values_from.as_ref().is_some_and(|from| !from.is_empty()),
        is_observed: is_observed(object.metadata.generation, status.observed_generation),
        is_suspended: object.spec.suspend.unwrap_or_default(),
        is_left_alone: object.metadata.annotations.get(LEFT_ALONE).is_some_and(|value| value == "disabled"),
        corrects_drift: object.spec.drift_detection.as_ref().is_some_and(|drift| drift.mode == "enabled"),
        ready: condition(status, "Ready"),
        stalled: condition(status, "Stalled"),
        remediated: condition(status, "Remediated"),
        released: condition(status, "Released"),
        drifted: condition(status, "Drifted"),
        failures: status.failures.unwrap_or_default(),
        retries: object.spec.upgrade.as_ref().map(Upgrade::retries).unwrap_or_default(),
        deployed_version: newest
            .filter(|snapshot| snapshot.status.as_deref() == Some("deployed"))
            .and_then(|snapshot| snapshot.chart_version.clone()),
    })
}

/// A source as an object names it; `None` for a kind that is none of Flux's.
fn source_ref(object: &FluxObject, named: &Reference) -> Option<SourceRef> {
    Some(SourceRef { kind: SourceKind::parse(&named.kind)?, name: place(object, named) })
}

fn place(object: &FluxObject, named: &Reference) -> String {
    format!("{}/{}", named.namespace.as_deref().unwrap_or(&object.metadata.namespace), named.name)
}

fn condition(status: &Status, kind: &str) -> Condition {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let Some(found) = conditions.iter().find(|condition| condition.kind == kind) else {
        return Condition::default();
    };
    Condition {
        status: match found.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        },
        reason: found.reason.clone(),
        message: brief(&found.message),
    }
}

/// Characters of a message. Helm's own words come last in it, after release, chart and object by name.
const MESSAGE_LIMIT: usize = 800;

fn brief(message: &str) -> String {
    let mut line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MESSAGE_LIMIT) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

/// The commit in `main@sha1:<40 hex>`.
fn commit(revision: &str) -> Option<String> {
    let (_, hex) = revision.rsplit_once("sha1:")?;
    let is_commit = hex.len() == COMMIT_LENGTH && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| hex.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_commit_is_one() {
        let hex = "0123456789abcdef0123456789ABCDEF01234567";
        assert_eq!(commit(&format!("main@sha1:{hex}")), Some(hex.to_ascii_lowercase()));
        for none in ["", "main", "main@sha1:0123", "main@sha256:00", &format!("main@sha1:{}", "g".repeat(40))]
        {
            assert_eq!(commit(none), None, "{none}");
        }
    }
}
