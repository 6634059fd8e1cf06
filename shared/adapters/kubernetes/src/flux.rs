//! Flux: what it follows, what it applied, and what it installed.

use guard_domain::{Component, Condition, FluxFacts, HelmReleaseFacts, KustomizationFacts};
use guard_tasks::{Context as _, TaskError};
use http::{Request, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::Client;
use kube::api::ApiResource;
use serde::Deserialize;

use crate::error;
use crate::list::{self, List, or_default};
use crate::object::Metadata;
use crate::workload_object::is_observed;

const HELM: &str = "helm.toolkit.fluxcd.io";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";

/// Length of a Git commit's name.
const COMMIT_LENGTH: usize = 40;

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
    /// HelmRelease.
    chart: Option<ChartTemplate>,
    /// HelmRelease.
    drift_detection: Option<DriftDetection>,
}

#[derive(Debug, Clone, Deserialize)]
struct DriftDetection {
    #[serde(default)]
    mode: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ChartTemplate {
    spec: ChartSpec,
}

#[derive(Debug, Clone, Deserialize)]
struct ChartSpec {
    chart: String,
    version: Option<String>,
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
    chart_version: Option<String>,
    status: Option<String>,
}

pub(crate) async fn facts(client: &Client) -> Result<FluxFacts, TaskError> {
    Ok(FluxFacts {
        kustomizations: kustomizations(client).await?,
        suspended_sources: suspended_sources(client).await?,
        ..releases(client).await?
    })
}

async fn kustomizations(client: &Client) -> Result<Vec<KustomizationFacts>, TaskError> {
    let api = flux_api(client, KUSTOMIZE, "Kustomization", "kustomizations").await?;
    let list = List::of_resource(&api);
    list.read(client, |object| Some(kustomization(&object))).await.context("list Kustomizations")
}

/// GitRepository objects that are suspended: nothing new arrives through them.
async fn suspended_sources(client: &Client) -> Result<Vec<String>, TaskError> {
    let api = flux_api(client, SOURCE, "GitRepository", "gitrepositories").await?;
    let suspended =
        |object: FluxObject| (object.spec.suspend == Some(true)).then(|| object.metadata.full_name());
    List::of_resource(&api).read(client, suspended).await.context("list GitRepositories")
}

/// Releases, and the version they are served in.
async fn releases(client: &Client) -> Result<FluxFacts, TaskError> {
    let api = flux_api(client, HELM, "HelmRelease", "helmreleases").await?;
    let list = List::of_resource(&api);
    let releases = list.read(client, |object| release(&object)).await.context("list HelmReleases")?;
    Ok(FluxFacts { releases, helm_api: api.version, ..FluxFacts::default() })
}

/// The kind in the version this cluster prefers: Flux serves and removes versions release by release.
async fn flux_api(client: &Client, group: &str, kind: &str, plural: &str) -> Result<ApiResource, TaskError> {
    let doing = format!("find API group {group}");
    let request = Request::get(format!("/apis/{group}"))
        .body(Vec::new())
        .map_err(|error| TaskError::internal(error.to_string()))?;
    let found = list::get(client, request).await;
    if found.as_ref().is_err_and(|error| error::status(error) == Some(StatusCode::NOT_FOUND)) {
        return Err(error::missing_group(group).context(doing));
    }
    let found: APIGroup = serde_json::from_slice(&error::named(found, &doing)?)
        .map_err(|cause| error::unreadable(&cause).context(doing.clone()))?;
    let served = found.preferred_version.or_else(|| found.versions.into_iter().next());
    let version = served.ok_or_else(|| error::missing_group(group).context(doing))?.version;
    Ok(ApiResource {
        group: group.to_owned(),
        api_version: format!("{group}/{version}"),
        version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    })
}

fn kustomization(object: &FluxObject) -> KustomizationFacts {
    let status = &object.status;
    let path = object.spec.path.as_deref().unwrap_or_default();
    KustomizationFacts {
        name: object.metadata.full_name(),
        path: path.trim_start_matches("./").to_owned(),
        is_suspended: object.spec.suspend.unwrap_or_default(),
        applied_commit: status.last_applied_revision.as_deref().and_then(commit),
        ready: ready(status),
    }
}

/// `None` for releases of other charts, and for charts by reference: those pin their version in another object.
fn release(object: &FluxObject) -> Option<HelmReleaseFacts> {
    let chart = &object.spec.chart.as_ref()?.spec;
    let component = Component::of_chart(&chart.chart)?;
    let status = &object.status;
    let newest = status.history.as_deref().unwrap_or_default().first();
    Some(HelmReleaseFacts {
        name: object.metadata.full_name(),
        component,
        spec_version: chart.version.clone(),
        is_observed: is_observed(object.metadata.generation, status.observed_generation),
        is_suspended: object.spec.suspend.unwrap_or_default(),
        corrects_drift: object.spec.drift_detection.as_ref().is_some_and(|drift| drift.mode == "enabled"),
        ready: ready(status),
        deployed_version: newest
            .filter(|snapshot| snapshot.status.as_deref() == Some("deployed"))
            .and_then(|snapshot| snapshot.chart_version.clone()),
    })
}

fn ready(status: &Status) -> Condition {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let Some(found) = conditions.iter().find(|condition| condition.kind == "Ready") else {
        return Condition::default();
    };
    Condition {
        status: match found.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        },
        reason: found.reason.clone(),
        message: guard_http::clip(&found.message),
    }
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
