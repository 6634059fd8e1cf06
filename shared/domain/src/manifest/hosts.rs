//! Hosts of charts and images that publish nothing from 1.31 on, and go away in December 2026.
//!
//! Source: istio.io blog 2026, retirement of the Google-hosted registries. Charts live at blob.istio.io (HTTP) and
//! ghcr.io (OCI, 1.26 and later), images at docker.io/istio alone.

use serde_json::Value;

use super::ChangeKind;
use super::edit::Wish;
use super::flux::{Flux, Lookup, Object};
use super::release::{Release, is_release};
use crate::{Finding, IstioVersion};

const SOURCE: &str = "source.toolkit.fluxcd.io";

/// Addresses of charts, old and new.
const CHARTS: [(&str, &str); 6] = [
    ("https://istio-release.storage.googleapis.com/charts", "https://blob.istio.io/istio-release/charts"),
    ("http://istio-release.storage.googleapis.com/charts", "https://blob.istio.io/istio-release/charts"),
    ("https://storage.googleapis.com/istio-release/charts", "https://blob.istio.io/istio-release/charts"),
    ("oci://gcr.io/istio-release/charts", "oci://ghcr.io/istio/release/charts"),
    ("oci://registry.istio.io/release/charts", "oci://ghcr.io/istio/release/charts"),
    ("oci://registry.istio.io/istio-release/charts", "oci://ghcr.io/istio/release/charts"),
];

/// Image registries that are retired, and the one that is not.
const HUBS: [&str; 2] = ["gcr.io/istio-release", "registry.istio.io/release"];
const HUB: &str = "docker.io/istio";

/// Where charts take the registry of their images from.
const HUB_KEYS: [&[&str]; 5] = [
    &["spec", "values", "global", "hub"],
    &["spec", "values", "hub"],
    &["spec", "values", "pilot", "hub"],
    &["spec", "values", "cni", "hub"],
    &["spec", "values", "ztunnel", "hub"],
];

/// The first OCI charts of the new host.
const OCI_SINCE: u64 = 26;

/// Addresses of charts that are moved: the dates of src/retirement.toml must know each.
#[cfg(test)]
pub(crate) fn retired_charts() -> impl Iterator<Item = &'static str> {
    CHARTS.iter().map(|(old, _)| *old)
}

/// The same of images.
#[cfg(test)]
pub(crate) fn retired_hubs() -> impl Iterator<Item = &'static str> {
    HUBS.into_iter()
}

/// True for a version that the old hosts do not have.
pub(crate) fn needs_new_hosts(version: &IstioVersion) -> bool {
    (version.major(), version.minor()) >= (1, 31)
}

/// The new address of an old one.
fn moved(url: &str) -> Option<String> {
    CHARTS.iter().find_map(|(old, new)| {
        let rest = url.strip_prefix(old)?;
        // A chart's name, or a slash at the end; never a longer word.
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{}", rest.trim_end_matches('/')))
    })
}

/// Every retired address among the files, to be replaced.
pub(crate) fn moves<'f>(flux: &'f Flux<'_>, releases: &[Release<'f>]) -> Vec<Wish<'f>> {
    let mut wishes = Vec::new();
    for object in flux.objects().into_iter().filter(is_repository) {
        if let Lookup::Found(spot) = object.look(&["spec", "url"])
            && let Some(url) = spot.node.as_str().and_then(moved)
        {
            let component = releases.iter().find(|release| release.version.owner.is_same(&object));
            let component = component.and_then(|release| release.component);
            wishes.push(Wish::new(&object, spot, ChangeKind::RepositoryUrl, component, Value::from(url)));
        }
    }
    for release in releases.iter().filter(|release| is_release(&release.object)) {
        for keys in HUB_KEYS {
            if let Lookup::Found(spot) = release.object.look(keys)
                && spot.node.as_str().is_some_and(|hub| HUBS.contains(&hub.trim_end_matches('/')))
            {
                let value = Value::from(HUB);
                wishes.push(Wish::new(&release.object, spot, ChangeKind::ImageHub, release.component, value));
            }
        }
    }
    wishes
}

