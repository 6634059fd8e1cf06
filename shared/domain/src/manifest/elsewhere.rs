//! Versions of Istio in places that GUARD does not edit: each is told by its own name.

use super::flux::{Flux, Lookup, Object};
use super::release::{Release, is_release};
use super::substitution::is_kustomization;
use super::written::Written;
use crate::yaml::{Content, Node};
use crate::{Component, Finding, IstioVersion};

/// Paths by which a patch changes a version.
const PATCHED: [&str; 4] =
    ["/spec/chart/spec/version", "/spec/ref/tag", "/spec/values/global/tag", "/spec/values/pilot/tag"];

/// Objects that hold a version of Istio and may not be edited.
pub(crate) fn refusals(flux: &Flux<'_>, releases: &[Release<'_>]) -> Vec<Finding> {
    let objects = flux.objects();
    let mut findings = Vec::new();
    for object in &objects {
        findings.extend(other_owners(object));
        if is_kustomization(object) || object.is("kustomize.config.k8s.io", "Kustomization") {
            findings.extend(patched(object, releases));
            findings.extend(images(object));
        }
        if is_kustomization(object) {
            findings.extend(in_path(object));
        }
    }
    if releases.is_empty() && findings.is_empty() {
        findings.extend(objects.iter().filter_map(in_config_map));
    }
    findings
}

/// Other programs than Flux that install Istio.
fn other_owners(object: &Object<'_>) -> Option<Finding> {
    let refuse = |code, what: &str, remedy: &str| Some(Finding::blocking(code, object.whole(), what, remedy));
    if object.is("install.istio.io", "IstioOperator") {
        return refuse(
            "ISTIO_OPERATOR",
            "an IstioOperator installs Istio, not a HelmRelease",
            "move it to Flux HelmReleases of Istio's charts, or upgrade it with istioctl",
        );
    }
    if ["Istio", "IstioCNI", "ZTunnel"].iter().any(|kind| object.is("sailoperator.io", kind)) {
        return refuse(
            "ISTIO_OPERATOR",
            "the Sail operator installs Istio, not a HelmRelease",
            "upgrade it by spec.version of its own objects",
        );
    }
    let is_argo = ["Application", "ApplicationSet"].iter().any(|kind| object.is("argoproj.io", kind));
    if is_argo && is_about_istio(object.node) {
        return refuse(
            "ARGO_APPLICATION",
            "Argo CD installs Istio here, not Flux",
            "upgrade it where Argo CD reads its targetRevision; GUARD follows Flux only",
        );
    }
    None
}

/// True when a chart, an address or a path below names Istio.
fn is_about_istio(node: &Node) -> bool {
    node.children().into_iter().any(|(step, child)| match (&step, child.as_str()) {
        (crate::yaml::Step::Key(key), Some(text)) => match key.as_str() {
            "chart" => Component::of_chart(text).is_some() || text.contains("istio"),
            "repoURL" | "path" => text.contains("istio"),
            _ => false,
        },
        _ => is_about_istio(child),
    })
}

/// Patches of a Kustomization, which stand in strings.
fn patched(object: &Object<'_>, releases: &[Release<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for keys in [&["patches"][..], &["patchesJson6902"], &["patchesStrategicMerge"]] {
        let keys = if is_kustomization(object) { [&["spec"], keys].concat() } else { keys.to_vec() };
        for (index, entry) in object.list(&keys).iter().enumerate() {
            let patch = if entry.as_str().is_some() { Some(entry) } else { entry.get("patch") };
            let Some((patch, text)) = patch.and_then(|node| Some((node, node.as_str()?))) else { continue };
            let target = entry.at(&["target", "name"]).and_then(Node::as_str);
            let Some(version) = patched_version(text) else { continue };
            let is_ours = target.is_none_or(|target| {
                target.contains("istio")
                    || target.contains("ztunnel")
                    || target.contains(['*', '|', '.', '('])
                    || releases.iter().any(|release| release.object.name() == target)
            });
            if is_ours {
                let at = object.path(&keys).then(crate::yaml::Step::Index(index));
                findings.push(Finding::blocking(
                    "VERSION_IN_PATCH",
                    object.place(patch.line, &at),
                    format!(
                        "a patch in a string sets {version}{}",
                        target.map_or(String::new(), |name| format!(" of {name}"))
                    ),
                    "write the version in the HelmRelease itself, one file a cluster, instead of patching it",
                ));
            }
        }
    }
    findings
}

