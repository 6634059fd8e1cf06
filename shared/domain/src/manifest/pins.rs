//! Where a file pins the version of an Istio chart.
//!
//! Today it knows exact versions at `spec.chart.spec.version` of HelmReleases of the five Istio charts, keyed on the
//! chart and never on the release's name. Every other way of pinning a version is refused with a finding.

use serde_json::Value;

use super::splice::{Replacement, splice};
use super::{Change, ChangeKind, Edited, Object, Scalar, place, read};
use crate::yaml::{self, Content, Node, Path};
use crate::{Component, FileContent, Finding, IstioVersion};

/// A version as one HelmRelease pins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The chart it is about.
    pub component: Component,
    /// The release's name.
    pub release: String,
    /// The version.
    pub version: IstioVersion,
    /// 1-based line.
    pub line: usize,
    object: String,
    document: usize,
    path: Path,
}

/// Hosts that publish nothing from 1.31 on (istio.io blog 2026, retirement of the Google-hosted registries).
const RETIRED_HOSTS: [&str; 3] =
    ["istio-release.storage.googleapis.com", "gcr.io/istio-release", "registry.istio.io/release"];

/// Every pinned version of a file, or the findings why it may not be edited. A file without any Istio chart has no
/// pins, which is fine: a folder holds other files too.
pub fn pins(file: &FileContent) -> Result<Vec<Pin>, Vec<Finding>> {
    let documents = read(file).map_err(|finding| vec![finding])?;
    pins_of(file, &documents)
}

