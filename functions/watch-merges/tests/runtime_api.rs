//! The real program in front of a Runtime API.

use std::path::Path;

use guard_tests::fixed_answer::FixedAnswer;
use guard_tests::runtime_api::{Reply, invoke};
use serde_json::json;

#[tokio::test]
async fn with_nothing_to_watch_it_answers_and_calls_nobody_else() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch-merges.yaml");
    // Nobody listens on port 9: a call to GitLab or Secrets Manager would be an error here.
    std::fs::write(&config, "gitlab:\n  url: http://127.0.0.1:9\n").unwrap();
    let no_tokens = FixedAnswer::serve(json!({"Items": [], "Count": 0})).await.unwrap();
    let variables = [
        ("GUARD_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_DYNAMODB", no_tokens.url()),
        ("AWS_ACCESS_KEY_ID", "123456789012"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    // EventBridge sends a document of its own.
    let payloads = [json!({}), json!({"source": "aws.events"})];
    let program = Path::new(env!("CARGO_BIN_EXE_watch-merges"));
    let mut function = invoke(program, &variables, payloads).await.unwrap();
    for request_id in ["request-1", "request-2"] {
        let body = json!({"watched": 0, "answered": 0, "waiting_for_person": 0});
        let expected = Reply { kind: "response".into(), request_id: request_id.into(), body };
        assert_eq!(function.reply().await.unwrap(), expected);
    }
    let lines = function.lines().await.unwrap();
    assert_eq!(no_tokens.asked(), ["DynamoDB_20120810.Query", "DynamoDB_20120810.Query"]);
    let messages: Vec<_> = lines.iter().map(|line| (&line["level"], &line["message"])).collect();
    let answered = (&json!("INFO"), &json!("watch-merges answered"));
    assert_eq!(messages, [answered, answered]);
}

#[tokio::test]
async fn a_config_that_cannot_work_is_the_answer() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch-merges-wrong.yaml");
    std::fs::write(&config, "gitlab:\n  uri: http://127.0.0.1:9\n").unwrap();
    let variables = [("GUARD_CONFIG_FILE", config.to_str().unwrap())];
    let program = Path::new(env!("CARGO_BIN_EXE_watch-merges"));
    let mut function = invoke(program, &variables, [json!({})]).await.unwrap();
    let reply = function.reply().await.unwrap();
    assert_eq!((reply.kind.as_str(), &reply.body["errorType"]), ("error", &json!("Rejected")));
    let message = reply.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("config.gitlab.uri") && message.contains("did you mean `url`?"), "{message}");
}
