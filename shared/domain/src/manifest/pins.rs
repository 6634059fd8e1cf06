//! Every place where a cluster's files pin the version of Istio, and why other places may not be edited.

use super::flux::{Flux, Lookup, Object, Spot};
use super::release::{Release, is_release, releases};
use super::substitution;
use super::written::Written;
use super::{ChangeKind, Rules, values};
use crate::{Component, FileContent, Finding, IstioVersion};

/// A version as a file pins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The chart it is about; none for the umbrella of several.
    pub component: Option<Component>,
    /// The chart's name.
    pub chart: String,
    /// The name of the release, or of the repository that holds the version.
    pub release: String,
    /// The version.
    pub version: IstioVersion,
    /// The file.
    pub file: String,
    /// 1-based line.
    pub line: usize,
}

/// A place that holds a version, or should.
#[derive(Debug, Clone)]
pub(crate) struct Place<'f> {
    /// The object.
    pub(crate) object: Object<'f>,
    /// The scalar; the chart's name where the version is missing and is to be put after it.
    pub(crate) spot: Spot<'f>,
    /// What it means.
    pub(crate) kind: ChangeKind,
    /// The chart it is about.
    pub(crate) component: Option<Component>,
    /// The chart's name.
    pub(crate) chart: String,
    /// What is there.
    pub(crate) held: Held,
}

/// What a place holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    /// One version, and the variant of an image that follows it.
    Version(IstioVersion, &'static str),
    /// A range, to be pinned.
    Range,
    /// Nothing, to be pinned.
    Nothing,
}

/// Every version that charts are pinned to, or the findings why the files may not be edited. Files without any Istio chart
/// have no pins.
pub fn pins(files: &[FileContent]) -> Result<Vec<Pin>, Vec<Finding>> {
    let flux = Flux::read(files)?;
    let mut findings = Vec::new();
    let rules = Rules::default();
    let releases = releases(&flux, &rules, &mut findings);
    let places = places(&flux, &releases, &rules, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let charts = places.into_iter().filter(|place| place.kind != ChangeKind::ImageTag);
    let pin = |place: Place<'_>| match place.held {
        Held::Version(version, _) => Some(Pin {
            component: place.component,
            chart: place.chart,
            release: place.object.name().to_owned(),
            version,
            file: place.object.file_path.to_owned(),
            line: place.spot.node.line,
        }),
        Held::Range | Held::Nothing => None,
    };
    Ok(charts.filter_map(pin).collect())
}

/// Every place of every release.
pub(crate) fn places<'f>(
    flux: &'f Flux<'_>,
    releases: &[Release<'f>],
    rules: &Rules,
    findings: &mut Vec<Finding>,
) -> Vec<Place<'f>> {
    let mut found: Vec<Place<'f>> = Vec::new();
    for release in releases {
        match version(flux, release, rules) {
            // One repository may serve several releases; its version is one place.
            Ok(Some(place))
                if found.iter().any(|known| {
                    known.object.is_same(&place.object) && known.spot.path == place.spot.path
                }) => {}
            Ok(place) => found.extend(place),
            Err(finding) => findings.push(*finding),
        }
        if is_release(&release.object) {
            found.extend(values::tags(flux, release, findings));
        }
    }
    found
}

/// The place of a release's version.
fn version<'f>(
    flux: &'f Flux<'_>,
    release: &Release<'f>,
    rules: &Rules,
) -> Result<Option<Place<'f>>, Box<Finding>> {
    let owner = &release.version.owner;
    let is_oci = release.version.kind == ChangeKind::OciTag;
    if is_oci {
        oci_precedence(owner)?;
    }
    let place = |spot: &Spot<'f>, held| Place {
        object: owner.clone(),
        spot: spot.clone(),
        kind: release.version.kind,
        component: release.component,
        chart: release.chart.clone(),
        held,
    };
    let path = owner.path(release.version.keys);
    let refuse = |line: usize, code: &str, message: String, remedy: &str| {
        Err(Box::new(Finding::blocking(code, owner.place(line, &path), message, remedy)))
    };
    let spot = match owner.look(release.version.keys) {
        Lookup::Found(spot) => spot,
        Lookup::Merged(line) => {
            return refuse(
                line,
                "VERSION_MERGED",
                "the version comes through a merge key, which other places may share".into(),
                "write the version out where the chart is",
            );
        }
        Lookup::Absent if release.is_patch() => return Ok(None),
        Lookup::Absent => {
            let mut beside = release.version.keys.to_vec();
            beside.pop();
            beside.push("chart");
            return match owner.look(&beside) {
                Lookup::Found(chart) if rules.pin_ranges && !is_oci => Ok(Some(place(&chart, Held::Nothing))),
                _ => refuse(
                    owner.node.line,
                    "VERSION_MISSING",
                    if is_oci {
                        "no tag, so Flux takes the one called latest".into()
                    } else {
                        "no version, so Flux installs the newest by itself".into()
                    },
                    PIN,
                ),
            };
        }
    };
    let line = spot.node.line;
    let Some(text) = spot.node.as_str().filter(|_| spot.node.is_plain_data()) else {
        return refuse(
            line,
            "VERSION_NOT_PLAIN",
            "the version is no scalar on one line".into(),
            "write the exact version on one line",
        );
    };
    match Written::of(text) {
        Written::Exact(version) => Ok(Some(place(&spot, Held::Version(version, "")))),
        Written::Range if rules.pin_ranges && !is_oci => Ok(Some(place(&spot, Held::Range))),
        Written::Range => refuse(
            line,
            "VERSION_RANGE",
            format!("`{text}` is a range, so Flux installs the newest version in it by itself"),
            PIN,
        ),
        Written::Variable(name) => refuse(
            line,
            "VERSION_SUBSTITUTED",
            format!("`{text}` is substituted by Flux; {}", substitution::home(flux, &name)),
            "write the exact version here, or change it there by hand",
        ),
        Written::Variant(..) | Written::Other(_) => refuse(
            line,
            "VERSION_NOT_EXACT",
            format!("`{text}` is not one version of Istio"),
            "write the version that runs, three numbers and no `v`, then start again",
        ),
    }
}

const PIN: &str = "write the version that runs, or let GUARD do so with policy.pin_ranges (guard diff --pin-ranges VERSION)";

/// Flux takes digest before semver before tag.
fn oci_precedence(owner: &Object<'_>) -> Result<(), Box<Finding>> {
    for (key, code, what) in [
        ("digest", "OCI_DIGEST", "a digest decides which chart is pulled, not the tag"),
        (
            "semver",
            "OCI_SEMVER",
            "a range decides which chart is pulled, so Flux takes the newest in it by itself",
        ),
        ("semverFilter", "OCI_SEMVER", "a filter decides which chart is pulled"),
    ] {
        if let Lookup::Found(spot) = owner.look(&["spec", "ref", key]) {
            return Err(Box::new(Finding::blocking(
                code,
                owner.place(spot.node.line, &spot.path),
                what,
                "name the version that runs in spec.ref.tag alone, then start again",
            )));
        }
    }
    Ok(())
}
