//! The edit of a Flux file that touches only the version: find the pinned scalars, replace exactly their bytes, read
//! the result again and prove that nothing else differs.
//!
//! Today it knows exact versions at `spec.chart.spec.version` of HelmReleases of the five Istio charts, keyed on the
//! chart and never on the release's name. Every other way of pinning a version is refused with a finding.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::yaml::{self, Node};
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
    /// Path of the scalar inside the text, `[document].spec.chart.spec.version`.
    path: String,
    /// Bytes of the version itself, without quotes.
    bytes: Range<usize>,
}

/// One changed scalar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file.
    pub file: String,
    /// 1-based line.
    pub line: usize,
    /// The chart.
    pub component: Component,
    /// Before.
    pub from: IstioVersion,
    /// After.
    pub to: IstioVersion,
}

/// A file after the edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new content; equal to the old where nothing had to change.
    pub file: FileContent,
    /// What changed.
    pub changes: Vec<Change>,
}

/// Hosts that publish nothing from 1.31 on (istio.io blog 2026, retirement of the Google-hosted registries).
const RETIRED_HOSTS: [&str; 3] =
    ["istio-release.storage.googleapis.com", "gcr.io/istio-release", "registry.istio.io/release"];

/// Every pinned version of a file, or the findings why it may not be edited. A file without any Istio chart has no
/// pins, which is fine: a folder holds other files too.
pub fn pins(file: &FileContent) -> Result<Vec<Pin>, Vec<Finding>> {
    let documents = yaml::documents(&file.content).map_err(|cause| {
        vec![Finding::blocking("YAML_UNREADABLE", &file.path, cause, "mend the file, then start again")]
    })?;
    let mut pins = Vec::new();
    let mut findings = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        match pin(file, index, document) {
            Ok(pin) => pins.extend(pin),
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() { Ok(pins) } else { Err(findings) }
}

fn pin(file: &FileContent, index: usize, document: &Node) -> Result<Option<Pin>, Box<Finding>> {
    let is_release = document.get("kind").and_then(Node::as_str) == Some("HelmRelease")
        && document
            .get("apiVersion")
            .and_then(Node::as_str)
            .is_some_and(|v| v.starts_with("helm.toolkit.fluxcd.io/"));
    if !is_release {
        return Ok(None);
    }
    let release = document.at(&["metadata", "name"]).and_then(Node::as_str).unwrap_or("(no name)").to_owned();
    let subject = format!("{}: HelmRelease {release}", file.path);
    let refuse = |code: &str, message: String, remedy: &str| {
        Err(Box::new(Finding::blocking(code, &subject, message, remedy)))
    };

    let Some(chart) = document.at(&["spec", "chart", "spec", "chart"]).and_then(Node::as_str) else {
        if document.at(&["spec", "chartRef"]).is_some() {
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
        let tag = document.at(path);
        if tag.is_some_and(|node| node.as_str() != Some("")) {
            return refuse(
                "IMAGE_TAG_PINNED",
                format!("{}: an image tag of its own would keep the old image", path.join(".")),
                "take the tag out so that the chart's version decides",
            );
        }
    }
    let Some(node) = document.at(&["spec", "chart", "spec", "version"]) else {
        return refuse(
            "VERSION_MISSING",
            "spec.chart.spec.version is absent, so Flux installs the newest version by itself".into(),
            "pin the version that runs, then start again",
        );
    };
    let Node::Scalar { value, is_quoted, is_block, bytes, line } = node else {
        return refuse(
            "VERSION_NOT_PLAIN",
            "spec.chart.spec.version is not a plain scalar".into(),
            "write the exact version in place",
        );
    };
    let version = match IstioVersion::parse(value) {
        Ok(version) if !is_block => version,
        Ok(_) => {
            return refuse(
                "VERSION_NOT_PLAIN",
                "spec.chart.spec.version is a block scalar".into(),
                "write the exact version on one line",
            );
        }
        Err(error) => {
            return refuse(
                "VERSION_NOT_EXACT",
                format!("line {line}: spec.chart.spec.version: {error}"),
                "pin the version that runs, then start again",
            );
        }
    };
    // Only the start of a scalar is trusted: the parser's end of a quoted one takes in white space before a comment.
    let start = bytes.start + usize::from(*is_quoted);
    let inner = start..start + value.len();
    if file.content.get(inner.clone()) != Some(value.as_str()) {
        return refuse(
            "VERSION_NOT_PLAIN",
            format!("line {line}: spec.chart.spec.version is written with escapes"),
            "write the exact version in plain characters",
        );
    }
    let path = format!("[{index}].spec.chart.spec.version");
    Ok(Some(Pin { component, release, version, line: *line, path, bytes: inner }))
}

/// Moves every pin of a file from `from` to `to`. A pin already at `to` is left alone; any other version is refused:
/// GUARD changes what it checked and nothing else.
pub fn edit(file: &FileContent, from: &IstioVersion, to: &IstioVersion) -> Result<Edited, Vec<Finding>> {
    let pins = pins(file)?;
    let mut findings = Vec::new();
    for pin in pins.iter().filter(|pin| pin.version != *from && pin.version != *to) {
        findings.push(Finding::blocking(
            "VERSION_DRIFT",
            format!("{}: HelmRelease {}", file.path, pin.release),
            format!(
                "line {}: chart {} is at {}, expected {from}",
                pin.line,
                pin.component.chart(),
                pin.version
            ),
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

    let mut content = file.content.clone();
    // From the back, so that earlier ranges stay true.
    for pin in moving.iter().rev() {
        content.replace_range(pin.bytes.clone(), &to.to_string());
    }
    prove(file, &content, &moving, to).map_err(|cause| {
        vec![Finding::blocking(
            "EDIT_NOT_PROVEN",
            &file.path,
            cause,
            "report this file: GUARD will not write it",
        )]
    })?;
    let changes = moving
        .iter()
        .map(|pin| Change {
            file: file.path.clone(),
            line: pin.line,
            component: pin.component,
            from: from.clone(),
            to: to.clone(),
        })
        .collect();
    Ok(Edited { file: FileContent { path: file.path.clone(), content }, changes })
}

/// Reads the result again: as data, exactly the intended scalars differ and have the new value.
fn prove(file: &FileContent, content: &str, moved: &[&Pin], to: &IstioVersion) -> Result<(), String> {
    let before = yaml::flatten(&yaml::documents(&file.content)?);
    let after = yaml::flatten(&yaml::documents(content)?);
    if before.len() != after.len() {
        return Err("the edit would change the structure".into());
    }
    for (path, value) in &after {
        let is_intended = moved.iter().any(|pin| pin.path == *path);
        let is_right =
            if is_intended { value[2..] == to.to_string() } else { before.get(path) == Some(value) };
        if !is_right {
            return Err(format!("the edit would change {path}"));
        }
    }
    Ok(())
}

/// Unified diff for people, with three lines of context.
pub fn unified_diff(path: &str, before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
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

    fn codes(result: Result<Edited, Vec<Finding>>) -> Vec<String> {
        result.unwrap_err().into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn only_the_versions_bytes_differ() {
        for line in ["      version: 1.29.3", "      version: \"1.29.3\" # pin", "      version: '1.29.3'   "]
        {
            let before = release("istiod", line, "");
            let edited = edit(&before, &v("1.29.3"), &v("1.30.5")).unwrap();
            assert_eq!(edited.file.content, before.content.replace("1.29.3", "1.30.5"));
            assert_eq!(edited.changes[0].line, 11);
        }
    }

    #[test]
    fn a_comment_that_names_the_version_is_left_alone() {
        let before = release("base", "      # was 1.29.3 before\n      version: 1.29.3", "");
        let edited = edit(&before, &v("1.29.3"), &v("1.29.4")).unwrap();
        assert!(edited.file.content.contains("# was 1.29.3 before\n      version: 1.29.4\n"));
    }

    #[test]
    fn several_documents_crlf_and_a_missing_final_newline_survive() {
        let text = "apiVersion: source.toolkit.fluxcd.io/v1\r\nkind: HelmRepository\r\nmetadata: {name: istio}\r\n---\r\napiVersion: helm.toolkit.fluxcd.io/v2\r\nkind: HelmRelease\r\nmetadata:\r\n  name: a\r\nspec:\r\n  chart:\r\n    spec:\r\n      version: 1.29.3\r\n      chart: base";
        let edited = edit(&file(text), &v("1.29.3"), &v("1.30.0")).unwrap();
        assert_eq!(edited.file.content, text.replace("1.29.3", "1.30.0"));
    }

    #[test]
    fn a_file_at_the_target_is_nothing_to_do() {
        let before = release("istiod", "      version: 1.30.5", "");
        let edited = edit(&before, &v("1.29.3"), &v("1.30.5")).unwrap();
        assert_eq!((edited.file, edited.changes), (before, vec![]));
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
        let go = |f: &FileContent| codes(edit(f, &v("1.29.3"), &v("1.30.5")));
        assert_eq!(go(&release("istiod", "      version: 1.29.x", "")), ["VERSION_NOT_EXACT"]);
        assert_eq!(go(&release("istiod", "      version: ${istio}", "")), ["VERSION_NOT_EXACT"]);
        assert_eq!(go(&release("istiod", "      interval: 1h", "")), ["VERSION_MISSING"]);
        assert_eq!(go(&release("istiod", "      version: 1.28.0", "")), ["VERSION_DRIFT"]);
        assert_eq!(go(&release("istiod", "      version: [1.29.3]", "")), ["VERSION_NOT_PLAIN"]);
        assert_eq!(
            go(&release("istiod", "      version: 1.29.3", "  values:\n    global:\n      tag: 1.29.3\n")),
            ["IMAGE_TAG_PINNED"]
        );
        assert_eq!(go(&file("a: [")), ["YAML_UNREADABLE"]);
    }

    #[test]
    fn a_retired_chart_host_is_refused_from_1_31_on() {
        let mut before = release("istiod", "      version: 1.30.5", "");
        before.content +=
            "---\nkind: HelmRepository\nspec:\n  url: https://istio-release.storage.googleapis.com/charts\n";
        assert_eq!(codes(edit(&before, &v("1.30.5"), &v("1.31.1"))), ["CHART_HOST_RETIRED"]);
        assert!(edit(&before, &v("1.30.5"), &v("1.30.6")).is_ok());
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
            let edited = edit(&file(&text), &v("1.29.3"), &v("1.30.12")).unwrap();
            let at = text.find("version: ").unwrap() + 9 + quote.len();
            prop_assert_eq!(&edited.file.content[..at], &text[..at]);
            prop_assert_eq!(&edited.file.content[at + 7..], &text[at + 6..]);
        }

        #[test]
        fn no_text_panics(text in "[ -~\n\té:{}\\[\\]#&*|>-]{0,200}") {
            let _ = edit(&file(&text), &v("1.29.3"), &v("1.30.0"));
        }
    }
}
