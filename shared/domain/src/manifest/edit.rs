//! The edit: every pin of a cluster's files moves to one version, and nothing else does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::flux::{Flux, Object, Spot};
use super::pins::{Held, Place, places};
use super::release::{Release, releases};
use super::splice::{Replacement, splice};
use super::{Change, ChangeKind, Edited, Scalar, elsewhere, hosts, settings, values};
use crate::yaml::{self, Content, Path, Step};
use crate::{Component, FileContent, Finding, IstioVersion, SpecUpdate, upgrade_path};

/// How image-automation-controller knows the values that are its own: a comment behind them.
const MARKER: &str = r#"{"$imagepolicy""#;

/// What an edit is to reach, and by which rules.
#[derive(Debug, Clone)]
pub struct Aim<'a> {
    /// The version that runs. `None`: whatever one version the files hold.
    pub from: Option<&'a IstioVersion>,
    /// The version wanted.
    pub to: &'a IstioVersion,
    /// Rules of the fleet.
    pub rules: Rules,
    /// The way from one version to the other must be allowed: up, by one minor at most, to a released version. Whoever
    /// checked it already leaves this out.
    pub check_path: bool,
    /// Settings to change with it.
    pub settings: &'a [SpecUpdate],
}

/// Rules of a fleet for edits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ranges and absent versions are pinned; needs [`Aim::from`], which is what the way back pins them to.
    pub pin_ranges: bool,
    /// The umbrella chart `ambient` may be edited.
    pub allow_umbrella: bool,
    /// A repository that is not among the files has moved to the new hosts already: a warning instead of a refusal.
    pub trust_repositories_elsewhere: bool,
}

impl<'a> Aim<'a> {
    /// From one version to another, by the strictest rules.
    pub fn new(from: &'a IstioVersion, to: &'a IstioVersion) -> Self {
        Self { from: Some(from), to, rules: Rules::default(), check_path: false, settings: &[] }
    }
}

/// A scalar that is to hold another value.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'f> {
    object: Object<'f>,
    spot: Spot<'f>,
    kind: ChangeKind,
    component: Option<Component>,
    value: Value,
    /// What the way back writes, where that is not what is there now.
    back: Option<Value>,
    /// The value goes under a new key beside the scalar.
    is_new: bool,
}

impl<'f> Wish<'f> {
    pub(crate) fn new(
        object: &Object<'f>,
        spot: Spot<'f>,
        kind: ChangeKind,
        component: Option<Component>,
        value: Value,
    ) -> Self {
        Self { object: object.clone(), spot, kind, component, value, back: None, is_new: false }
    }

    fn place(&self) -> String {
        self.object.place(self.spot.node.line, &self.spot.read_at)
    }
}

/// Moves every pin of a cluster's files, and the settings with it. A pin at the target is left alone; any other version
/// than the one that runs is refused: GUARD changes what it checked and nothing else. From 1.31 on chart and image hosts
/// that do not publish it move too. All or nothing: with one finding no file is changed.
pub fn edit(files: &[FileContent], aim: &Aim<'_>) -> Result<Edited, Vec<Finding>> {
    let flux = Flux::read(files)?;
    let mut findings = Vec::new();
    let releases = releases(&flux, &aim.rules, &mut findings);
    let places = places(&flux, &releases, &aim.rules, &mut findings);
    findings.extend(elsewhere::refusals(&flux, &releases));
    if places.is_empty() && findings.is_empty() {
        findings.push(elsewhere::nothing(&flux));
    }
    let mut wishes = versions(&places, aim, &mut findings);
    let is_moving = !wishes.is_empty();
    wishes.extend(settings::wishes(&releases, aim, &mut findings));
    if hosts::needs_new_hosts(aim.to) {
        wishes.extend(hosts::moves(&flux, &releases));
        if is_moving {
            findings.extend(hosts::elsewhere(&flux, &releases, !aim.rules.trust_repositories_elsewhere));
        }
    }
    finish(&flux, wishes, findings)
}

/// Moves chart and image hosts that go away, and changes no version.
pub fn move_repositories(files: &[FileContent]) -> Result<Edited, Vec<Finding>> {
    let flux = Flux::read(files)?;
    // Why a version could not be edited is no matter here.
    let releases = releases(&flux, &Rules { allow_umbrella: true, ..Rules::default() }, &mut Vec::new());
    let wishes = hosts::moves(&flux, &releases);
    let mut findings = hosts::not_there(&releases);
    findings.extend(hosts::elsewhere(&flux, &releases, wishes.is_empty()));
    findings.extend(hosts::default_hub(&releases));
    finish(&flux, wishes, findings)
}

