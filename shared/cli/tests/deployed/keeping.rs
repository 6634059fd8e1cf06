//! `guard registry`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::tables::row;

const REGISTRY: &str = "guard-cluster-registry";

/// A file that is gone after the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("guard-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn fleet() -> Aws {
    let aws = Aws::start();
    let mut account = aws.account();
    account.tables.cluster("eks-1", "test", "healthy");
    let mut other = row("eks-2", "test", "healthy");
    other["cost_centre"] = json!("a tool of somebody else");
    other["metadata"]["ticket"] = json!("ABC-1");
    account.tables.put(REGISTRY, &other);
    drop(account);
    aws
}

#[test]
fn an_import_shows_what_changes_and_leaves_the_rest() {
    let aws = fleet();
    let new = row("eks-3", "prod", "pending");
    let change = json!({"cluster_id": "eks-2", "batch_id": "prod", "metadata": {"mesh_id": "m1"}});
    let file = File::new("change.json", &json!([new, change, {"cluster_id": "eks-1"}]).to_string());
    let dry = aws.guard(&["registry", "import", file.path(), "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    dry.says(&["+ eks-3  batch prod", "~ eks-2", "batch_id: test -> prod", "metadata.mesh_id: (none) -> m1"]);
    dry.notes(&["a dry run: 2 rows would be written"]);
    assert!(aws.account().tables.get(REGISTRY, "eks-3").is_none());

    let unsaid = aws.guard(&["registry", "import", file.path()]);
    assert_eq!(unsaid.code, 2);
    unsaid.notes(&["Write 2 rows?", "add --yes"]);

    let ran = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.says(&["2 rows are written"]);
    let account = aws.account();
    let changed = account.tables.get(REGISTRY, "eks-2").unwrap();
    assert_eq!(
        (changed["batch_id"].as_str(), changed["metadata"]["mesh_id"].as_str()),
        (Some("prod"), Some("m1"))
    );
    assert_eq!(changed["cost_centre"], "a tool of somebody else");
    assert_eq!(changed["metadata"]["ticket"], "ABC-1");
    assert_eq!(account.tables.get(REGISTRY, "eks-1").unwrap()["last_updated"], "2026-11-01T00:00:00Z");
    drop(account);
    let again = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(again.code, 0);
    again.says(&["nothing to do"]);
}

#[test]
fn one_wrong_row_and_none_is_written() {
    let aws = fleet();
    let text = "clusters:\n- {cluster_id: eks-1, batchid: prod}\n- {cluster_id: eks-9}\n- {cluster_id: eks-2, batch_id: prod}\n";
    let file = File::new("wrong.yaml", text);
    let ran = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    ran.notes(&[
        "nothing was written, 2 problems",
        "row 1 (eks-1).batchid: unknown field",
        "did you mean `batch_id`?",
        "row 2 (eks-9)",
    ]);
    assert_eq!(aws.account().tables.get(REGISTRY, "eks-2").unwrap()["batch_id"], "test");
    let missing = aws.guard(&["registry", "import", "no/such/file.yaml"]);
    assert_eq!(missing.code, 1);
    missing.notes(&["no/such/file.yaml: "]);
}

#[test]
fn an_export_is_an_import_that_changes_nothing() {
    let aws = fleet();
    for format in ["yaml", "json"] {
        let exported = aws.guard(&["registry", "export", "--format", format]);
        assert_eq!(exported.code, 0, "{}", exported.err);
        let file = File::new(&format!("exported.{format}"), &exported.out);
        let ran = aws.guard(&["registry", "import", file.path()]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        ran.says(&["nothing to do: the registry holds these 2 rows already"]);
    }
}

#[test]
fn a_row_that_a_run_is_at_work_on_is_left_alone() {
    let aws = fleet();
    let arn = aws.execution("guard-batch-upgrade", "run-1", json!({"batch_id": "test"}), vec![]);
    aws.account().tables.lock("batch#test", "run-1", &arn);
    let file = File::new("locked.yaml", "- {cluster_id: eks-1, owner_team: other}\n");
    for arguments in
        [&["registry", "import", file.path(), "--yes"][..], &["registry", "remove", "eks-1", "--yes"]]
    {
        let ran = aws.guard(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {}", ran.err);
        ran.notes(&["nothing was written", &format!("eks-1: batch#test is locked by {arn}, which runs")]);
    }
    // The lock of a run that is over holds nobody up.
    aws.account().execution(&arn).unwrap().end("ABORTED");
    let ran = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(aws.account().tables.get(REGISTRY, "eks-1").unwrap()["owner_team"], "other");
}

#[test]
fn what_a_dead_run_left_in_the_middle_takes_a_word_more() {
    let aws = fleet();
    aws.account().tables.cluster("eks-1", "test", "upgrading");
    let file = File::new(
        "unfinished.yaml",
        "- {cluster_id: eks-1, status: healthy, current_istio_version: 1.30.5}\n",
    );
    let ran = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(ran.code, 3);
    ran.notes(&["eks-1: its status is upgrading", "docs/runbook.md", "--unfinished"]);
    let ran = aws.guard(&["registry", "import", file.path(), "--yes", "--unfinished"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(aws.account().tables.get(REGISTRY, "eks-1").unwrap()["status"], "healthy");
}

/// A run that takes the lock, or somebody who writes, between the look and the write.
#[test]
fn what_changed_meanwhile_is_not_written_over() {
    let aws = fleet();
    let file = File::new("race.yaml", "- {cluster_id: eks-1, owner_team: other}\n");
    let reasons = json!([{"Code": "ConditionalCheckFailed"}, {"Code": "None"}, {"Code": "None"}]);
    let cancelled = json!({
        "__type": "com.amazonaws#TransactionCanceledException", "message": "because", "CancellationReasons": reasons
    });
    aws.account().refusals.entry("TransactWriteItems".to_owned()).or_default().push_back((400, cancelled));
    let ran = aws.guard(&["registry", "import", file.path(), "--yes"]);
    assert_eq!(ran.code, 1);
    ran.notes(&["eks-1 or its batch was locked by a run meanwhile", "0 rows are written, 1 are not"]);
}

#[test]
fn one_cluster_is_added_shown_and_removed() {
    let aws = fleet();
    let add = [
        "registry",
        "add",
        "eks-9",
        "--batch",
        "prod",
        "--environment",
        "prod",
        "--cluster-region",
        "eu-central-1",
        "--gitlab-repo",
        "platform/fleet",
        "--flux-config-path",
        "clusters/eks-9",
        "--aws-role-arn",
        "arn:aws:iam::111111111111:role/guard",
        "--current-istio-version",
        "1.29.3",
        "--owner-team",
        "mesh",
        "--owner-handle",
        "mesh-team",
        "--yes",
    ];
    let ran = aws.guard(&add);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let again = aws.guard(&add);
    assert_eq!(again.code, 3);
    again.notes(&["cluster eks-9 is in the registry already", "guard registry show eks-9"]);

    let shown = aws.guard(&["registry", "show", "eks-9", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((shown["status"].as_str(), shown["region"].as_str()), (Some("pending"), Some("eu-central-1")));
    assert_eq!(shown["datadog_tags"], json!({"cluster": "eks-9", "service": "istio-system", "env": "prod"}));
    aws.guard(&["registry", "show", "eks-9"]).says(&["cluster_id: eks-9", "datadog_tags:"]);

    let unsaid = aws.guard(&["registry", "remove", "eks-9"]);
    assert_eq!(unsaid.code, 2);
    let removed = aws.guard(&["registry", "remove", "eks-9", "--yes"]);
    assert_eq!(removed.code, 0, "{}", removed.err);
    assert!(aws.account().tables.get(REGISTRY, "eks-9").is_none());
    let gone = aws.guard(&["registry", "remove", "eks-9", "--yes"]);
    assert_eq!(gone.code, 1);
    gone.notes(&["cluster eks-9 is not in the registry"]);
}
