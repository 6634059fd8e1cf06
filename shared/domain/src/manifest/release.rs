//! The releases of Istio's charts: which they are, and where each has its version.

use super::flux::{Flux, Lookup, Object, Spot};
use super::{ChangeKind, Rules};
use crate::{Component, Finding};

const HELM: &str = "helm.toolkit.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";

/// The umbrella chart: its one version moves base, istiod, cni and ztunnel at once, in no order.
pub(crate) const UMBRELLA: &str = "ambient";

/// A release of an Istio chart, or a repository that holds one chart.
#[derive(Debug, Clone)]
pub(crate) struct Release<'f> {
    /// The HelmRelease, or the OCIRepository that stands alone.
    pub(crate) object: Object<'f>,
    /// What it installs; none for the umbrella.
    pub(crate) component: Option<Component>,
    /// The chart's name.
    pub(crate) chart: String,
    /// Where its version is.
    pub(crate) version: VersionAt<'f>,
    /// The repository that its chart comes from, as the release names it.
    pub(crate) repository: Option<Reference>,
}

/// Where a release has its version.
#[derive(Debug, Clone)]
pub(crate) struct VersionAt<'f> {
    /// The object that holds it.
    pub(crate) owner: Object<'f>,
    /// The path in it.
    pub(crate) keys: &'static [&'static str],
    /// What it is.
    pub(crate) kind: ChangeKind,
}

/// An object that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Reference {
    /// A reference as Flux writes it: kind, name, and a namespace that is the release's own unless named.
    fn of(object: &Object<'_>, keys: &[&str]) -> Option<Self> {
        let text = |key: &str| object.text(&[keys, &[key][..]].concat());
        let namespace = text("namespace").or(object.namespace()).map(str::to_owned);
        Some(Self { kind: text("kind")?.to_owned(), namespace, name: text("name")?.to_owned() })
    }

    /// True for the object it names. A namespace that is not written is set elsewhere, by a Kustomization, and fits any.
    pub(crate) fn fits(&self, object: &Object<'_>) -> bool {
        let is_near = match (self.namespace.as_deref(), object.namespace()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        object.is(SOURCE, &self.kind) && object.name() == self.name && is_near
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

pub(crate) fn is_release(object: &Object<'_>) -> bool {
    object.is(HELM, "HelmRelease")
}

/// Every release of an Istio chart, and why others that look like one may not be edited.
pub(crate) fn releases<'f>(
    flux: &'f Flux<'_>,
    rules: &Rules,
    findings: &mut Vec<Finding>,
) -> Vec<Release<'f>> {
    let objects = flux.objects();
    let mut releases = Vec::new();
    for object in objects.iter().filter(|object| is_release(object)) {
        match one(object, &objects) {
            Ok(found) => releases.extend(found),
            Err(finding) => findings.push(*finding),
        }
    }
    releases.extend(patches(&objects, &releases, findings));
    let alone = objects.iter().filter(|object| object.is(SOURCE, "OCIRepository"));
    for object in alone {
        let is_named = releases.iter().any(|release| release.version.owner.is_same(object));
        let url = object.text(&["spec", "url"]).unwrap_or_default();
        if !is_named && url.contains("istio") && is_istio(chart_of(url)) {
            let version =
                VersionAt { owner: object.clone(), keys: &["spec", "ref", "tag"], kind: ChangeKind::OciTag };
            releases.push(release(object, chart_of(url), version, None));
        }
    }
    if !rules.allow_umbrella {
        for release in releases.iter().filter(|release| release.chart == UMBRELLA) {
            findings.push(Finding::blocking(
                "UMBRELLA_CHART",
                release.object.whole(),
                "chart ambient moves base, istiod, cni and ztunnel at once, in no order",
                "release the four charts apart, or set policy.allow_umbrella_chart knowing this",
            ));
        }
    }
    twice(&releases, findings);
    releases
}

fn release<'f>(
    object: &Object<'f>,
    chart: &str,
    version: VersionAt<'f>,
    repository: Option<Reference>,
) -> Release<'f> {
    Release {
        object: object.clone(),
        component: Component::of_chart(chart),
        chart: chart.to_owned(),
        version,
        repository,
    }
}