/// The pins that are to move.
fn versions<'f>(places: &[Place<'f>], aim: &Aim<'_>, findings: &mut Vec<Finding>) -> Vec<Wish<'f>> {
    let from = match aim.from {
        Some(from) => from.clone(),
        None => match the_version(places, aim.to) {
            Ok(Some(from)) => from,
            // Nothing but the target: then a tag that is elsewhere is still wrong.
            Ok(None) => aim.to.clone(),
            Err(finding) => {
                findings.push(*finding);
                return Vec::new();
            }
        },
    };
    if aim.check_path
        && let Err(refusal) = upgrade_path::step(&from, aim.to, false)
    {
        findings.push(Finding::blocking(
            "PATH_NOT_ALLOWED",
            places.first().map_or_else(String::new, |place| place.object.whole()),
            refusal.to_string(),
            "choose another target (guard diff --any-path leaves this rule out)",
        ));
        return Vec::new();
    }
    let mut wishes = Vec::new();
    for place in places {
        let wish = |variant: &str| {
            let value = Value::from(format!("{}{variant}", aim.to));
            Wish::new(&place.object, place.spot.clone(), place.kind, place.component, value)
        };
        match &place.held {
            Held::Version(version, _) if version == aim.to => {}
            Held::Version(version, variant) if *version == from => wishes.push(wish(variant)),
            Held::Version(version, _) if place.kind == ChangeKind::ImageTag => {
                findings.push(values::keeps_old_image(place, version, &from));
            }
            Held::Version(version, _) => findings.push(drift(place, version, &from)),
            Held::Range | Held::Nothing => wishes.push(Wish {
                back: Some(Value::from(from.to_string())),
                is_new: place.held == Held::Nothing,
                ..wish("")
            }),
        }
    }
    wishes
}

