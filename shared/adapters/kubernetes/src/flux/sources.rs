//! What Flux fetches from: Git, and the charts.

use std::collections::BTreeSet;
use std::time::Duration;

use guard_domain::{FluxFacts, HelmReleaseFacts, Reading, SourceFacts, SourceKind, SourceRef};
use guard_tasks::{Context as _, TaskError};
use kube::Client;

use super::{FluxObject, SOURCE, condition, facts, source_ref};
use crate::groups::{Groups, resource};
use crate::list::List;
use crate::look::in_time;
use crate::workload_object::is_observed;

/// Kinds that hold charts.
const CHART_KINDS: [(SourceKind, &str); 3] = [
    (SourceKind::HelmRepository, "helmrepositories"),
    (SourceKind::OCIRepository, "ocirepositories"),
    (SourceKind::HelmChart, "helmcharts"),
];

/// Reasons of a HelmRelease that has no chart yet; why not, its source says.
const WAITS: [&str; 2] = ["ArtifactFailed", "SourceNotReady"];

pub(super) async fn git_repositories(
    client: &Client,
    groups: &Groups,
) -> Result<Vec<SourceFacts>, TaskError> {
    let kind = SourceKind::GitRepository;
    let api = groups.resource(SOURCE, kind.as_str(), "gitrepositories")?;
    let list = List::of_resource(&api);
    list.read(client, |object| Some(source(kind, &object))).await.context("list GitRepositories")
}

/// All that a look wants of Flux: what it follows and installed, and every source of charts. Each within its time.
pub(crate) async fn everything(
    client: &Client,
    within: Duration,
) -> (Reading<FluxFacts>, Reading<Vec<SourceFacts>>) {
    let groups = match in_time("API groups", within, Groups::read(client)).await {
        Ok(groups) => groups,
        Err(why) => return (Err(why.clone()), Err(why)),
    };
    let kinds = CHART_KINDS.map(|(kind, _)| kind).into();
    let (mut flux, sources) = futures::join!(
        in_time("Flux", within, facts(client, &groups)),
        in_time("the sources of charts", within, sources_of(client, &groups, &kinds))
    );
    if let (Ok(flux), Ok(sources)) = (&mut flux, &sources) {
        resolve(&mut flux.releases, sources);
    }
    (flux, sources)
}

async fn sources_of(
    client: &Client,
    groups: &Groups,
    kinds: &BTreeSet<SourceKind>,
) -> Result<Vec<SourceFacts>, TaskError> {
    let versions = groups.versions(SOURCE)?;
    let mut found = Vec::new();
    for (kind, plural) in CHART_KINDS.iter().filter(|(kind, _)| kinds.contains(kind)) {
        found.extend(sources(client, &versions, *kind, plural).await?);
    }
    Ok(found)
}

/// The kinds came to `v1` release by release (OCIRepository with Flux 2.6), so an older one may serve it in another version
/// of the group than the preferred one, or not at all.
async fn sources(
    client: &Client,
    versions: &[String],
    kind: SourceKind,
    plural: &str,
) -> Result<Vec<SourceFacts>, TaskError> {
    for version in versions {
        let list = List::of_resource(&resource(SOURCE, version, kind.as_str(), plural));
        match list.read_if_served(client, |object| Some(source(kind, &object))).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => return Err(error.context(format!("list {plural}"))),
        }
    }
    Ok(Vec::new())
}

fn source(kind: SourceKind, object: &FluxObject) -> SourceFacts {
    let spec = &object.spec;
    let status = &object.status;
    let pinned = spec.reference.as_ref().filter(|one| one.digest.is_none() && one.semver.is_none());
    SourceFacts {
        source: SourceRef { kind, name: object.metadata.full_name() },
        url: spec.url.clone().unwrap_or_default(),
        from: spec.source_ref.as_ref().and_then(|named| source_ref(object, named)),
        version: match kind {
            SourceKind::OCIRepository => pinned.and_then(|one| one.tag.clone()),
            _ => spec.version.clone(),
        },
        is_address: kind == SourceKind::HelmRepository && spec.kind.as_deref() == Some("oci"),
        is_suspended: spec.suspend.unwrap_or_default(),
        is_observed: is_observed(object.metadata.generation, status.observed_generation),
        ready: condition(status, "Ready"),
    }
}

/// Flux with the versions of charts by reference, and the sources of charts: these are read only where a release needs them
/// for its version, or waits for one.
pub(crate) async fn rollout(client: &Client) -> Result<(FluxFacts, Vec<SourceFacts>), TaskError> {
    let groups = Groups::read(client).await?;
    let mut flux = facts(client, &groups).await?;
    let by_reference = flux.releases.iter().filter(|release| release.spec_version.is_none());
    let mut kinds: BTreeSet<SourceKind> =
        by_reference.filter_map(|release| Some(release.source.as_ref()?.kind)).collect();
    let waits = |release: &HelmReleaseFacts| WAITS.contains(&release.ready.reason.as_str());
    for release in flux.releases.iter().filter(|release| waits(release)) {
        kinds.insert(SourceKind::HelmChart);
        kinds.extend(release.source.as_ref().map(|source| source.kind));
    }
    let sources = if CHART_KINDS.iter().any(|(kind, _)| kinds.contains(kind)) {
        sources_of(client, &groups, &kinds).await?
    } else {
        Vec::new()
    };
    resolve(&mut flux.releases, &sources);
    Ok((flux, sources))
}

/// Fills in the version that a release asks for through a reference.
fn resolve(releases: &mut [HelmReleaseFacts], sources: &[SourceFacts]) {
    for release in releases.iter_mut().filter(|release| release.spec_version.is_none()) {
        let named = sources.iter().find(|one| Some(&one.source) == release.source.as_ref());
        release.spec_version = named.and_then(|one| one.version.clone());
    }
}
