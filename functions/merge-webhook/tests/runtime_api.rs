//! The real program in front of a Runtime API, with Secrets Manager and Lambda on loopback sockets.

use std::path::Path;

use guard_tests::fixed_answer::FixedAnswer;
use guard_tests::runtime_api::invoke;
use serde_json::{Value, json};

fn delivery(token: &str, action: &str) -> Value {
    let body =
        json!({"object_kind": "merge_request", "object_attributes": {"action": action, "state": "merged"}});
    json!({
        "version": "2.0", "rawPath": "/", "isBase64Encoded": false, "body": body.to_string(),
        "headers": {"x-gitlab-token": token, "x-gitlab-event": "Merge Request Hook"},
        "requestContext": {"http": {"method": "POST", "path": "/"}},
    })
}

#[tokio::test]
async fn only_gitlab_wakes_the_watcher() {
    let secrets = FixedAnswer::serve(json!({"SecretString": "hush-token\n"})).await.unwrap();
    let lambda = FixedAnswer::serve(json!({})).await.unwrap();
    let variables = [
        ("GUARD_CONFIG_PARAMETER", "/guard/config"),
        ("GUARD_WATCH_MERGES_FUNCTION", "arn:aws:lambda:eu-west-1:1:function:guard-watch-merges:7"),
        // Nobody listens on port 9.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.url()),
        ("AWS_ENDPOINT_URL_LAMBDA", lambda.url()),
        ("AWS_ACCESS_KEY_ID", "123456789012"),
        ("AWS_SECRET_ACCESS_KEY", "hush-key"),
        ("RUST_LOG", "trace"),
    ];
    let payloads =
        [delivery("hush-guess", "merge"), delivery("hush-token", "open"), delivery("hush-token", "merge")];
    let program = Path::new(env!("CARGO_BIN_EXE_merge-webhook"));
    let mut function = invoke(program, &variables, payloads).await.unwrap();
    for status in [401, 204, 202] {
        let reply = function.reply().await.unwrap();
        let expected = json!({"statusCode": status, "headers": {}, "body": ""});
        assert_eq!((reply.kind.as_str(), &reply.body), ("response", &expected));
    }
    let lines = function.lines().await.unwrap();
    assert_eq!(
        secrets.asked(),
        ["secretsmanager.GetSecretValue"],
        "a stranger cannot make it read more often"
    );
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Aguard-watch-merges%3A7/invocations";
    assert_eq!(lambda.paths(), [path]);
    assert!(!format!("{lines:?}").contains("hush"), "no secret and no guess is written down: {lines:?}");
}

#[tokio::test]
async fn a_watcher_that_is_not_there_is_an_error_that_names_it() {
    let secrets = FixedAnswer::serve(json!({"SecretString": "hush-token"})).await.unwrap();
    let refusal = json!({"Type": "User", "Message": "Function not found"});
    let lambda = FixedAnswer::refuse(404, refusal).await.unwrap();
    let variables = [
        ("GUARD_CONFIG_PARAMETER", "/guard/config"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.url()),
        ("AWS_ENDPOINT_URL_LAMBDA", lambda.url()),
        ("AWS_ACCESS_KEY_ID", "123456789012"),
        ("AWS_SECRET_ACCESS_KEY", "hush-key"),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_merge-webhook"));
    let mut function = invoke(program, &variables, [delivery("hush-token", "merge")]).await.unwrap();
    let reply = function.reply().await.unwrap();
    let message = "merge-webhook: wake the watcher: Lambda Invoke guard-watch-merges: status 404 no code: Function not found";
    let expected = json!({"errorType": "Rejected", "errorMessage": message});
    assert_eq!((reply.kind.as_str(), &reply.body), ("error", &expected));
    let lines = function.lines().await.unwrap();
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 1, "one line a failed invocation: {lines:?}");
}
