//! One secret, read by name.

use guard_aws::{OwnKeys, Secrets};
use guard_http::System;
use guard_tasks::{ErrorName, TaskError};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::account::{Asked, REGION, answering, clock, keys};

async fn read(status: u16, body: Value) -> (Result<String, TaskError>, Asked) {
    let (transport, asked) = answering(status, &body);
    let secrets = Secrets::new(transport, OwnKeys::provider(Some(&keys())), clock(), REGION, None);
    (secrets.read("guard/gitlab-token").await.map(|secret| secret.expose_secret().to_owned()), asked)
}

#[tokio::test]
async fn the_newest_value_without_its_line_end() {
    let (secret, asked) = read(200, json!({"Name": "guard/gitlab-token", "SecretString": "glpat-x\n"})).await;
    assert_eq!(secret.unwrap(), "glpat-x");
    assert_eq!(asked.only_body(), json!({"SecretId": "guard/gitlab-token"}));
    let call = &asked.calls()[0];
    assert_eq!(call.system, System::SecretsManager);
    assert_eq!(call.request.uri().host(), Some("secretsmanager.eu-west-1.amazonaws.com"));
    assert_eq!(call.request.headers()["x-amz-target"], "secretsmanager.GetSecretValue");
    assert!(
        call.request.headers()["authorization"].to_str().unwrap().contains("AKIDGUARD/20261123/eu-west-1")
    );
}

#[tokio::test]
async fn refusals_have_their_names_and_show_no_value() {
    for (status, code, name) in [
        (400, "ResourceNotFoundException", ErrorName::Rejected),
        (400, "AccessDeniedException", ErrorName::Denied),
        (400, "ThrottlingException", ErrorName::Throttled),
        (500, "InternalServiceError", ErrorName::Transient),
    ] {
        let (secret, asked) = read(status, json!({"__type": code, "message": "because"})).await;
        let error = secret.unwrap_err();
        assert_eq!(error.name, name, "{error}");
        assert!(error.chain().starts_with("Secrets Manager GetSecretValue guard/gitlab-token: "), "{error}");
        assert_eq!(asked.calls().len(), 1, "retrying is the state machine's job");
    }
}

#[tokio::test]
async fn an_empty_or_binary_secret_is_refused() {
    for body in [json!({"SecretString": " \n"}), json!({"SecretBinary": "aHVzaA=="})] {
        assert_eq!(read(200, body).await.0.unwrap_err().name, ErrorName::Rejected);
    }
}

#[tokio::test]
async fn without_keys_nothing_is_sent() {
    let (transport, asked) = answering(200, &json!({}));
    let error =
        Secrets::new(transport, OwnKeys::provider(None), clock(), REGION, None).read("x").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
    assert_eq!(asked.calls().len(), 0);
}

#[test]
fn keys_do_not_show_in_debug() {
    assert!(!format!("{:?}", keys()).contains("hush"));
}