fn pins_of(file: &FileContent, documents: &[Node]) -> Result<Vec<Pin>, Vec<Finding>> {
    let mut pins = Vec::new();
    let mut findings = Vec::new();
    for object in Object::all(documents) {
        match pin(file, &documents[object.document], &object) {
            Ok(pin) => pins.extend(pin),
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() { Ok(pins) } else { Err(findings) }
}

fn pin(file: &FileContent, document: &Node, object: &Object<'_>) -> Result<Option<Pin>, Box<Finding>> {
    if object.kind() != "HelmRelease" || !object.is_of_group("helm.toolkit.fluxcd.io") {
        return Ok(None);
    }
    let release = object.name().to_owned();
    let subject = format!("{}: HelmRelease {release}", file.path);
    let refuse = |code: &str, message: String, remedy: &str| {
        Err(Box::new(Finding::blocking(code, &subject, message, remedy)))
    };

    let Some(chart) = object.node.at(&["spec", "chart", "spec", "chart"]).and_then(Node::as_str) else {
        if object.node.at(&["spec", "chartRef"]).is_some() {
            // Whether it is an Istio chart at all is written in another object; guessing by name is not an option.
            let names_istio = release.contains("istio") || release.contains("ztunnel");
            return if names_istio {
                refuse(
                    "VERSION_ELSEWHERE",
                    "spec.chartRef: the version lives in another object".into(),
                    "GUARD does not edit OCIRepository references yet; use spec.chart with an exact version",
                )
            } else {
                Ok(None)
            };
        }
        return Ok(None);
    };
    let Some(component) = Component::of_chart(chart) else { return Ok(None) };

    for path in [
        &["spec", "values", "global", "tag"][..],
        &["spec", "values", "pilot", "tag"],
        &["spec", "values", "tag"],
    ] {
        let tag = object.node.at(path);
        if tag.is_some_and(|node| node.as_str() != Some("")) {
            return refuse(
                "IMAGE_TAG_PINNED",
                format!("{}: an image tag of its own would keep the old image", path.join(".")),
                "take the tag out so that the chart's version decides",
            );
        }
    }
    let Some(node) = object.node.at(&["spec", "chart", "spec", "version"]) else {
        return refuse(
            "VERSION_MISSING",
            "spec.chart.spec.version is absent, so Flux installs the newest version by itself".into(),
            "pin the version that runs, then start again",
        );
    };
    let path = object.path(&["spec", "chart", "spec", "version"]);
    let line = node.line;
    let Content::Scalar { value, .. } = &node.content else {
        return refuse(
            "VERSION_NOT_PLAIN",
            "spec.chart.spec.version is not a plain scalar".into(),
            "write the exact version in place",
        );
    };
    let version = match IstioVersion::parse(value) {
        Ok(version) => version,
        Err(error) => {
            return refuse(
                "VERSION_NOT_EXACT",
                format!("line {line}: spec.chart.spec.version: {error}"),
                "pin the version that runs, then start again",
            );
        }
    };
    if let Some((reader, line)) = yaml::readers(document, &path).first() {
        return refuse(
            "ANCHOR_SHARED",
            format!("line {line}: {reader} reads the version by an alias and would move along"),
            "write both values out",
        );
    }
    let own = node.bytes(&file.content).and_then(|bytes| file.content.get(bytes));
    if own.is_none_or(|own| !own.contains(value.as_str())) {
        return refuse(
            "VERSION_NOT_PLAIN",
            format!("line {line}: spec.chart.spec.version is a block scalar, or written with escapes"),
            "write the exact version on one line, in plain characters",
        );
    }
    let (object, document) = (object.identity(), object.document);
    Ok(Some(Pin { component, release, version, line, object, document, path }))
}

/// Moves every pin of the files from `from` to `to`. A pin already at `to` is left alone; any other version is refused:
/// GUARD changes what it checked and nothing else.
pub fn edit(files: &[FileContent], from: &IstioVersion, to: &IstioVersion) -> Result<Edited, Vec<Finding>> {
    let mut edited = Edited::default();
    let mut findings = Vec::new();
    for file in files {
        match edit_one(file, from, to) {
            Ok((_, changes)) if changes.is_empty() => {}
            Ok((file, changes)) => {
                edited.files.push(file);
                edited.changes.extend(changes);
            }
            Err(refusals) => findings.extend(refusals),
        }
    }
    if findings.is_empty() { Ok(edited) } else { Err(findings) }
}

fn edit_one(
    file: &FileContent,
    from: &IstioVersion,
    to: &IstioVersion,
) -> Result<(FileContent, Vec<Change>), Vec<Finding>> {
    let documents = read(file).map_err(|finding| vec![finding])?;
    let pins = pins_of(file, &documents)?;
    let mut findings = Vec::new();
    for pin in pins.iter().filter(|pin| pin.version != *from && pin.version != *to) {
        findings.push(Finding::blocking(
            "VERSION_DRIFT",
            place(&file.path, pin.line, &pin.path),
            format!("{}: chart {} is at {}, expected {from}", pin.object, pin.component.chart(), pin.version),
            "bring all components to the version in the registry, or correct the registry, then start again",
        ));
    }
    let moving: Vec<&Pin> = pins.iter().filter(|pin| pin.version == *from && pin.version != *to).collect();
    if !moving.is_empty()
        && to.minor() >= 31
        && let Some(host) = RETIRED_HOSTS.iter().find(|host| file.content.contains(**host))
    {
        findings.push(Finding::blocking(
            "CHART_HOST_RETIRED",
            &file.path,
            format!("{host} publishes nothing from 1.31 on"),
            "move the repository to https://blob.istio.io/istio-release/charts or oci://ghcr.io/istio/release/charts first",
        ));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut replacements = Vec::new();
    let mut changes = Vec::new();
    for pin in moving {
        let node = documents.get(pin.document).and_then(|node| node.at_path(&pin.path));
        let Some(old) = node.and_then(|node| node.bytes(&file.content)) else { continue };
        let old = &file.content[old];
        let new = old.replace(&from.to_string(), &to.to_string());
        replacements.push(Replacement {
            document: pin.document,
            path: pin.path.clone(),
            value: Value::from(to.to_string()),
            text: new.clone(),
        });
        changes.push(Change {
            file: file.path.clone(),
            document: pin.document,
            object: pin.object.clone(),
            path: pin.path.to_string(),
            line: pin.line,
            component: Some(pin.component),
            kind: ChangeKind::ChartVersion,
            from: Scalar { value: Value::from(from.to_string()), text: old.to_owned() },
            to: Scalar { value: Value::from(to.to_string()), text: new },
            also: Vec::new(),
        });
    }
    let edited = splice(file, &documents, &replacements).map_err(|finding| vec![finding])?;
    Ok((edited, changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn file(content: &str) -> FileContent {
        FileContent { path: "istio.yaml".into(), content: content.into() }
    }

    fn release(chart: &str, version_line: &str, rest: &str) -> FileContent {
        file(&format!(
            "---\n# head comment\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: &app anything\nspec:\n  chart:\n    spec:\n      chart: {chart}\n{version_line}\n  interval: 5m\n{rest}"
        ))
    }

    fn go(file: &FileContent, from: &str, to: &str) -> Result<Edited, Vec<Finding>> {
        edit(std::slice::from_ref(file), &v(from), &v(to))
    }

    fn codes(result: Result<Edited, Vec<Finding>>) -> Vec<String> {
        result.unwrap_err().into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn only_the_versions_bytes_differ() {
        for line in ["      version: 1.29.3", "      version: \"1.29.3\" # pin", "      version: '1.29.3'   "]
        {
            let before = release("istiod", line, "");
            let edited = go(&before, "1.29.3", "1.30.5").unwrap();
            assert_eq!(edited.files[0].content, before.content.replace("1.29.3", "1.30.5"));
            assert_eq!(edited.changes[0].line, 11);
        }
    }

    #[test]
    fn a_comment_that_names_the_version_is_left_alone() {
        let before = release("base", "      # was 1.29.3 before\n      version: 1.29.3", "");
        let edited = go(&before, "1.29.3", "1.29.4").unwrap();
        assert!(edited.files[0].content.contains("# was 1.29.3 before\n      version: 1.29.4\n"));
    }

    #[test]
    fn several_documents_crlf_and_a_missing_final_newline_survive() {
        let text = "apiVersion: source.toolkit.fluxcd.io/v1\r\nkind: HelmRepository\r\nmetadata: {name: istio}\r\n---\r\napiVersion: helm.toolkit.fluxcd.io/v2\r\nkind: HelmRelease\r\nmetadata:\r\n  name: a\r\nspec:\r\n  chart:\r\n    spec:\r\n      version: 1.29.3\r\n      chart: base";
        let edited = go(&file(text), "1.29.3", "1.30.0").unwrap();
        assert_eq!(edited.files[0].content, text.replace("1.29.3", "1.30.0"));
    }

    #[test]
    fn a_file_at_the_target_is_nothing_to_do() {
        let before = release("istiod", "      version: 1.30.5", "");
        let edited = go(&before, "1.29.3", "1.30.5").unwrap();
        assert_eq!(edited, Edited::default());
    }

    #[test]
    fn foreign_charts_are_not_pins() {
        assert_eq!(pins(&release("istio-operator", "      version: 2.0.5", "")).unwrap(), vec![]);
        assert_eq!(
            pins(&file("kind: ConfigMap\napiVersion: v1\ndata: {version: 1.29.3}\n")).unwrap(),
            vec![]
        );
    }

    #[test]
    fn every_other_way_of_pinning_is_refused_by_name() {
        let refused = |f: &FileContent| codes(go(f, "1.29.3", "1.30.5"));
        assert_eq!(refused(&release("istiod", "      version: 1.29.x", "")), ["VERSION_NOT_EXACT"]);
        assert_eq!(refused(&release("istiod", "      version: ${istio}", "")), ["VERSION_NOT_EXACT"]);
        assert_eq!(refused(&release("istiod", "      interval: 1h", "")), ["VERSION_MISSING"]);
        assert_eq!(refused(&release("istiod", "      version: 1.28.0", "")), ["VERSION_DRIFT"]);
        assert_eq!(refused(&release("istiod", "      version: [1.29.3]", "")), ["VERSION_NOT_PLAIN"]);
        assert_eq!(
            refused(&release(
                "istiod",
                "      version: 1.29.3",
                "  values:\n    global:\n      tag: 1.29.3\n"
            )),
            ["IMAGE_TAG_PINNED"]
        );
        assert_eq!(refused(&file("a: [")), ["YAML_UNREADABLE"]);
    }

    #[test]
    fn a_retired_chart_host_is_refused_from_1_31_on() {
        let mut before = release("istiod", "      version: 1.30.5", "");
        before.content +=
            "---\nkind: HelmRepository\nspec:\n  url: https://istio-release.storage.googleapis.com/charts\n";
        assert_eq!(codes(go(&before, "1.30.5", "1.31.1")), ["CHART_HOST_RETIRED"]);
        assert!(go(&before, "1.30.5", "1.30.6").is_ok());
    }

    proptest! {
        #[test]
        fn the_rest_of_the_file_is_untouched(
            head in "(# [ -~é✓]{0,30}\n){0,3}",
            quote in prop_oneof![Just(""), Just("\""), Just("'")],
            tail in "( {1,3}# [ -~]{0,20})?",
            // Never `tag`, which pins an image and is refused.
            values in "x[a-z]{1,8}",
        ) {
            let text = format!("{head}apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: x\nspec:\n  chart:\n    spec:\n      chart: istiod\n      version: {quote}1.29.3{quote}{tail}\n  values:\n    {values}: 1.29.3\n");
            let edited = go(&file(&text), "1.29.3", "1.30.12").unwrap();
            let at = text.find("version: ").unwrap() + 9 + quote.len();
            prop_assert_eq!(&edited.files[0].content[..at], &text[..at]);
            prop_assert_eq!(&edited.files[0].content[at + 7..], &text[at + 6..]);
        }

        #[test]
        fn no_text_panics(text in "[ -~\n\té:{}\\[\\]#&*|>-]{0,200}") {
            let _ = go(&file(&text), "1.29.3", "1.30.0");
        }
    }
}
