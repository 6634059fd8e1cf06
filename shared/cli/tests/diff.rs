//! `guard diff` as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("guard-diff-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (file, content) in files {
            fs::write(path.join(file), content).unwrap();
        }
        Self(path)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn diff(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_guard"))
            .arg("diff")
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, standard output, standard error.
fn told(output: &Output) -> (i32, String, String) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const RELEASE: &str = "# ü\r\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: base}\nspec:\n  chartRef: {kind: OCIRepository, name: istio-base}\n";
const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: istio-base}\nspec:\r\n  url: oci://ghcr.io/istio/release/charts/base\n  ref:\n    tag: '1.29.3'   # keep";
const ISTIOD: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: istiod}\nspec:\n  chart: {spec: {chart: istiod, version: 1.29.3}}\n  values:\n    pilot: {autoscaleMin: 2}\n";

#[test]
fn a_unified_diff_and_nothing_else_is_on_standard_output() {
    let folder = Folder::new("plain", &[("a.yaml", RELEASE), ("b.yaml", REPOSITORY)]);
    let (code, out, err) = told(&folder.diff(&["--file", "a.yaml", "b.yaml", "--target-version", "1.30.5"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "--- a/b.yaml\n+++ b/b.yaml\n@@ -4,4 +4,4 @@\n spec:\r\n   url: oci://ghcr.io/istio/release/charts/base\n   ref:\n-    tag: '1.29.3'   # keep\n\\ No newline at end of file\n+    tag: '1.30.5'   # keep\n\\ No newline at end of file\n"
    );
    assert_eq!(folder.read("b.yaml"), REPOSITORY, "nothing was written");
    // A folder is all of its files.
    assert_eq!(told(&folder.diff(&["--file", ".", "--target-version", "1.30.5"])).1, out);
}

#[test]
fn files_are_replaced_whole_with_their_mode() {
    let folder = Folder::new("write", &[("a.yaml", RELEASE), ("b.yaml", REPOSITORY)]);
    let path = folder.0.join("b.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("b.yaml", folder.0.join("link.yaml")).unwrap();
    let arguments = ["--file", "a.yaml", "link.yaml", "--target-version", "1.30.5", "--write"];
    let (code, out, err) = told(&folder.diff(&arguments));
    assert_eq!((code, err.as_str()), (0, "wrote 1 files\n"));
    assert!(out.contains("+    tag: '1.30.5'"), "{out}");
    assert_eq!(folder.read("b.yaml"), REPOSITORY.replace("1.29.3", "1.30.5"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(folder.0.join("link.yaml")).unwrap().is_symlink());
    assert_eq!(folder.names(), ["a.yaml", "b.yaml", "link.yaml"], "nothing is left beside");
    let (code, out, err) = told(&folder.diff(&arguments));
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "", "nothing to do: the files are as wanted already\n")
    );
}

#[test]
fn a_refusal_is_exit_code_3_with_every_reason_and_writes_nothing() {
    let range = ISTIOD.replace("1.29.3", "1.29.x");
    let folder = Folder::new("refused", &[("a.yaml", &range), ("b.yaml", REPOSITORY), ("c.yaml", RELEASE)]);
    let arguments = ["--file", "a.yaml", "b.yaml", "c.yaml", "--target-version", "1.30.5", "--write"];
    let (code, out, err) = told(&folder.diff(&arguments));
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(
        err.starts_with(
            "refused: VERSION_RANGE a.yaml:5: HelmRelease istiod spec.chart.spec.version: `1.29.x` is a range"
        ),
        "{err}"
    );
    assert_eq!(folder.read("b.yaml"), REPOSITORY);
    let (code, out, _) = told(&folder.diff(&[&arguments[..], &["--json"]].concat()));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &answer["outcome"], &answer["findings"][0]["code"]),
        (3, &json!("refused"), &json!("VERSION_RANGE"))
    );
    // Pinned to what runs, it goes.
    let (code, out, err) =
        told(&folder.diff(&["--file", ".", "--target-version", "1.30.5", "--pin-ranges", "1.29.3"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("-  chart: {spec: {chart: istiod, version: 1.29.x}}\n+  chart: {spec: {chart: istiod, version: 1.30.5}}\n"), "{out}");
}

#[test]
fn json_is_one_document() {
    let folder = Folder::new("json", &[("a.yaml", ISTIOD)]);
    let (code, out, err) = told(&folder.diff(&["--file", "a.yaml", "--target-version", "1.30.5", "--json"]));
    assert_eq!((code, err.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["outcome"], "edited");
    assert_eq!(answer["changes"][0]["path"], "spec.chart.spec.version");
    assert!(answer["diff"].as_str().unwrap().starts_with("--- a/a.yaml\n"));
    let (_, out, _) = told(&folder.diff(&["--file", "a.yaml", "--target-version", "1.29.3", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["outcome"], "nothing_to_do");
}

#[test]
fn the_path_of_versions_is_a_rule_that_can_be_left_out() {
    let folder = Folder::new("path", &[("a.yaml", ISTIOD)]);
    for target in ["1.31.0", "1.29.2", "1.30.0-rc.0"] {
        let (code, out, err) = told(&folder.diff(&["--file", "a.yaml", "--target-version", target]));
        assert_eq!((code, out.as_str()), (3, ""), "{target}");
        assert!(err.contains("PATH_NOT_ALLOWED"), "{err}");
        let far = ["--file", "a.yaml", "--target-version", target, "--any-path", "--trust-repositories"];
        assert_eq!(told(&folder.diff(&far)).0, 0, "{target}");
    }
    let (code, _, err) =
        told(&folder.diff(&["--file", "a.yaml", "--target-version", "1.30.5", "--from", "1.29.4"]));
    assert!(code == 3 && err.contains("VERSION_DRIFT"), "{err}");
}

#[test]
fn settings_change_with_the_version() {
    let spec = "version: 1.30.5\nupdates:\n- {path: spec.values.pilot.autoscaleMin, value: 3}\n";
    let folder = Folder::new(
        "spec",
        &[
            ("a.yaml", ISTIOD),
            ("good.yml", spec),
            ("bad.json", r#"{"version": "1.30.5", "updates": [{"pth": "a", "value": 1}]}"#),
        ],
    );
    let go = |spec: &str| {
        told(&folder.diff(&["--file", "a.yaml", "--target-version", "1.30.5", "--upgrade-spec", spec]))
    };
    let (code, out, _) = go("good.yml");
    assert_eq!(code, 0);
    assert!(out.contains("-    pilot: {autoscaleMin: 2}\n+    pilot: {autoscaleMin: 3}\n"), "{out}");
    let (code, _, err) = go("bad.json");
    assert!(
        code == 2
            && err.contains("upgrade_spec.updates[0].pth: unknown field `pth`")
            && err.contains("did you mean `path`?"),
        "{err}"
    );
    fs::write(folder.0.join("other.yml"), spec.replace("1.30.5", "1.30.4")).unwrap();
    let (code, _, err) = go("other.yml");
    assert!(code == 2 && err.contains("version: 1.30.4 is not the target version 1.30.5"), "{err}");
}

#[test]
fn repositories_move_alone() {
    let old = REPOSITORY.replace("ghcr.io/istio/release", "gcr.io/istio-release");
    let folder = Folder::new("hosts", &[("b.yaml", &old)]);
    let (code, out, err) = told(&folder.diff(&["--file", "b.yaml", "--repositories-only"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("+  url: oci://ghcr.io/istio/release/charts/base\n") && !out.contains("+    tag"),
        "{out}"
    );
}

#[test]
fn wrong_usage_is_exit_code_2_and_a_missing_file_1() {
    let folder = Folder::new("usage", &[("a.yaml", ISTIOD), ("b.bin", "")]);
    for arguments in [
        &["--target-version", "1.30.5"][..],
        &["--file", "a.yaml"],
        &["--file", "a.yaml", "--target-version", "1.30.x"],
        &["--file", "a.yaml", "--target-version", "1.30.5", "--repositories-only"],
        &["--file", "a.yaml", "--target-version", "1.30.5", "--from", "1.29.3", "--pin-ranges", "1.29.3"],
    ] {
        assert_eq!(told(&folder.diff(arguments)).0, 2, "{arguments:?}");
    }
    let (code, _, err) = told(&folder.diff(&["--file", "missing.yaml", "--target-version", "1.30.5"]));
    assert!(code == 1 && err.starts_with("error: missing.yaml: "), "{err}");
    fs::write(folder.0.join("b.bin"), [0xff, 0xfe]).unwrap();
    let (code, _, err) = told(&folder.diff(&["--file", "b.bin", "--target-version", "1.30.5"]));
    assert!(code == 1 && err.contains("it is not UTF-8 text"), "{err}");
}
