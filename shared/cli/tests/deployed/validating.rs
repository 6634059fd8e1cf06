//! `guard validate`.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::aws::Aws;
use crate::server;

/// A GitLab and a Datadog in one, well or not.
fn outside(is_well: bool) -> String {
    server::start(move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        match path {
            "/api/v4/personal_access_tokens/self" => {
                let scope = if is_well { "api" } else { "read_api" };
                (200, json!({"active": true, "scopes": [scope], "expires_at": null}))
            }
            "/api/v4/projects/platform%2Ffleet" => {
                let role = if is_well { 30 } else { 10 };
                (
                    200,
                    json!({"permissions": {"project_access": {"access_level": role}, "group_access": null}}),
                )
            }
            "/api/v4/projects/platform%2Ffleet/repository/branches/main" => {
                (200, json!({"name": "main", "commit": {"id": "abc"}}))
            }
            "/api/v4/projects/platform%2Ffleet/repository/tree" => (
                200,
                json!([{"type": "blob", "path": "clusters/eks-1/istio/r.yaml", "name": "r.yaml", "mode": "100644"}]),
            ),
            "/api/graphql" => {
                let node = json!({"path": "clusters/eks-1/istio/r.yaml", "size": "5", "rawBlob": "a: 1\n"});
                let blobs = json!({"blobs": {"nodes": [node]}});
                (200, json!({"data": {"project": {"repository": blobs}}}))
            }
            "/api/v1/query" if is_well => (200, json!({"status": "ok", "series": []})),
            "/api/v1/monitor" => (200, json!([])),
            _ => (403, json!({"errors": ["Forbidden"]})),
        }
    })
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, config: &str) -> Self {
        let path = std::env::temp_dir().join(format!("guard-validate-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("guard.yaml"), config).unwrap();
        Self(path)
    }

    fn config(&self) -> String {
        self.0.join("guard.yaml").to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn account(outside: &str) -> (Aws, String) {
    let aws = Aws::start();
    let config = json!({"gitlab": {"url": outside}, "datadog": {"site": outside}});
    let mut account = aws.account();
    account.tables.cluster("eks-1", "test", "healthy");
    account.secrets.insert("guard/gitlab-token".to_owned(), "hush-token".to_owned());
    let keys = json!({"api_key": "hush-api", "app_key": "hush-app"});
    account.secrets.insert("guard/datadog-credentials".to_owned(), keys.to_string());
    account.parameters.insert("/guard/config".to_owned(), config.to_string());
    drop(account);
    (aws, config.to_string())
}

#[test]
fn a_whole_deployment_is_well() {
    let (aws, _) = account(&outside(true));
    let ran = aws.guard(&["validate"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.says(&[
        "ok       configuration parameter /guard/config",
        "ok       table guard-cluster-registry",
        "ok       state machine guard-cluster-converge",
        "ok       registry: 1 clusters",
        "ok       order of the batches",
        "ok       secret guard/gitlab-token",
        "ok       secret guard/datadog-credentials",
        "ok       GitLab token",
        "ok       GitLab project platform/fleet",
        "ok       GitLab project platform/fleet, Flux files: 1 paths on main",
        "metrics: may be read",
        "monitors: may be read",
        "everything that was asked is well",
    ]);
}

#[test]
fn every_problem_is_told_at_once() {
    let (aws, config) = account(&outside(false));
    {
        let mut account = aws.account();
        account.machines.retain(|name| !name.ends_with("rollout"));
        account.tables.missing = Some("guard-locks".to_owned());
        account.tables.put("guard-cluster-registry", &json!({"cluster_id": "eks-2", "batch_id": "test"}));
        let bent = config
            .replace("{\"gitlab\"", "{\"polcy\": {}, \"batch_order\": {\"test\": [\"moon\"]}, \"gitlab\"");
        account.parameters.insert("/guard/config".to_owned(), bent);
    }
    let ran = aws.guard(&["validate"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    ran.says(&[
        "problem  configuration parameter /guard/config: config.polcy: unknown field `polcy`",
        "did you mean `policy`?",
        "problem  table guard-locks: it does not exist",
        "problem  state machine guard-rollout: it does not exist in eu-west-1",
        "problem  registry: registry row eks-2",
        "problem  order of the batches: batch_order.test: prerequisite `moon` is not a batch",
        "problem  GitLab token: the token has the scopes read_api",
        "problem  GitLab project platform/fleet: the token's user has role 10",
        "problem  Datadog",
    ]);
    ran.notes(&["8 problems"]);
}

#[test]
fn what_cannot_be_asked_is_unknown_or_skipped_and_never_well() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (aws, _) = account(&format!("http://{gone}"));
    let ran = aws.guard(&["validate"]);
    assert_eq!(ran.code, 6, "{}{}", ran.out, ran.err);
    ran.says(&["unknown  GitLab token: ", "unknown  Datadog"]);

    let (aws, _) = account(&outside(true));
    aws.account().secrets.remove("guard/gitlab-token");
    let keys = json!({"api_key": "hush-api"}).to_string();
    aws.account().secrets.insert("guard/datadog-credentials".to_owned(), keys);
    let ran = aws.guard(&["validate"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    ran.says(&[
        "problem  secret guard/gitlab-token: ",
        "skipped  GitLab: not asked, for its token is missing",
    ]);
    ran.says(&["problem  Datadog: secret guard/datadog-credentials must be a JSON object with exactly api_key and app_key"]);
}

#[test]
fn offline_looks_at_the_file_alone() {
    let aws = Aws::start();
    let folder = Folder::new(
        "offline",
        "gitlab: {url: https://gitlab.example.com}\npolicy: {soak_look_minutes: 0}\nx: 1\n",
    );
    let ran = aws.guard(&["validate", "--offline", "--config", &folder.config()]);
    assert_eq!(ran.code, 3, "{}", ran.out);
    ran.says(&["config.x: unknown field `x`", "policy.soak_look_minutes: 0 is not between"]);
    ran.notes(&["2 problems"]);
    let fine = Folder::new("fine", "gitlab: {url: https://gitlab.example.com}\n");
    assert_eq!(aws.guard(&["validate", "--offline", "--config", &fine.config()]).code, 0);
    assert!(aws.account().asked.is_empty());
    assert_eq!(aws.guard(&["validate", "--offline"]).code, 2);
    assert_eq!(aws.guard(&["validate", "--config", "no/such/file"]).code, 1);
}
