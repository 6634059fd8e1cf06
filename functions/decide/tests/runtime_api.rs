//! The real program in front of a Runtime API.

use std::path::Path;

use guard_tests::runtime_api::invoke;
use serde_json::json;

#[tokio::test]
async fn a_bad_payload_is_rejected_with_the_path_of_its_field() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decide.yaml");
    std::fs::write(&config, "{}\n").unwrap();
    let variables = [("GUARD_CONFIG_FILE", config.to_str().unwrap())];
    let run = json!({
        "run_id": "run-1", "batch_id": "prod-wave-1", "fence": 1, "dry_run": false, "target_version": null
    });
    let mut bad_fence = run.clone();
    bad_fence["fence"] = json!("hush");
    let payloads = [
        json!({"run": bad_fence, "gate": "pre_check", "results": []}),
        json!({"run": run, "gates": "pre_check", "results": []}),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_decide"));
    let mut function = invoke(program, &variables, payloads).await.unwrap();
    for path in ["payload.run.fence: ", "payload.gates: unknown field"] {
        let reply = function.reply().await.unwrap();
        assert_eq!((reply.kind.as_str(), &reply.body["errorType"]), ("error", &json!("Rejected")));
        let message = reply.body["errorMessage"].as_str().unwrap();
        assert!(message.starts_with(&format!("decide: {path}")), "{message}");
    }
    let lines = function.lines().await.unwrap();
    let named: Vec<_> = lines.iter().map(|line| (&line["level"], &line["error.name"])).collect();
    let rejected = (&json!("ERROR"), &json!("Rejected"));
    assert_eq!(named, [rejected, rejected], "one line a failed invocation");
    assert_eq!(lines[0]["execution.name"], "run-1");
}
