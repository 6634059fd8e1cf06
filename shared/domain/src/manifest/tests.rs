//! The edit's rules, one small file each.

mod moves;
mod refusals;

use super::{Aim, Edited, edit};
use crate::{FileContent, Finding, IstioVersion};

fn v(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

fn file(content: &str) -> FileContent {
    FileContent { path: "istio.yaml".into(), content: content.into() }
}

/// A release of a chart with a line for its version and more below `spec`.
fn release(chart: &str, version: &str, more: &str) -> String {
    format!(
        "---\n# head comment\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: &app my-{chart}\nspec:\n  chart:\n    spec:\n      chart: {chart}\n{version}      sourceRef: {{kind: HelmRepository, name: istio}}\n  interval: 5m\n{more}"
    )
}

fn pinned(chart: &str, more: &str) -> String {
    release(chart, "      version: 1.29.3\n", more)
}

fn oci(spec: &str) -> String {
    format!(
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{name: istio-base}}\nspec:\n  url: oci://ghcr.io/istio/release/charts/base\n{spec}"
    )
}

fn by_reference() -> String {
    "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: base}\nspec:\n  chartRef: {kind: OCIRepository, name: istio-base}\n".into()
}

fn go(content: &str, from: &str, to: &str) -> Result<Edited, Vec<Finding>> {
    edit(&[file(content)], &Aim::new(&v(from), &v(to)))
}

/// The file from 1.29.3 to 1.30.5; led back it is what it was.
fn edited(content: &str) -> String {
    let edited = go(content, "1.29.3", "1.30.5").unwrap();
    let back = crate::manifest::revert(&edited.files, &edited.changes).unwrap();
    assert_eq!(back.files, [file(content)]);
    edited.files[0].content.clone()
}

fn told(content: &str) -> Vec<String> {
    let findings = go(content, "1.29.3", "1.30.5").unwrap_err();
    for finding in &findings {
        assert!(finding.subject.starts_with("istio.yaml:") && !finding.remedy.is_empty(), "{finding}");
    }
    findings
        .into_iter()
        .map(|finding| format!("{} {} {}", finding.code, finding.subject, finding.message))
        .collect()
}

fn refusal(content: &str) -> String {
    let told = told(content);
    assert_eq!(told.len(), 1, "{told:#?}");
    told.into_iter().next().unwrap()
}

fn assert_starts(text: &str, start: &str) {
    assert!(text.starts_with(start), "{text}");
}

const OLD: &str = "https://istio-release.storage.googleapis.com/charts";
const NEW: &str = "https://blob.istio.io/istio-release/charts";

fn repository(url: &str) -> String {
    format!(
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: istio}}\nspec: {{url: {url}}}\n"
    )
}
