//! What is refused, each by its own name.

use super::super::{Aim, Rules, edit};
use super::*;

#[test]
fn files_without_istio_are_told() {
    for text in ["", "kind: ConfigMap\napiVersion: v1\ndata: {version: 1.29.3}\n", &pinned("nginx", "")] {
        let findings = go(text, "1.29.3", "1.30.5").unwrap_err();
        assert_eq!((findings.len(), findings[0].code.as_str()), (1, "NO_ISTIO_VERSION"));
    }
}

#[test]
fn image_tags_that_would_keep_another_image_are_refused() {
    for (values, cause) in [
        (
            "{global: {tag: 1.28.0}}",
            "spec.values.global.tag tag 1.28.0 is not the version of the charts, 1.29.3",
        ),
        ("{pilot: {tag: latest}}", "spec.values.pilot.tag tag `latest` is not one version"),
        ("{tag: '${tag}'}", "spec.values.tag tag `${tag}` is not one version"),
        ("{tag: 1.29}", "spec.values.tag tag `1.29` is not one version"),
        ("{tag: [a]}", "spec.values.tag the tag is no scalar"),
        (
            "{global: {proxy: {image: docker.io/istio/proxyv2:1.29.3}}}",
            "spec.values.global.proxy.image the image docker.io/istio/proxyv2:1.29.3 is taken as it is",
        ),
    ] {
        let told = refusal(&pinned("istiod", &format!("  values: {values}\n")));
        assert_starts(&told, &format!("IMAGE_TAG_OTHER istio.yaml:14: HelmRelease my-istiod {cause}"));
    }
    let merged = "  values: {x: &x {tag: 1.29.3}, global: {<<: *x}}\n";
    assert_starts(
        &refusal(&pinned("istiod", merged)),
        "IMAGE_TAG_OTHER istio.yaml:14: HelmRelease my-istiod spec.values.global.tag a merge key",
    );
}

#[test]
fn values_of_other_objects_are_looked_at_or_warned_of() {
    let from =
        |rest: &str| pinned("istiod", &format!("  valuesFrom:\n  - kind: ConfigMap\n    name: more\n{rest}"));
    let done = go(&from(""), "1.29.3", "1.30.5").unwrap();
    assert_eq!((done.changes.len(), done.notes[0].code.as_str()), (1, "VALUES_ELSEWHERE"));
    assert_starts(
        &refusal(&from("    targetPath: global.tag\n")),
        "IMAGE_TAG_ELSEWHERE istio.yaml:15: HelmRelease my-istiod spec.valuesFrom[0] ConfigMap more sets global.tag",
    );
    let config_map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata:\n  values.yaml: |\n    global:\n      tag: 1.29.3\n";
    assert_starts(
        &refusal(&(from("") + config_map)),
        "IMAGE_TAG_ELSEWHERE istio.yaml:23: ConfigMap more data.\"values.yaml\" global.tag is 1.29.3",
    );
    let harmless = config_map.replace("tag: 1.29.3", "tag: \"\"");
    assert_eq!(go(&(from("") + &harmless), "1.29.3", "1.30.5").unwrap().notes, []);
}

#[test]
fn what_is_not_one_version_is_refused_by_its_own_name() {
    let with = |line: &str| refusal(&release("istiod", line, ""));
    let at = "istio.yaml:11: HelmRelease my-istiod spec.chart.spec.version";
    assert_starts(&with("      version: 1.29.x\n"), &format!("VERSION_RANGE {at} `1.29.x` is a range"));
    assert_starts(&with("      version: \"*\"\n"), &format!("VERSION_RANGE {at}"));
    assert_starts(&with("      version: 1.29\n"), &format!("VERSION_RANGE {at}"));
    assert_starts(&with("      version: v1.29.3\n"), &format!("VERSION_NOT_EXACT {at} `v1.29.3`"));
    assert_starts(&with("      version: 1.29.3-distroless\n"), &format!("VERSION_NOT_EXACT {at}"));
    assert_starts(&with("      version: [1.29.3]\n"), &format!("VERSION_NOT_PLAIN {at}"));
    assert_starts(&with("      version: >-\n        1.29.3\n"), "VERSION_NOT_PLAIN istio.yaml:12:");
    assert_starts(
        &with(""),
        "VERSION_MISSING istio.yaml:3: HelmRelease my-istiod spec.chart.spec.version no version",
    );
    assert_starts(
        &with("      version: 1.28.0\n"),
        &format!("VERSION_DRIFT {at} chart istiod is at 1.28.0, expected 1.29.3"),
    );
    assert_eq!(go("a: [", "1.29.3", "1.30.5").unwrap_err()[0].code, "YAML_UNREADABLE");
}

