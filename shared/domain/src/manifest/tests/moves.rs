//! What moves, and how it comes back.

use serde_json::json;

use super::super::{Aim, Change, ChangeKind, Edited, Rules, edit, move_repositories};
use super::*;

#[test]
fn only_the_versions_bytes_differ() {
    for line in [
        "1.29.3",
        "\"1.29.3\" # pin",
        "'1.29.3'   ",
        "   1.29.3",
        "&x 1.29.3",
        "!!str 1.29.3",
        "\"1.29.\\x33\"",
    ] {
        let before = release("istiod", &format!("      # was 1.29.3\n      version: {line}\n"), "");
        let new = line.replace("1.29.3", "1.30.5").replace("1.29.\\x33", "1.30.5");
        assert_eq!(
            edited(&before),
            before.replace(&format!("version: {line}"), &format!("version: {new}")),
            "{line}"
        );
    }
}

#[test]
fn several_documents_crlf_bom_and_a_missing_final_newline_survive() {
    let text = format!("{}{}", pinned("base", ""), pinned("istiod", "")).replace('\n', "\r\n");
    let text = format!("\u{feff}{}", text.trim_end()).replacen("\r\n", "\n", 3);
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
}

#[test]
fn a_list_of_objects_is_as_good_as_documents() {
    let item = "- apiVersion: helm.toolkit.fluxcd.io/v2\n  kind: HelmRelease\n  metadata: {name: a}\n  spec: {chart: {spec: {chart: base, version: 1.29.3}}}\n";
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{item}");
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
    assert_eq!(go(&text, "1.29.3", "1.30.5").unwrap().changes[0].path, "items[0].spec.chart.spec.version");
}

#[test]
fn a_file_at_the_target_is_nothing_to_do() {
    assert_eq!(go(&pinned("istiod", ""), "1.28.0", "1.29.3"), Ok(Edited::default()));
}

#[test]
fn image_tags_that_hold_the_old_version_move_along() {
    let values = "  values:\n    global: {tag: 1.29.3-distroless, hub: mirror.example.com/istio}\n    tag: '1.29.3'\n    pilot:\n      tag: \"\"\n";
    let before = pinned("istiod", values);
    assert_eq!(edited(&before), before.replace("1.29.3", "1.30.5"));
    let done = go(&before, "1.29.3", "1.30.5").unwrap();
    let kinds: Vec<ChangeKind> = done.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::ChartVersion, ChangeKind::ImageTag, ChangeKind::ImageTag]);
    assert_eq!(done.changes[1].to.value, json!("1.30.5-distroless"));
}

#[test]
fn the_tag_of_an_oci_repository_is_the_version_of_its_release() {
    let both =
        by_reference() + &oci("  ref: {tag: 1.29.3} # {\"$imagepolicy\": \"flux-system:istio:tag\"}\n");
    assert_eq!(edited(&both), both.replace("1.29.3", "1.30.5"));
    let mut done = go(&both, "1.29.3", "1.30.5").unwrap();
    let change = done.changes.remove(0);
    assert_eq!((change.kind, change.object.as_str()), (ChangeKind::OciTag, "OCIRepository istio-base"));
    // Somebody else writes there too, which a person should know.
    let note = done.notes.remove(0).to_string();
    assert!(
        note.contains("IMAGE_POLICY_MARKER") && note.contains("OCIRepository istio-base spec.ref.tag"),
        "{note}"
    );
    assert_eq!(done.notes, []);
    // In files of their own as well, and the repository alone.
    let aim = (v("1.29.3"), v("1.30.5"));
    let files = [
        FileContent { path: "a.yaml".into(), content: by_reference() },
        FileContent { path: "b.yaml".into(), content: oci("  ref:\n    tag: '1.29.3'\n") },
    ];
    let done = edit(&files, &Aim::new(&aim.0, &aim.1)).unwrap();
    assert_eq!((done.files.len(), done.files[0].path.as_str()), (1, "b.yaml"));
    assert_eq!(edit(&files[1..], &Aim::new(&aim.0, &aim.1)).unwrap().files, done.files);
    assert_starts(
        &refusal(&by_reference()),
        "VERSION_ELSEWHERE istio.yaml:6: HelmRelease base spec.chartRef the version is in OCIRepository istio-base",
    );
}

#[test]
fn a_helm_chart_object_and_a_patch_hold_versions_too() {
    let chart = "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: istio-base}\nspec: {chart: base, version: 1.29.3, sourceRef: {kind: HelmRepository, name: istio}}\n";
    let text = by_reference().replace("OCIRepository", "HelmChart") + chart;
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
    let patch = "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: my-istiod}\nspec:\n  chart: {spec: {version: 1.29.3}}\n  values: {global: {tag: 1.29.3}}\n";
    let text = pinned("istiod", "") + patch;
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
    let alone = patch.replace("my-istiod", "istiod");
    assert_starts(
        &refusal(&alone),
        "CHART_ELSEWHERE istio.yaml:6: HelmRelease istiod spec.chart.spec.version",
    );
}