/// One HelmRelease that names a chart, or a reference to one. The chart decides, never the release's name.
fn one<'f>(object: &Object<'f>, objects: &[Object<'f>]) -> Result<Option<Release<'f>>, Box<Finding>> {
    if matches!(object.look(&["spec", "chartRef"]), Lookup::Found(_)) {
        return by_reference(object, objects);
    }
    let keys: &'static [&'static str] = &["spec", "chart", "spec"];
    let at = VersionAt {
        owner: object.clone(),
        keys: &["spec", "chart", "spec", "version"],
        kind: ChangeKind::ChartVersion,
    };
    by_chart(object, object, keys, at)
}

/// A chart as `chart`, `version` and `sourceRef` say it, in a release or in a HelmChart.
fn by_chart<'f>(
    object: &Object<'f>,
    owner: &Object<'f>,
    keys: &[&str],
    version: VersionAt<'f>,
) -> Result<Option<Release<'f>>, Box<Finding>> {
    let Lookup::Found(Spot { node, path, .. }) = owner.look(&[keys, &["chart"]].concat()) else {
        return Ok(None);
    };
    let Some(chart) = node.as_str() else { return Ok(None) };
    let repository = Reference::of(owner, &[keys, &["sourceRef"]].concat());
    let last = chart_of(chart);
    let is_path =
        repository.as_ref().is_some_and(|from| from.kind == "GitRepository" || from.kind == "Bucket");
    if is_path {
        let istio = chart.contains("istio") || chart.contains("manifests/charts/") || names_istio(object);
        if istio && (is_istio(last) || last.starts_with("istio")) {
            let source = repository.as_ref().map_or_else(String::new, ToString::to_string);
            return Err(Box::new(Finding::blocking(
                "CHART_FROM_GIT",
                owner.place(node.line, &path),
                format!("chart {chart} is a path in {source}: its version is what that source checks out"),
                "take the chart from a HelmRepository or an OCIRepository with an exact version",
            )));
        }
        return Ok(None);
    }
    if is_istio(chart) {
        return Ok(Some(release(object, chart, version, repository)));
    }
    if chart.starts_with("istio") {
        return Err(Box::new(foreign(owner, chart, node.line, &path)));
    }
    Ok(None)
}

fn foreign(owner: &Object<'_>, chart: &str, line: usize, path: &crate::yaml::Path) -> Finding {
    Finding::blocking(
        "FOREIGN_CHART",
        owner.place(line, path),
        format!(
            "chart {chart} is none of Istio's (base, istiod, cni, ztunnel, gateway); its version means something else"
        ),
        "upgrade it by its own rules, and keep it out of the files that GUARD edits",
    )
}

fn by_reference<'f>(
    object: &Object<'f>,
    objects: &[Object<'f>],
) -> Result<Option<Release<'f>>, Box<Finding>> {
    let path = object.path(&["spec", "chartRef"]);
    let line = match object.look(&["spec", "chartRef"]) {
        Lookup::Found(spot) => spot.node.line,
        _ => object.node.line,
    };
    let Some(reference) = Reference::of(object, &["spec", "chartRef"]) else { return Ok(None) };
    let mut named = objects.iter().filter(|other| reference.fits(other));
    let Some(owner) = named.next() else {
        // Whether it is an Istio chart is written in the other object; these words are reason enough to ask.
        let is_istio =
            names_istio(object) || reference.name.contains("istio") || reference.name.contains("ztunnel");
        return if is_istio {
            Err(Box::new(Finding::blocking(
                "VERSION_ELSEWHERE",
                object.place(line, &path),
                format!("the version is in {reference}, which is not among the files of this cluster"),
                "let flux_config_path name the folder that holds both files",
            )))
        } else {
            Ok(None)
        };
    };
    if let Some(other) = named.next() {
        return Err(Box::new(Finding::blocking(
            "REFERENCE_AMBIGUOUS",
            object.place(line, &path),
            format!("{reference} is both in {} and in {}", owner.whole(), other.whole()),
            "keep one of them, or write the namespaces out",
        )));
    }
    if owner.kind() == "HelmChart" {
        let at =
            VersionAt { owner: owner.clone(), keys: &["spec", "version"], kind: ChangeKind::ChartVersion };
        return by_chart(object, owner, &["spec"], at);
    }
    let Lookup::Found(Spot { node, path, .. }) = owner.look(&["spec", "url"]) else { return Ok(None) };
    let chart = chart_of(node.as_str().unwrap_or_default());
    let at = VersionAt { owner: owner.clone(), keys: &["spec", "ref", "tag"], kind: ChangeKind::OciTag };
    if is_istio(chart) {
        return Ok(Some(release(object, chart, at, Some(reference))));
    }
    if chart.starts_with("istio") {
        return Err(Box::new(foreign(owner, chart, node.line, &path)));
    }
    Ok(None)
}