/// Releases whose repository is not among the files: nobody can see here whether it has moved.
pub(crate) fn elsewhere(flux: &Flux<'_>, releases: &[Release<'_>], is_blocking: bool) -> Vec<Finding> {
    let objects = flux.objects();
    let mut findings: Vec<Finding> = Vec::new();
    for release in releases.iter().filter(|release| !release.is_patch()) {
        let Some(reference) = &release.repository else { continue };
        let visible = objects.iter().find(|object| reference.fits(object));
        let cause = match visible.map(|object| object.text(&["spec", "url"]).unwrap_or_default()) {
            Some(url) if url.contains("${") => {
                format!("the address of {reference} is substituted by Flux: {url}")
            }
            Some(_) => continue,
            None => format!("{reference} is not among the files of this cluster"),
        };
        let (code, subject) = ("REPOSITORY_ELSEWHERE", release.object.whole());
        let message =
            format!("{cause}; from 1.31 on charts come from {} or {} only", CHARTS[0].1, CHARTS[3].1);
        let remedy = "move it where it is (guard diff --repositories-only on its file), then set policy.repositories_elsewhere to warn";
        findings.push(if is_blocking {
            Finding::blocking(code, subject, message, remedy)
        } else {
            Finding::warning(code, subject, message, remedy)
        });
    }
    findings
}

/// Charts that the new host does not have, when the version stays what it is.
pub(crate) fn not_there(releases: &[Release<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for release in releases.iter().filter(|release| release.version.kind == ChangeKind::OciTag) {
        let owner = &release.version.owner;
        let is_moving = owner.text(&["spec", "url"]).and_then(moved).is_some();
        let version = owner.text(release.version.keys).and_then(|text| IstioVersion::parse(text).ok());
        if let Some(version) =
            version.filter(|version| is_moving && (version.major(), version.minor()) < (1, OCI_SINCE))
        {
            findings.push(Finding::blocking(
                "CHART_NOT_ON_NEW_HOST",
                owner.whole(),
                format!("{} has charts from 1.{OCI_SINCE} on, and this is at {version}", CHARTS[3].1),
                "upgrade it first, or take the chart from a HelmRepository at https://blob.istio.io/istio-release/charts",
            ));
        }
    }
    findings
}

/// Charts of 1.30 take their images from a registry that goes away, unless a value says otherwise.
pub(crate) fn default_hub(releases: &[Release<'_>]) -> Vec<Finding> {
    let takes_default = |release: &&Release<'_>| {
        let version = release.version.owner.text(release.version.keys);
        let version = version.and_then(|text| IstioVersion::parse(text).ok());
        version.is_some_and(|version| version.minor_line() == "1.30")
            && !HUB_KEYS.iter().any(|keys| release.object.text(keys).is_some_and(|hub| !hub.is_empty()))
    };
    let warn = |release: &Release<'_>| {
        Finding::warning(
            "IMAGE_HUB_DEFAULT",
            release.object.whole(),
            format!("charts of 1.30 take images from {} unless values.global.hub says otherwise", HUBS[1]),
            format!("set values.global.hub to {HUB}, or upgrade to 1.31, before that registry goes away"),
        )
    };
    releases
        .iter()
        .filter(|release| is_release(&release.object) && !release.is_patch())
        .filter(takes_default)
        .map(warn)
        .collect()
}

fn is_repository(object: &Object<'_>) -> bool {
    object.is(SOURCE, "HelmRepository") || object.is(SOURCE, "OCIRepository")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_retired_addresses_move() {
        for (old, new) in [
            (
                "https://istio-release.storage.googleapis.com/charts",
                Some("https://blob.istio.io/istio-release/charts"),
            ),
            (
                "https://istio-release.storage.googleapis.com/charts/",
                Some("https://blob.istio.io/istio-release/charts"),
            ),
            ("oci://gcr.io/istio-release/charts/base", Some("oci://ghcr.io/istio/release/charts/base")),
            ("oci://gcr.io/istio-release/charts", Some("oci://ghcr.io/istio/release/charts")),
            (
                "oci://registry.istio.io/release/charts/istiod",
                Some("oci://ghcr.io/istio/release/charts/istiod"),
            ),
            ("https://blob.istio.io/istio-release/charts", None),
            ("oci://ghcr.io/istio/release/charts/base", None),
            ("oci://mirror.example.com/gcr.io/istio-release/charts/base", None),
            ("oci://gcr.io/istio-release/charts-mirror/base", None),
        ] {
            assert_eq!(moved(old).as_deref(), new, "{old}");
        }
    }
}