#[test]
fn a_version_by_a_merge_key_is_refused() {
    let text = release("istiod", "", "  values: {}\n")
        .replace("  chart:\n", "  x: &x {version: 1.29.3}\n  chart:\n")
        .replace("      chart: istiod\n", "      chart: istiod\n      <<: *x\n");
    assert_starts(&refusal(&text), "VERSION_MERGED istio.yaml:12:");
}

#[test]
fn a_substitution_is_told_with_its_home() {
    let release = release("istiod", "      version: ${istio_version:=1.29.3}\n", "");
    assert!(refusal(&release).contains("is substituted by Flux; the value is not among the files"));
    let homes = "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: infra}\nspec:\n  postBuild:\n    substitute: {istio_version: 1.29.3}\n    substituteFrom:\n    - {kind: Secret, name: hidden}\n---\nkind: ConfigMap\nmetadata: {name: vars}\ndata: {istio_version: 1.29.3}\n";
    let told = refusal(&(release + homes));
    for home in [
        "istio.yaml:20 Kustomization infra spec.postBuild.substitute.istio_version is 1.29.3",
        "Secret hidden may hold it",
        "istio.yaml:26 ConfigMap vars data.istio_version is 1.29.3",
    ] {
        assert!(told.contains(home), "{told}");
    }
}

#[test]
fn oci_references_that_a_tag_does_not_decide_are_refused() {
    let with = |spec: &str| refusal(&(by_reference() + &oci(spec)));
    let at = "istio.yaml:13: OCIRepository istio-base spec.ref";
    assert_starts(&with("  ref: {tag: 1.29.3, digest: 'sha256:abc'}\n"), &format!("OCI_DIGEST {at}.digest"));
    assert_starts(&with("  ref: {semver: 1.29.x}\n"), &format!("OCI_SEMVER {at}.semver"));
    assert_starts(&with("  ref: {tag: 1.29.3, semverFilter: x}\n"), &format!("OCI_SEMVER {at}.semverFilter"));
    assert_starts(
        &with("  interval: 1m\n"),
        "VERSION_MISSING istio.yaml:8: OCIRepository istio-base spec.ref.tag no tag",
    );
    // One of the same name in another namespace is another one; without a namespace it may be meant.
    let elsewhere = (by_reference() + &oci("  ref: {tag: 1.29.3}\n"))
        .replace("{name: base}", "{name: base, namespace: a}")
        .replace("metadata: {name: istio-base}", "metadata: {name: istio-base, namespace: b}");
    assert_starts(&refusal(&elsewhere), "VERSION_ELSEWHERE istio.yaml:6: HelmRelease a/base spec.chartRef");
    let twice = by_reference() + &oci("  ref: {tag: 1.29.3}\n") + &oci("  ref: {tag: 1.29.3}\n");
    assert_starts(&told(&twice)[0], "REFERENCE_AMBIGUOUS istio.yaml:6: HelmRelease base spec.chartRef");
}

#[test]
fn charts_from_git_foreign_charts_and_the_umbrella_are_refused() {
    let git = pinned("manifests/charts/base", "").replace("HelmRepository", "GitRepository");
    assert_starts(
        &refusal(&git),
        "CHART_FROM_GIT istio.yaml:10: HelmRelease my-manifests/charts/base spec.chart.spec.chart chart manifests/charts/base is a path in GitRepository istio",
    );
    assert_starts(
        &refusal(&pinned("istio-operator", "")),
        "FOREIGN_CHART istio.yaml:10: HelmRelease my-istio-operator spec.chart.spec.chart chart istio-operator is none",
    );
    assert_starts(
        &refusal(&pinned("ambient", "")),
        "UMBRELLA_CHART istio.yaml:3: HelmRelease my-ambient chart ambient moves",
    );
    let (from, to) = (v("1.29.3"), v("1.30.5"));
    let rules = Rules { allow_umbrella: true, ..Rules::default() };
    let allowed = edit(&[file(&pinned("ambient", ""))], &Aim { rules, ..Aim::new(&from, &to) }).unwrap();
    assert_eq!((allowed.changes.len(), allowed.changes[0].component), (1, None));
    // A chart of others beside Istio's is nobody's business here.
    let beside = pinned("istiod", "") + &pinned("cert-manager", "");
    assert_eq!(edited(&beside).matches("1.30.5").count(), 1);
}

