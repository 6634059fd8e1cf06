//! The texts of merge requests, whole, as a played story makes them. `make generate` writes them again; a change of words
//! is seen in review.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::fs;
use std::path::Path;

use guard_simulation::{Fleet, House};
use guard_world::Regression;
use serde_json::json;

fn hold(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(file);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, wanted)) in text.lines().zip(kept.lines()).enumerate() {
        assert_eq!(is, wanted, "{file}, line {}; `make generate` writes it again", number + 1);
    }
    assert_eq!(text.lines().count(), kept.lines().count(), "{file}; `make generate` writes it again");
}

#[tokio::test(flavor = "current_thread")]
async fn an_upgrade_and_its_rollback() {
    let house = House::new(&Fleet::new(2, 1, None, None).unwrap()).unwrap();
    let regression = Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
    house.world.regress("test-euw1-2", regression);
    let input = json!({"batch_id": "test", "target_version": "1.30.5", "reason": "CVE-2026-0001 @all"});
    house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let requests = house.world.merge_requests();
    for (request, file) in requests.iter().zip(["upgrade-request.md", "rollback-request.md"]) {
        let text = format!(
            "{}\n\nbranch {}, labels {}, assignees {}\n\n{}\n",
            request.title,
            request.source_branch,
            request.labels.join(", "),
            request.assignees.join(", "),
            request.description
        );
        hold(file, &text);
    }
    assert_eq!(requests.len(), 2);
}