/// What a patch's text sets, if it is a version.
fn patched_version(text: &str) -> Option<String> {
    let documents = crate::yaml::documents(text).unwrap_or_default();
    if let Some(path) = PATCHED.iter().find(|path| text.contains(**path)) {
        let operations = documents.iter().flat_map(Node::children).map(|(_, operation)| operation);
        let value = operations
            .filter(|operation| operation.get("path").and_then(Node::as_str) == Some(path))
            .find_map(|operation| operation.get("value").and_then(Node::as_str));
        return Some(format!("{path} to {}", value.unwrap_or("a value")));
    }
    let whole = Object::all(0, "", &documents);
    whole.iter().find_map(|object| {
        [
            &["spec", "chart", "spec", "version"][..],
            &["spec", "ref", "tag"],
            &["spec", "values", "global", "tag"],
        ]
        .iter()
        .find_map(|keys| object.text(keys).map(|value| format!("{} to {value}", keys.join("."))))
    })
}

/// Images that Kustomize replaces.
fn images(object: &Object<'_>) -> Vec<Finding> {
    let keys: &[&str] = if is_kustomization(object) { &["spec", "images"] } else { &["images"] };
    let text = |image: &Node, key: &str| image.get(key).and_then(Node::as_str).map(str::to_owned);
    object
        .list(keys)
        .iter()
        .filter(|image| text(image, "name").is_some_and(|name| name.contains("istio")))
        .filter_map(|image| Some((image, text(image, "newTag").or_else(|| text(image, "digest"))?)))
        .map(|(image, tag)| {
            Finding::blocking(
                "VERSION_IN_PATCH",
                object.place(image.line, &object.path(keys)),
                format!("Kustomize replaces an image of Istio by {tag}, whatever the chart's version is"),
                "take the image out so that the chart's version decides",
            )
        })
        .collect()
}

/// A version in the name of a folder.
fn in_path(object: &Object<'_>) -> Option<Finding> {
    let Lookup::Found(spot) = object.look(&["spec", "path"]) else { return None };
    let path = spot.node.as_str()?;
    let is_istio = path.contains("istio") || object.name().contains("istio");
    let version = path.split('/').find(|part| IstioVersion::parse(part).is_ok()).filter(|_| is_istio)?;
    Some(Finding::blocking(
        "VERSION_IN_PATH",
        object.place(spot.node.line, &spot.path),
        format!(
            "the folder {path} carries the version {version}: an upgrade moves files and changes this path"
        ),
        "keep the files in a folder without a version, with the version in the HelmRelease",
    ))
}

/// A ConfigMap that seems to hold the version for a substitution, and nothing else of Istio in sight.
fn in_config_map(object: &Object<'_>) -> Option<Finding> {
    if object.kind() != "ConfigMap" || !object.name().contains("istio") {
        return None;
    }
    let Lookup::Found(data) = object.look(&["data"]) else { return None };
    let Content::Map(entries) = &data.node.content else { return None };
    let (key, value) = entries.iter().find(|(_, value)| {
        value.as_str().is_some_and(|text| matches!(Written::of(text), Written::Exact(_)))
    })?;
    let path = data.path.then(crate::yaml::Step::Key(key.as_str()?.to_owned()));
    Some(Finding::blocking(
        "VERSION_IN_CONFIG_MAP",
        object.place(value.line, &path),
        format!(
            "{} stands in a ConfigMap, from where Flux substitutes it into releases of other files",
            value.as_str()?
        ),
        "write the exact version in each HelmRelease, or change it here by hand for all that read it",
    ))
}

/// Nothing of Istio at all: that is no answer either.
pub(crate) fn nothing(flux: &Flux<'_>) -> Finding {
    let paths: Vec<&str> = flux.files.iter().map(|one| one.file.path.as_str()).collect();
    let releases = flux.objects().iter().filter(|object| is_release(object)).count();
    Finding::blocking(
        "NO_ISTIO_VERSION",
        paths.join(", "),
        format!(
            "no release of an Istio chart (base, istiod, cni, ztunnel, gateway) among {releases} HelmReleases"
        ),
        "correct flux_config_path in the registry so that it names Istio's file or folder",
    )
}