/// Releases without a chart of their own are patches of the release of the same name, as overlays hold them.
fn patches<'f>(
    objects: &[Object<'f>],
    releases: &[Release<'f>],
    findings: &mut Vec<Finding>,
) -> Vec<Release<'f>> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|object| is_release(object)) {
        let has_chart = matches!(object.look(&["spec", "chartRef"]), Lookup::Found(_))
            || matches!(object.look(&["spec", "chart", "spec", "chart"]), Lookup::Found(_));
        if has_chart {
            continue;
        }
        let whole = releases.iter().find(|release| {
            release.object.name() == object.name()
                && (release.object.namespace() == object.namespace()
                    || release.object.namespace().is_none()
                    || object.namespace().is_none())
        });
        let at = VersionAt {
            owner: object.clone(),
            keys: &["spec", "chart", "spec", "version"],
            kind: ChangeKind::ChartVersion,
        };
        let version = object.look(at.keys);
        match (whole, version) {
            (Some(whole), _) => found.push(Release { object: object.clone(), version: at, ..whole.clone() }),
            (None, Lookup::Found(spot)) if names_istio(object) => findings.push(Finding::blocking(
                "CHART_ELSEWHERE",
                object.place(spot.node.line, &spot.path),
                "it names a version but no chart: it patches a release that is not among the files of this cluster",
                "let flux_config_path name a folder that holds the release too",
            )),
            (None, _) => {}
        }
    }
    found
}

/// Two control planes of one revision fight for the same names.
fn twice(releases: &[Release<'_>], findings: &mut Vec<Finding>) {
    let revision = |release: &Release<'_>| {
        let revision = release.object.text(&["spec", "values", "revision"]).unwrap_or_default();
        if revision == "default" { String::new() } else { revision.to_owned() }
    };
    let mut seen: Vec<&Release<'_>> = Vec::new();
    let control_planes = releases.iter().filter(|release| {
        matches!(release.component, Some(Component::Istiod) | None)
            && is_release(&release.object)
            && !release.is_patch()
    });
    for release in control_planes {
        if let Some(first) = seen.iter().find(|first| revision(first) == revision(release)) {
            let revision = revision(release);
            let named = if revision.is_empty() {
                "the default revision".to_owned()
            } else {
                format!("revision {revision}")
            };
            findings.push(Finding::blocking(
                "REVISION_TWICE",
                release.object.whole(),
                format!("it installs {named} of istiod, and so does {}", first.object.whole()),
                "keep one of them, or give each a revision of its own",
            ));
        }
        seen.push(release);
    }
}

impl Release<'_> {
    /// True for a patch of a release that is written elsewhere.
    pub(crate) fn is_patch(&self) -> bool {
        is_release(&self.object)
            && self.version.kind == ChangeKind::ChartVersion
            && self.version.owner.is_same(&self.object)
            && !matches!(self.object.look(&["spec", "chart", "spec", "chart"]), Lookup::Found(_))
    }
}

impl Object<'_> {
    /// True for the same object of the same document.
    pub(crate) fn is_same(&self, other: &Object<'_>) -> bool {
        std::ptr::eq(self.node, other.node)
    }
}

fn is_istio(chart: &str) -> bool {
    Component::of_chart(chart).is_some() || chart == UMBRELLA
}

/// The last part of a path or an address: `oci://ghcr.io/istio/release/charts/base` is `base`.
fn chart_of(address: &str) -> &str {
    address.trim_end_matches('/').rsplit('/').next().unwrap_or(address)
}

fn names_istio(object: &Object<'_>) -> bool {
    object.name().contains("istio") || object.name().contains("ztunnel")
}
