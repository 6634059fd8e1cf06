//! The real program in front of a Runtime API: where its configuration comes from.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::path::Path;

use guard_tests::fixed_answer::FixedAnswer;
use guard_tests::runtime_api::invoke;
use serde_json::{Value, json};

fn payload() -> Value {
    json!({
        "input": {"target_version": "1.30.5"}, "execution_arn": "arn:r1", "execution_name": "r1", "last_batch": ""
    })
}

/// What the function answers when its variables are these: error name and message, once for each invocation.
async fn refusals(variables: &[(&str, &str)], invocations: usize) -> Vec<(String, String)> {
    let program = Path::new(env!("CARGO_BIN_EXE_plan-rollout"));
    let payloads = std::iter::repeat_n(payload(), invocations);
    let mut function = invoke(program, variables, payloads).await.unwrap();
    let mut refusals = Vec::new();
    for _ in 0..invocations {
        let reply = function.reply().await.unwrap();
        let text = |key: &str| reply.body[key].as_str().unwrap().to_owned();
        refusals.push((text("errorType"), text("errorMessage")));
    }
    let lines = function.lines().await.unwrap();
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, invocations, "one error line a failed invocation: {lines:?}");
    refusals
}

async fn with_parameter_store(
    answer: FixedAnswer,
    invocations: usize,
) -> (Vec<(String, String)>, FixedAnswer) {
    // Nobody listens on port 9.
    let variables = [
        ("GUARD_CONFIG_PARAMETER", "/guard/config"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_SSM", answer.url()),
        ("AWS_ACCESS_KEY_ID", "123456789012"),
        ("AWS_SECRET_ACCESS_KEY", "hush-key"),
    ];
    (refusals(&variables, invocations).await, answer)
}

#[tokio::test]
async fn a_parameter_that_cannot_work_is_the_answer_each_time_anew() {
    let document = json!({"Parameter": {"Name": "/guard/config", "Value": "gitlab:\n  uri: hush\n"}});
    let store = FixedAnswer::serve(document).await.unwrap();
    let (refusals, store) = with_parameter_store(store, 2).await;
    assert_eq!(store.asked(), ["AmazonSSM.GetParameter"; 2], "a warm function reads what was put since");
    for (name, message) in refusals {
        assert_eq!(name, "Rejected");
        let start = "plan-rollout: read configuration: read parameter /guard/config: config.gitlab.uri: unknown field";
        assert!(message.starts_with(start) && message.ends_with("did you mean `url`?"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_there_is_named() {
    let refusal = json!({"__type": "ParameterNotFound"});
    let store = FixedAnswer::refuse(400, refusal).await.unwrap();
    let (refusals, _) = with_parameter_store(store, 1).await;
    let message =
        "plan-rollout: read configuration: SSM GetParameter /guard/config: status 400 ParameterNotFound: ";
    assert_eq!(refusals, [("Rejected".to_owned(), message.to_owned())]);
}

#[tokio::test]
async fn the_permission_that_is_missing_is_named() {
    let refusal = json!({"__type": "AccessDeniedException", "message": "is not authorized"});
    let store = FixedAnswer::refuse(400, refusal).await.unwrap();
    let (refusals, _) = with_parameter_store(store, 1).await;
    let [(name, message)] = &refusals[..] else { panic!("one invocation") };
    assert_eq!(name, "Denied");
    assert!(
        message.contains("SSM GetParameter /guard/config: status 400 AccessDeniedException: "),
        "{message}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_work_is_the_answer() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plan-rollout-wrong.yaml");
    std::fs::write(&config, "gitlab:\n  uri: http://127.0.0.1:9\n").unwrap();
    let refusals = refusals(&[("GUARD_CONFIG_FILE", config.to_str().unwrap())], 1).await;
    let [(name, message)] = &refusals[..] else { panic!("one invocation") };
    assert_eq!(name, "Rejected");
    assert!(message.contains("config.gitlab.uri") && message.ends_with("did you mean `url`?"), "{message}");
}

#[tokio::test]
async fn two_places_for_one_configuration_are_refused() {
    let both = [("GUARD_CONFIG_FILE", "guard.yaml"), ("GUARD_CONFIG_PARAMETER", "/guard/config")];
    let message =
        "the function cannot start: both GUARD_CONFIG_PARAMETER and GUARD_CONFIG_FILE are set: keep one";
    assert_eq!(refusals(&both, 1).await, [("Rejected".to_owned(), message.to_owned())]);
}
