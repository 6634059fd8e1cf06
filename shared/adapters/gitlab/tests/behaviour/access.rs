//! What the token may do.

use std::sync::Arc;

use bytes::Bytes;
use guard_gitlab::GitLab;
use guard_http::Call;
use guard_tasks::ErrorName;
use secrecy::SecretString;
use serde_json::{Value, json};

/// A GitLab with one answer for every path that ends so.
fn gitlab(end: &'static str, status: u16, body: &Value) -> GitLab {
    let body = Bytes::from(body.to_string());
    let transport = move |call: Call| {
        assert_eq!(call.request.uri().path(), end);
        Ok(http::Response::builder().status(status).body(body.clone()).unwrap())
    };
    GitLab::new(Arc::new(transport), "https://gitlab.example.com/", SecretString::from("hush"))
}

const SELF: &str = "/api/v4/personal_access_tokens/self";
const PROJECT: &str = "/api/v4/projects/mesh%2Ffleet";

#[tokio::test]
async fn a_token_needs_the_scope_that_writes_and_its_life() {
    let sound = json!({"active": true, "scopes": ["api", "read_user"], "expires_at": "2027-01-31"});
    let facts = gitlab(SELF, 200, &sound).token().await.unwrap();
    assert_eq!(facts.problems(), Vec::<String>::new());
    assert_eq!(facts.expires_at.unwrap().to_string(), "2027-01-31");
    let weak = json!({"active": false, "scopes": ["read_api"], "expires_at": null});
    let problems = gitlab(SELF, 200, &weak).token().await.unwrap().problems();
    assert!(
        problems[0].contains("revoked") && problems[1].contains("read_api; GUARD needs api"),
        "{problems:?}"
    );
    let refused = gitlab(SELF, 401, &json!({"message": "401 Unauthorized"})).token().await.unwrap_err();
    assert_eq!(refused.name, ErrorName::Denied);
    assert!(!refused.chain().contains("hush"));
}

#[tokio::test]
async fn a_project_needs_a_role_that_pushes() {
    let with = |project: &Value, group: &Value| json!({"archived": false, "permissions": {"project_access": project, "group_access": group}});
    let level = |level| json!({"access_level": level});
    for (project, group, is_fine) in [
        (level(30), Value::Null, true),
        (Value::Null, level(40), true),
        (level(20), level(10), false),
        (Value::Null, Value::Null, false),
    ] {
        let found =
            gitlab(PROJECT, 200, &with(&project, &group)).project_problems("mesh/fleet").await.unwrap();
        assert_eq!(found.is_empty(), is_fine, "{found:?}");
    }
    let archived =
        json!({"archived": true, "permissions": {"project_access": level(50), "group_access": null}});
    let found = gitlab(PROJECT, 200, &archived).project_problems("mesh/fleet").await.unwrap();
    assert!(found[0].contains("archived"), "{found:?}");
    let gone = gitlab(PROJECT, 404, &json!({"message": "404 Project Not Found"}));
    assert_eq!(gone.project_problems("mesh/fleet").await.unwrap_err().name, ErrorName::Rejected);
}