#[test]
fn what_others_install_is_refused() {
    let object = |api: &str, kind: &str, spec: &str| {
        format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
    };
    for (text, code) in [
        (
            object("install.istio.io/v1alpha1", "IstioOperator", "{}"),
            "ISTIO_OPERATOR istio.yaml:1: IstioOperator x",
        ),
        (object("sailoperator.io/v1", "Istio", "{version: v1.29.3}"), "ISTIO_OPERATOR istio.yaml:1: Istio x"),
        (
            object(
                "argoproj.io/v1alpha1",
                "Application",
                "{source: {chart: istiod, targetRevision: 1.29.3}}",
            ),
            "ARGO_APPLICATION istio.yaml:1: Application x",
        ),
        (
            object(
                "argoproj.io/v1alpha1",
                "ApplicationSet",
                "{template: {spec: {sources: [{repoURL: 'https://x/istio'}]}}}",
            ),
            "ARGO_APPLICATION istio.yaml:1: ApplicationSet x",
        ),
    ] {
        assert_starts(&refusal(&text), code);
    }
    let foreign = object("argoproj.io/v1alpha1", "Application", "{source: {chart: nginx}}");
    assert_eq!(go(&foreign, "1.29.3", "1.30.5").unwrap_err()[0].code, "NO_ISTIO_VERSION");
}

#[test]
fn kustomizations_that_hold_the_version_are_refused() {
    let flux = |spec: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: infra}}\nspec:\n{spec}"
        )
    };
    let json_patch = "  patches:\n  - patch: |-\n      - op: replace\n        path: /spec/chart/spec/version\n        value: 1.29.3\n    target: {kind: HelmRelease, name: istiod}\n";
    assert_starts(
        &refusal(&flux(json_patch)),
        "VERSION_IN_PATCH istio.yaml:7: Kustomization infra spec.patches[0] a patch in a string sets /spec/chart/spec/version to 1.29.3 of istiod",
    );
    let merge = "  patches:\n  - patch: |\n      kind: HelmRelease\n      metadata: {name: istiod}\n      spec: {chart: {spec: {version: 1.29.3}}}\n";
    assert_starts(
        &refusal(&flux(merge)),
        "VERSION_IN_PATCH istio.yaml:7: Kustomization infra spec.patches[0] a patch in a string sets spec.chart.spec.version to 1.29.3",
    );
    let kustomize = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n- {name: docker.io/istio/pilot, newTag: 1.29.3}\npatchesStrategicMerge:\n- |\n  spec: {ref: {tag: 1.29.3}}\n";
    assert_eq!(told(kustomize).len(), 2);
    assert_starts(
        &refusal(&flux("  path: ./apps/istio/1.29.3/base\n")),
        "VERSION_IN_PATH istio.yaml:5: Kustomization infra spec.path the folder ./apps/istio/1.29.3/base carries the version 1.29.3",
    );
    // Patches of other releases, and of other things than versions, are nobody's business here.
    let others = flux(&json_patch.replace("name: istiod", "name: podinfo"))
        + "---\n"
        + &flux(&json_patch.replace("version", "interval"))
        + &pinned("base", "");
    assert_eq!(edited(&others).matches("1.30.5").count(), 1);
}

#[test]
fn a_config_map_that_holds_the_version_is_told() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-version}\ndata: {version: 1.29.3}\n";
    assert_starts(
        &refusal(text),
        "VERSION_IN_CONFIG_MAP istio.yaml:4: ConfigMap istio-version data.version 1.29.3 stands in a ConfigMap",
    );
}