#[test]
fn an_anchor_moves_with_its_aliases_when_all_of_them_are_versions() {
    let text = release("istiod", "      version: &v 1.29.3 # renovate\n", "  values: {global: {tag: *v}}\n");
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
    let change = go(&text, "1.29.3", "1.30.5").unwrap().changes.remove(0);
    assert_eq!(
        (change.also, change.kind),
        (vec!["spec.values.global.tag".to_owned()], ChangeKind::ChartVersion)
    );
    // The anchor where the tag is, the alias where the version is.
    let text = release("istiod", "      version: *v\n", "")
        .replace("  chart:\n", "  values: {tag: &v 1.29.3}\n  chart:\n");
    assert_eq!(edited(&text), text.replace("1.29.3", "1.30.5"));
}

#[test]
fn ranges_and_absent_versions_are_pinned_on_demand_and_the_way_back_names_what_ran() {
    let (from, to) = (v("1.29.3"), v("1.30.5"));
    let rules = Rules { pin_ranges: true, ..Rules::default() };
    let aim = Aim { rules, ..Aim::new(&from, &to) };
    for (line, after, back) in [
        (
            "      version: \"1.29.x\" # drifts\n",
            "      version: \"1.30.5\" # drifts\n",
            "      version: \"1.29.3\" # drifts\n",
        ),
        ("      version: '*'\n", "      version: '1.30.5'\n", "      version: '1.29.3'\n"),
        ("", "      version: 1.30.5\n", "      version: 1.29.3\n"),
    ] {
        let before = release("istiod", line, "");
        let wanted = release("istiod", after, "");
        let done = edit(&[file(&before)], &aim).unwrap();
        assert_eq!(done.files[0].content, wanted);
        assert_eq!(edit(&done.files, &aim).unwrap().changes, []);
        let kept: Vec<Change> = serde_json::from_value(serde_json::to_value(&done.changes).unwrap()).unwrap();
        assert_eq!(crate::manifest::holds(&done.files, &kept), Ok(()));
        let reverted = crate::manifest::revert(&done.files, &kept).unwrap();
        assert_eq!(reverted.files[0].content, release("istiod", back, ""));
        assert_eq!(crate::manifest::revert(&reverted.files, &kept), Ok(Edited::default()));
    }
    // Not for what cannot be told: a substitution, an OCI range.
    let substituted = release("istiod", "      version: ${v}\n", "");
    assert_eq!(edit(&[file(&substituted)], &aim).unwrap_err()[0].code, "VERSION_SUBSTITUTED");
    assert_eq!(edit(&[file(&oci("  ref: {tag: 1.29.x}\n"))], &aim).unwrap_err()[0].code, "VERSION_RANGE");
}

#[test]
fn from_1_31_on_hosts_move_with_the_version() {
    let values = "  values: {global: {hub: gcr.io/istio-release}, pilot: {hub: mirror.example.com/istio}}\n";
    let text = pinned("istiod", values).replace("1.29.3", "1.30.5") + &repository(OLD);
    let done = go(&text, "1.30.5", "1.31.1").unwrap();
    let wanted =
        text.replace("1.30.5", "1.31.1").replace(OLD, NEW).replace("gcr.io/istio-release", "docker.io/istio");
    assert_eq!(done.files[0].content, wanted);
    assert_eq!(crate::manifest::revert(&done.files, &done.changes).unwrap().files, [file(&text)]);
    let kinds: Vec<ChangeKind> = done.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::ChartVersion, ChangeKind::ImageHub, ChangeKind::RepositoryUrl]);
    // Below 1.31 they stay.
    assert_eq!(go(&text, "1.30.5", "1.30.6").unwrap().changes.len(), 1);
    let oci = by_reference()
        + &oci("  ref: {tag: 1.30.5}\n").replace("ghcr.io/istio/release", "gcr.io/istio-release");
    assert_eq!(
        go(&oci, "1.30.5", "1.31.1").unwrap().files[0].content,
        oci.replace("1.30.5", "1.31.1").replace("gcr.io/istio-release", "ghcr.io/istio/release")
    );
}

#[test]
fn repositories_move_without_a_version() {
    let text = release("istiod", "      version: 1.30.x\n", "") + &repository(OLD);
    let done = move_repositories(&[file(&text)]).unwrap();
    assert_eq!(done.files[0].content, text.replace(OLD, NEW));
    assert_eq!(move_repositories(&done.files), Ok(Edited::default()));
    let alone = move_repositories(&[file(&repository(OLD))]).unwrap();
    assert_eq!(alone.files[0].content, repository(NEW));
    assert_eq!(
        move_repositories(&[file(&pinned("istiod", ""))]).unwrap_err()[0].code,
        "REPOSITORY_ELSEWHERE"
    );
    let old = oci("  ref: {tag: 1.25.0}\n").replace("ghcr.io/istio/release", "gcr.io/istio-release");
    assert_eq!(move_repositories(&[file(&old)]).unwrap_err()[0].code, "CHART_NOT_ON_NEW_HOST");
    let hub = pinned("istiod", "").replace("1.29.3", "1.30.5") + &repository(OLD);
    assert_eq!(move_repositories(&[file(&hub)]).unwrap().notes[0].code, "IMAGE_HUB_DEFAULT");
}
