//! Settings that change with the version, and files that change meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_asl::TransitionKind;
use guard_domain::{HistoryEntry, IstioVersion, RunId};
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_world::Regression;
use serde_json::{Value, json};

const CLUSTERS: [&str; 2] = ["test-euw1-1", "test-euw1-2"];

fn input(updates: &Value) -> Value {
    json!({
        "batch_id": "test",
        "target_version": "1.30.5",
        "upgrade_spec": {"version": "1.30.5", "updates": updates},
    })
}

fn house() -> House {
    House::new(&Fleet::new(2, 1, None, None).unwrap()).unwrap()
}

/// How the machine ended, and what it says.
async fn ended(house: &House, machine: &str, input: Value) -> (String, String) {
    let arn = house.run_one(machine, "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let words = execution.cause.unwrap_or_else(|| execution.output.unwrap_or_default().to_string());
    (execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()), words)
}

fn istiod(house: &House, cluster: &str) -> String {
    house.world.file("main", &format!("clusters/{cluster}/istio/istiod.yaml")).unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn settings_land_with_the_version_in_every_cluster() {
    let house = house();
    let before = istiod(&house, CLUSTERS[0]);
    let (ending, cause) = ended(
        &house,
        "batch-upgrade",
        input(&json!([
            {"path": "spec.values.pilot.autoscaleMin", "value": 3},
            {"path": "spec.values.global.meshID", "value": "mesh2", "chart": "istiod"},
            {"path": "spec.chart.spec.version", "value": "1.30.5"},
        ])),
    )
    .await;
    assert_eq!(ending, "SUCCEEDED", "{cause}");
    let wanted = before
        .replace("1.29.8", "1.30.5")
        .replace("autoscaleMin: 2", "autoscaleMin: 3")
        .replace("meshID: mesh1", "meshID: mesh2");
    assert_eq!(istiod(&house, CLUSTERS[0]), wanted);
    assert!(istiod(&house, CLUSTERS[1]).contains("autoscaleMin: 3"));
    assert_eq!(house.world.merge_requests().len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn settings_go_back_with_the_version() {
    let house = house();
    let before = CLUSTERS.map(|cluster| istiod(&house, cluster));
    let harm = Regression { from_version: "1.30.5".into(), error_factor: 60.0, latency_factor: 1.0 };
    house.world.regress(CLUSTERS[1], harm);
    let updates = json!([{"path": "spec.values.pilot.autoscaleMin", "value": 3}]);
    let (ending, cause) = ended(&house, "batch-upgrade", input(&updates)).await;
    assert_eq!(ending, "RolledBack", "{cause}");
    assert!(istiod(&house, CLUSTERS[0]).contains("autoscaleMin: 3"));
    assert_eq!(istiod(&house, CLUSTERS[1]), before[1], "byte for byte");
}

async fn taken_back_by_hand(house: &House) -> String {
    let back = json!({"batch_id": "test", "reason": "customer complaint"});
    let arn = house.run_one("batch-rollback", "back-1", back).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    assert_eq!(execution.status.as_str(), "SUCCEEDED", "{:?}", execution.cause);
    house.world.merge_requests()[1].description.clone()
}

/// Days later, in a run of its own: the registry knows which run brought the version, and that run's record what it
/// changed.
#[tokio::test(flavor = "current_thread")]
async fn settings_go_back_when_a_person_takes_a_healthy_batch_back() {
    let house = house();
    let before = CLUSTERS.map(|cluster| istiod(&house, cluster));
    let updates = json!([{"path": "spec.values.pilot.autoscaleMin", "value": 3}]);
    let (ending, cause) = ended(&house, "batch-upgrade", input(&updates)).await;
    assert_eq!(ending, "SUCCEEDED", "{cause}");
    // What somebody else changed meanwhile stays.
    let path = format!("clusters/{}/istio/istiod.yaml", CLUSTERS[0]);
    let theirs = |file: &str| file.replace("meshID: mesh1", "meshID: mesh7");
    house.world.push("main", &path, Some(&theirs(&istiod(&house, CLUSTERS[0]))), "Another mesh");
    let description = taken_back_by_hand(&house).await;
    assert_eq!(istiod(&house, CLUSTERS[0]), theirs(&before[0]), "byte for byte");
    assert_eq!(istiod(&house, CLUSTERS[1]), before[1], "byte for byte");
    assert!(!description.contains("Versions only"), "{description}");
}

/// Rows that others wrote name no run, or a run that did something else: the versions go back, and the request says that
/// nothing else does.
#[tokio::test(flavor = "current_thread")]
async fn an_upgrade_without_a_record_is_taken_back_by_its_versions_and_a_person_is_told() {
    type Bend = fn(&mut HistoryEntry);
    let elsewhere: Bend = |entry| entry.version = IstioVersion::parse("1.29.1").unwrap();
    let bends: [(usize, Bend); 3] = [
        (1, |entry| entry.run_id = None),
        (1, |entry| entry.run_id = RunId::parse("long-gone").ok()),
        (0, elsewhere),
    ];
    for (entry, bend) in bends {
        let house = house();
        let updates = json!([{"path": "spec.values.pilot.autoscaleMin", "value": 3}]);
        let (ending, cause) = ended(&house, "batch-upgrade", input(&updates)).await;
        assert_eq!(ending, "SUCCEEDED", "{cause}");
        let mut row = house.store.clusters().remove(0);
        bend(&mut row.upgrade_history[entry]);
        let wanted = row.upgrade_history[0].version.to_string();
        house.store.put_clusters([row]);
        let description = taken_back_by_hand(&house).await;
        let words = format!("brought the version that runs in {}. Settings", CLUSTERS[0]);
        assert!(description.contains(&words), "{description}");
        let file = istiod(&house, CLUSTERS[0]);
        assert!(file.contains(&wanted) && file.contains("autoscaleMin: 3"), "{file}");
        assert!(istiod(&house, CLUSTERS[1]).contains("autoscaleMin: 2"), "its own upgrade is known");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollout_hands_its_settings_to_every_batch() {
    let fleet = Fleet::new(2, 1, None, None).unwrap().in_batches(2).unwrap();
    let house = House::new(&fleet).unwrap();
    let mut input = input(&json!([{"path": "spec.values.pilot.autoscaleMin", "value": 3}]));
    input.as_object_mut().unwrap().remove("batch_id");
    let (ending, cause) = ended(&house, "rollout", input).await;
    assert_eq!(ending, "SUCCEEDED", "{cause}");
    for row in house.store.clusters() {
        assert!(istiod(&house, row.cluster_id.as_str()).contains("autoscaleMin: 3"), "{}", row.cluster_id);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_shows_the_settings_too() {
    let house = house();
    let mut input = input(&json!([{"path": "spec.values.pilot.autoscaleMin", "value": 3}]));
    input["dry_run"] = json!(true);
    let (ending, output) = ended(&house, "batch-upgrade", input).await;
    assert_eq!(ending, "SUCCEEDED", "{output}");
    assert!(output.contains("+      autoscaleMin: 3"), "{output}");
    assert!(istiod(&house, CLUSTERS[0]).contains("autoscaleMin: 2"));
}

/// The pre-check finds it, before anything is changed.
#[tokio::test(flavor = "current_thread")]
async fn a_path_that_is_not_there_stops_the_batch() {
    let house = house();
    let updates = json!([
        {"path": "spec.values.pilot.autoscaleMin", "value": 3},
        {"path": "spec.values.pilot.autoscaleMim", "value": 3},
    ]);
    let (ending, cause) = ended(&house, "batch-upgrade", input(&updates)).await;
    assert_eq!(ending, "GateFailed", "{cause}");
    assert!(cause.contains("SPEC_PATH_MISSING"), "{cause}");
    assert_eq!(house.world.merge_requests().len(), 0);
    let run = RunId::parse("run-1").unwrap();
    let entry = house.store.entry(&run, "pre-check#test-euw1-1").await.unwrap().unwrap();
    let told = entry["findings"].to_string();
    assert!(told.contains("did you mean `autoscaleMin`?"), "{told}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_spec_that_cannot_be_followed_is_rejected_with_its_fields() {
    let house = house();
    for (spec, words) in [
        (
            json!({"version": "1.30.4", "updates": [{"path": "spec.values.a", "value": 1}]}),
            "input.upgrade_spec.version: 1.30.4 is not the target version 1.30.5",
        ),
        (
            json!({"version": "1.30.5", "updates": [{"path": "spec.releaseName", "value": "x"}]}),
            "input.upgrade_spec.updates[0].path: `spec.releaseName` may not change",
        ),
        (
            json!({"version": "1.30.5", "updates": [{"path": "spec.values.a", "valeu": 1}]}),
            "input.upgrade_spec.updates[0].valeu: unknown field `valeu`",
        ),
        (
            json!({"version": "1.30.5", "updates": [{"path": "spec.values.a", "value": 1, "chart": "istio"}]}),
            "input.upgrade_spec.updates[0].chart: unknown variant `istio`",
        ),
    ] {
        let input = json!({"batch_id": "test", "target_version": "1.30.5", "upgrade_spec": spec});
        let arn =
            house.run_one("batch-upgrade", &format!("run-{}", words.len()), input.clone()).await.unwrap();
        let execution = house.service.describe_execution(&arn).unwrap();
        assert_eq!(execution.error.as_deref(), Some("Rejected"), "{input}");
        assert!(execution.cause.as_deref().unwrap().contains(words), "{:?}", execution.cause);
        let mut rollout = input;
        rollout.as_object_mut().unwrap().remove("batch_id");
        let arn = house.run_one("rollout", &format!("all-{}", words.len()), rollout).await.unwrap();
        assert!(house.service.describe_execution(&arn).unwrap().cause.unwrap().contains(words));
    }
}

/// A colleague commits between the check and the request: what was checked is not what would be edited.
#[tokio::test(flavor = "current_thread")]
async fn a_file_that_changed_since_the_pre_check_stops_the_batch() {
    let house = house();
    let world = house.world.clone();
    let path = format!("clusters/{}/istio/istiod.yaml", CLUSTERS[0]);
    let content = istiod(&house, CLUSTERS[0]).replace("autoscaleMin: 2", "autoscaleMin: 4");
    house.observe(move |transition| {
        let is_entry = matches!(transition.kind, TransitionKind::Entered);
        if is_entry && transition.state.as_deref() == Some("DecidePreCheck") {
            world.push("main", &path, Some(&content), "More pilots");
        }
    });
    let (ending, cause) =
        ended(&house, "batch-upgrade", json!({"batch_id": "test", "target_version": "1.30.5"})).await;
    assert_eq!(ending, "GateFailed", "{cause}");
    assert!(
        cause.contains("FILE_CHANGED") && cause.contains("clusters/test-euw1-1/istio/istiod.yaml"),
        "{cause}"
    );
    assert_eq!(house.world.merge_requests().len(), 0);
    assert!(house.store.held_locks().is_empty());
}