#[test]
fn two_control_planes_of_one_revision_are_refused() {
    let again = pinned("istiod", "").replace("my-istiod", "other");
    assert_starts(
        &refusal(&(pinned("istiod", "") + &again)),
        "REVISION_TWICE istio.yaml:16: HelmRelease other it installs the default revision of istiod, and so does istio.yaml:3: HelmRelease my-istiod",
    );
    let apart = pinned("istiod", "  values: {revision: a}\n") + &again;
    assert_eq!(edited(&apart).matches("1.30.5").count(), 2);
    let same = pinned("istiod", "  values: {revision: a}\n")
        + &pinned("istiod", "  values: {revision: a}\n").replace("my-istiod", "other");
    assert!(refusal(&same).contains("revision a of istiod"));
}

#[test]
fn components_at_different_versions_are_refused_without_a_version_that_runs() {
    let to = v("1.30.5");
    let aim = Aim { from: None, to: &to, rules: Rules::default(), check_path: false, settings: &[] };
    let apart = pinned("base", "") + &pinned("istiod", "").replace("1.29.3", "1.29.4");
    let findings = edit(&[file(&apart)], &aim).unwrap_err();
    assert_eq!(findings[0].message, "chart istiod is at 1.29.4, expected 1.29.3");
    assert_eq!(
        edit(&[file(&(pinned("base", "") + &pinned("istiod", "").replace("1.29.3", "1.30.5")))], &aim)
            .unwrap()
            .changes
            .len(),
        1
    );
    // All at the target, but a tag that is not.
    let tag = pinned("istiod", "  values: {tag: 1.29.3}\n").replace("version: 1.29.3", "version: 1.30.5");
    assert_eq!(edit(&[file(&tag)], &aim).unwrap_err()[0].code, "IMAGE_TAG_OTHER");
}

#[test]
fn an_anchor_that_something_else_shares_is_refused() {
    let shared = |values: &str| refusal(&release("istiod", "      version: &v 1.29.3\n", values));
    let at = "ANCHOR_SHARED istio.yaml:11: HelmRelease my-istiod spec.chart.spec.version line";
    assert_starts(&shared("  values: {x: *v}\n"), &format!("{at} 14: spec.values.x has the same value"));
    assert_starts(
        &shared("  values: {global: {tag: *v}, list: [*v]}\n"),
        &format!("{at} 14: spec.values.list[0]"),
    );
    let alias = release("istiod", "      version: *v\n", "")
        .replace("  chart:\n", "  values: {x: &v 1.29.3}\n  chart:\n");
    assert_starts(
        &refusal(&alias),
        "ANCHOR_SHARED istio.yaml:8: HelmRelease my-istiod spec.chart.spec.version line 8: spec.values.x",
    );
    let collection = pinned("istiod", "  x: *c\n").replace("    spec:\n", "    spec: &c\n");
    assert_starts(
        &refusal(&collection),
        "ANCHOR_SHARED istio.yaml:11: HelmRelease my-istiod spec.chart.spec.version line 14: spec.x.version",
    );
}

#[test]
fn a_repository_that_lies_elsewhere_is_told() {
    let text = pinned("istiod", "").replace("1.29.3", "1.30.5");
    let (from, to) = (v("1.30.5"), v("1.31.1"));
    let findings = edit(&[file(&text)], &Aim::new(&from, &to)).unwrap_err();
    assert_eq!((findings.len(), findings[0].code.as_str()), (1, "REPOSITORY_ELSEWHERE"));
    assert!(
        findings[0].message.starts_with("HelmRepository istio is not among the files"),
        "{}",
        findings[0]
    );
    let rules = Rules { trust_repositories_elsewhere: true, ..Rules::default() };
    let done = edit(&[file(&text)], &Aim { rules, ..Aim::new(&from, &to) }).unwrap();
    assert_eq!((done.changes.len(), done.notes[0].code.as_str()), (1, "REPOSITORY_ELSEWHERE"));
    let substituted = text.clone() + &repository("'${charts}'");
    assert!(
        go(&substituted, "1.30.5", "1.31.1").unwrap_err()[0]
            .message
            .contains("is substituted by Flux: ${charts}")
    );
    assert!(go(&(text + &repository("https://mirror.example.com")), "1.30.5", "1.31.1").is_ok());
}
