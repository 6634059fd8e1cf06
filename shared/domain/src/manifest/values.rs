//! Image tags among a release's values: they win over the chart's version, so they move along with it or stop the edit.

use super::ChangeKind;
use super::flux::{Flux, Lookup, Object};
use super::pins::{Held, Place};
use super::release::Release;
use super::written::Written;
use crate::yaml::{Node, Path};
use crate::{FileContent, Finding, IstioVersion, yaml};

/// Where charts take an image's tag from.
const TAGS: [&[&str]; 5] = [
    &["spec", "values", "global", "tag"],
    &["spec", "values", "tag"],
    &["spec", "values", "pilot", "tag"],
    &["spec", "values", "cni", "tag"],
    &["spec", "values", "ztunnel", "tag"],
];

/// Where charts take a whole image from, when it has a slash in it.
const IMAGES: [&[&str]; 4] = [
    &["spec", "values", "global", "proxy", "image"],
    &["spec", "values", "global", "proxy_init", "image"],
    &["spec", "values", "pilot", "image"],
    &["spec", "values", "image"],
];

/// The image tags of a release. Findings tell those that would keep another image whatever the chart says.
pub(crate) fn tags<'f>(
    flux: &'f Flux<'_>,
    release: &Release<'f>,
    findings: &mut Vec<Finding>,
) -> Vec<Place<'f>> {
    let object = &release.object;
    let mut places = Vec::new();
    for keys in TAGS {
        let spot = match object.look(keys) {
            Lookup::Absent => continue,
            Lookup::Merged(line) => {
                findings.push(keeps(object.place(line, &object.path(keys)), "a merge key brings a tag here"));
                continue;
            }
            Lookup::Found(spot) => spot,
        };
        let subject = || object.place(spot.node.line, &spot.read_at);
        let text = match spot.node.as_str() {
            Some("") => continue,
            Some("~" | "null") if spot.node.data() == Some(serde_json::Value::Null) => continue,
            Some(text) => text,
            None => {
                findings.push(keeps(subject(), "the tag is no scalar"));
                continue;
            }
        };
        let held = match Written::of(text) {
            Written::Exact(version) if spot.node.is_plain_data() => Held::Version(version, ""),
            Written::Variant(version, variant) if spot.node.is_plain_data() => {
                Held::Version(version, variant)
            }
            _ => {
                findings.push(keeps(subject(), &format!("tag `{text}` is not one version")));
                continue;
            }
        };
        places.push(Place {
            object: object.clone(),
            spot,
            kind: ChangeKind::ImageTag,
            component: release.component,
            chart: release.chart.clone(),
            held,
        });
    }
    for keys in IMAGES {
        if let Lookup::Found(spot) = object.look(keys)
            && let Some(image) = spot.node.as_str().filter(|image| image.contains('/'))
        {
            let subject = object.place(spot.node.line, &spot.read_at);
            findings.push(keeps(subject, &format!("the image {image} is taken as it is")));
        }
    }
    elsewhere(flux, object, findings);
    places
}

fn keeps(subject: String, cause: &str) -> Finding {
    Finding::blocking(
        "IMAGE_TAG_OTHER",
        subject,
        format!("{cause}: it would keep its image whatever the chart's version is"),
        "take it out so that the chart's version decides, or set it to the version that runs",
    )
}

/// A tag that is at neither end of the change.
pub(crate) fn keeps_old_image(place: &Place<'_>, version: &IstioVersion, from: &IstioVersion) -> Finding {
    let subject = place.object.place(place.spot.node.line, &place.spot.read_at);
    keeps(subject, &format!("tag {version} is not the version of the charts, {from}"))
}

/// Values of other objects: a tag there wins as well.
fn elsewhere(flux: &Flux<'_>, object: &Object<'_>, findings: &mut Vec<Finding>) {
    for (index, from) in object.list(&["spec", "valuesFrom"]).iter().enumerate() {
        let text = |key: &str| from.get(key).and_then(Node::as_str);
        let (Some(kind), Some(name)) = (text("kind"), text("name")) else { continue };
        let path = object.path(&["spec", "valuesFrom"]).then(crate::yaml::Step::Index(index));
        let subject = object.place(from.line, &path);
        let is_tag = |target: &str| TAGS.iter().any(|keys| keys[2..].join(".") == target);
        if let Some(target) = text("targetPath").filter(|target| is_tag(target)) {
            findings.push(Finding::blocking(
                "IMAGE_TAG_ELSEWHERE",
                subject,
                format!("{kind} {name} sets {target}, which wins over the chart's version"),
                "take the tag out of there so that the chart's version decides",
            ));
            continue;
        }
        let key = text("valuesKey").unwrap_or("values.yaml");
        let objects = flux.objects();
        let visible = objects.iter().find(|other| {
            other.kind() == kind
                && other.name() == name
                && kind == "ConfigMap"
                && other.look(&["data", key]).is_found()
        });
        match visible {
            Some(config_map) => findings.extend(tag_inside(config_map, key)),
            None => findings.push(Finding::warning(
                "VALUES_ELSEWHERE",
                subject,
                format!("{kind} {name} holds more values, which are not among the files of this cluster"),
                "make sure that no image tag is set there: it would keep the old image",
            )),
        }
    }
}

/// A tag in the values that a ConfigMap holds as text.
fn tag_inside(config_map: &Object<'_>, key: &str) -> Option<Finding> {
    let Lookup::Found(spot) = config_map.look(&["data", key]) else { return None };
    let content = spot.node.as_str().unwrap_or_default().to_owned();
    let inner = FileContent { path: config_map.file_path.to_owned(), content };
    let documents = yaml::documents(&inner.content).ok()?;
    let values = Object::all(0, &inner.path, &documents);
    let tag = TAGS.iter().find_map(|keys| {
        let path = Path::of_keys(&keys[2..]);
        let text = values.first()?.text(&keys[2..]).filter(|text| !text.is_empty())?;
        Some(format!("{path} is {text}"))
    })?;
    Some(Finding::blocking(
        "IMAGE_TAG_ELSEWHERE",
        config_map.place(spot.node.line, &spot.path),
        format!("{tag}, which wins over the chart's version"),
        "take the tag out of there so that the chart's version decides",
    ))
}