/// The one version, other than the target, that charts are at.
fn the_version(places: &[Place<'_>], to: &IstioVersion) -> Result<Option<IstioVersion>, Box<Finding>> {
    let mut first: Option<(&Place<'_>, &IstioVersion)> = None;
    for place in places.iter().filter(|place| place.kind != ChangeKind::ImageTag) {
        let Held::Version(version, _) = &place.held else { continue };
        match first {
            _ if version == to => {}
            None => first = Some((place, version)),
            Some((_, known)) if known == version => {}
            Some((_, known)) => return Err(Box::new(drift(place, version, known))),
        }
    }
    Ok(first.map(|(_, version)| version.clone()))
}

fn drift(place: &Place<'_>, version: &IstioVersion, from: &IstioVersion) -> Finding {
    Finding::blocking(
        "VERSION_DRIFT",
        place.object.place(place.spot.node.line, &place.spot.read_at),
        format!("chart {} is at {version}, expected {from}", place.chart),
        "bring all components to the version in the registry, or correct the registry, then start again",
    )
}

/// Wishes as an edit, if nothing speaks against it.
fn finish(
    flux: &Flux<'_>,
    wishes: Vec<Wish<'_>>,
    mut findings: Vec<Finding>,
) -> Result<Edited, Vec<Finding>> {
    let mut by_scalar: BTreeMap<(usize, usize, Path, bool), Vec<Wish<'_>>> = BTreeMap::new();
    for wish in wishes {
        let key = (wish.object.file, wish.object.document, wish.spot.path.clone(), wish.is_new);
        by_scalar.entry(key).or_default().push(wish);
    }
    let mut edited = Edited::default();
    for (index, one) in flux.files.iter().enumerate() {
        let mut work: Vec<(Replacement, Change)> = Vec::new();
        for (_, wishes) in by_scalar.iter().filter(|((file, ..), _)| *file == index) {
            match change(one.file, wishes) {
                Ok(Some(done)) => work.push(done),
                Ok(None) => {}
                Err(finding) => findings.push(*finding),
            }
        }
        if work.is_empty() {
            continue;
        }
        work.sort_by_key(|(_, change)| (change.document, change.line));
        let (replacements, changes): (Vec<_>, Vec<_>) = work.into_iter().unzip();
        findings.extend(changes.iter().filter_map(|change| automated(one.file, change)));
        match splice(one.file, &one.documents, &replacements) {
            Ok(file) => edited.files.push(file),
            Err(finding) => findings.push(finding),
        }
        edited.changes.extend(changes);
    }
    if findings.iter().any(|finding| finding.severity > crate::Severity::Warning) {
        return Err(findings);
    }
    edited.notes = findings;
    Ok(edited)
}

/// A value that Flux's image automation writes too: it may move on before, or back after, what a person merges.
fn automated(file: &FileContent, change: &Change) -> Option<Finding> {
    let line = file.content.lines().nth(change.line.checked_sub(1)?)?;
    line.contains(MARKER).then(|| {
        Finding::warning(
            "IMAGE_POLICY_MARKER",
            format!("{}:{}: {} {}", change.file, change.line, change.object, change.path),
            "Flux's image automation writes this value too, by the marker behind it",
            "see that its ImagePolicy allows the new version and no later one, or suspend the ImageUpdateAutomation",
        )
    })
}

/// All wishes about one scalar as one change. `None` when it is as wished already.
fn change(file: &FileContent, wishes: &[Wish<'_>]) -> Result<Option<(Replacement, Change)>, Box<Finding>> {
    let Some(first) = wishes.first() else { return Ok(None) };
    let refuse = |code: &str, subject: String, message: String, remedy: &str| {
        Err(Box::new(Finding::blocking(code, subject, message, remedy)))
    };
    if let Some(other) = wishes.iter().find(|wish| wish.value != first.value) {
        return refuse(
            "WISHES_DIFFER",
            other.place(),
            format!("it should become both {} and {}", first.value, other.value),
            "look at what names this value twice",
        );
    }
    let root = first.object.root;
    let is_wished = |path: &Path| wishes.iter().any(|wish| wish.spot.read_at == *path);
    let mut readers = yaml::readers(root, &first.spot.path);
    readers.push((first.spot.path.clone(), first.spot.node.line));
    if let Some((path, line)) = readers.iter().find(|(path, _)| first.is_new || !is_wished(path))
        && (readers.len() > 1 || !first.is_new)
    {
        return refuse(
            "ANCHOR_SHARED",
            first.place(),
            format!("line {line}: {path} has the same value by an anchor and would move along"),
            "write both values out",
        );
    }
    let Content::Scalar { style, .. } = &first.spot.node.content else { return Ok(None) };
    let not_there = |message: &str| {
        refuse("VALUE_NOT_ON_ONE_LINE", first.place(), message.into(), "write the value out on one line")
    };
    let Some(bytes) = first.spot.node.bytes(&file.content) else {
        return not_there("it is no scalar on one line, so its bytes cannot be replaced");
    };
    let Some(text) = yaml::written(&first.value, if first.is_new { yaml::Style::Plain } else { *style })
    else {
        return not_there("its quotes or its block cannot carry the new value");
    };
    let old = Scalar {
        value: first.spot.node.data().unwrap_or_default(),
        text: file.content.get(bytes).unwrap_or_default().to_owned(),
    };
    let old = if first.is_new { Scalar { value: Value::Null, text: String::new() } } else { old };
    if old.value == first.value {
        return Ok(None);
    }
    let path = if first.is_new { beside(&first.spot.path, "version") } else { first.spot.path.clone() };
    let mut also: Vec<String> = wishes
        .iter()
        .filter(|wish| wish.spot.read_at != first.spot.path)
        .map(|wish| wish.spot.read_at.to_string())
        .collect();
    also.dedup();
    let back = first.back.as_ref().and_then(|value| {
        let text = yaml::written(value, if first.is_new { yaml::Style::Plain } else { *style })?;
        Some(Scalar { value: value.clone(), text })
    });
    let object = wishes.iter().find(|wish| wish.spot.read_at == first.spot.path).unwrap_or(first);
    let change = Change {
        file: file.path.clone(),
        document: first.object.document,
        object: object.object.identity(),
        path: path.to_string(),
        line: first.spot.node.line,
        component: object.component,
        kind: object.kind,
        from: old,
        to: Scalar { value: first.value.clone(), text: text.clone() },
        back,
        also: if first.is_new { Vec::new() } else { also },
    };
    let replacement = Replacement {
        document: first.object.document,
        path,
        value: first.value.clone(),
        text,
        after: first.is_new.then(|| first.spot.path.clone()),
    };
    Ok(Some((replacement, change)))
}

fn beside(path: &Path, key: &str) -> Path {
    let mut steps = path.0.clone();
    steps.pop();
    steps.push(Step::Key(key.to_owned()));
    Path(steps)
}

/// The releases of the files, for what else is asked of them.
pub(crate) fn of_charts<'r, 'f>(
    releases: &'r [Release<'f>],
    chart: Option<Component>,
) -> impl Iterator<Item = &'r Release<'f>> {
    releases.iter().filter(move |release| chart.is_none() || release.component == chart)
}
