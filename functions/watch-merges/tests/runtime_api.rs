//! The real program in front of a Runtime API.

use std::path::Path;

use guard_tests::fixed_answer::FixedAnswer;
use guard_tests::runtime_api::{Reply, invoke};
use serde_json::json;

#[tokio::test]
async fn with_nothing_to_watch_it_answers_and_calls_nobody_else() {
    // Nobody listens on port 9: a call to Parameter Store, Secrets Manager or GitLab would be an error here.
    let no_tokens = FixedAnswer::serve(json!({"Items": [], "Count": 0})).await.unwrap();
    let variables = [
        ("GUARD_CONFIG_PARAMETER", "/guard/config"),
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
        let body = json!({"watched": 0, "answered": 0, "waiting_for_merge": 0, "waiting_for_person": 0});
        let expected = Reply { kind: "response".into(), request_id: request_id.into(), body };
        assert_eq!(function.reply().await.unwrap(), expected);
    }
    let lines = function.lines().await.unwrap();
    assert_eq!(no_tokens.asked(), ["DynamoDB_20120810.Query", "DynamoDB_20120810.Query"]);
    let messages: Vec<_> = lines.iter().map(|line| (&line["level"], &line["message"])).collect();
    let answered = (&json!("INFO"), &json!("watch-merges answered"));
    assert_eq!(messages, [answered, answered]);
}

/// At the finest level, with a secret in every place that one passes: none is written, and what was called is.
#[tokio::test]
async fn the_finest_log_tells_every_call_and_no_secret() {
    let proposed = json!({
        "project": "platform/fleet", "clusters": ["eks-1"], "base_commit": "b0", "source_branch": "feature/x",
        "target_branch": "main", "marker": "m", "changes": [], "digest": "d", "landed": null,
        "opened": {"iid": 7, "web_url": "https://gitlab.example.com/7", "commit": "c0"}
    });
    let row = json!({
        "run_id": {"S": "run-1"}, "entry": {"S": "token#upgrade"}, "waits_for": {"S": "upgrade"},
        "waits_until": {"S": "2099-01-01T00:00:00Z"}, "token": {"S": "hush-task-token"},
        "batch_id": {"S": "test"}, "fence": {"N": "7"}
    });
    // One document that every system reads its own part of; GitLab finds nothing in it.
    let everything = FixedAnswer::serve(json!({
        "Items": [{
            "run_id": {"S": "run-1"}, "entry": {"S": "merge-request#upgrade#001"},
            "value": {"S": proposed.to_string()}
        }],
        "Count": 1,
        "Responses": {"guard-runs": [row]}, "UnprocessedKeys": {},
        "Name": "guard/gitlab-token", "SecretString": "hush-gitlab-token"
    }))
    .await
    .unwrap();
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch-merges-trace.yaml");
    std::fs::write(&config, format!("gitlab:\n  url: {}\n", everything.url())).unwrap();
    let variables = [
        ("GUARD_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_ENDPOINT_URL", everything.url()),
        ("AWS_ACCESS_KEY_ID", "123456789012"),
        ("AWS_SECRET_ACCESS_KEY", "hush-own-key"),
        ("AWS_SESSION_TOKEN", "hush-session"),
        ("RUST_LOG", "trace"),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_watch-merges"));
    let mut function = invoke(program, &variables, [json!({"hush": "hush-payload"})]).await.unwrap();
    let reply = function.reply().await.unwrap();
    assert_eq!(reply.kind, "error", "GitLab answered something else: {reply:?}");
    let (lines, metrics) = function.lines_and_metrics().await.unwrap();
    let text = format!("{lines:?} {metrics:?} {reply:?}");
    assert!(!text.contains("hush"), "{text}");
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 1, "{text}");
    let called: Vec<&str> = lines
        .iter()
        .filter(|line| line["status"] == 200 && line["duration_ms"].is_u64())
        .map(|line| line["operation"].as_str().unwrap())
        .collect();
    let gitlab = "GET /api/v4/projects/platform%2Ffleet/merge_requests";
    assert_eq!(called, ["Query", "BatchGetItem", "Query", "GetSecretValue", "UpdateItem", gitlab]);
}

/// The error line at the boundary is the only one: the SDK must not add its own.
#[tokio::test]
async fn a_table_that_is_out_of_order_is_one_error_line() {
    for (status, code) in
        [(500, "InternalServerError"), (503, "ServiceUnavailable"), (400, "ThrottlingException")]
    {
        let out_of_order =
            FixedAnswer::refuse(status, json!({"__type": code, "message": "why"})).await.unwrap();
        let variables = [
            ("GUARD_CONFIG_PARAMETER", "/guard/config"),
            ("AWS_ENDPOINT_URL_DYNAMODB", out_of_order.url()),
            ("AWS_ACCESS_KEY_ID", "123456789012"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let program = Path::new(env!("CARGO_BIN_EXE_watch-merges"));
        let mut function = invoke(program, &variables, [json!({})]).await.unwrap();
        assert_eq!(function.reply().await.unwrap().kind, "error");
        let lines = function.lines().await.unwrap();
        let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
        let [line] = &errors[..] else { panic!("{status}: one line: {lines:#?}") };
        assert!(line["message"].as_str().unwrap().contains(code), "{line}");
    }
}
