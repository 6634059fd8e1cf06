//! Clusters that are left out of a batch.

use guard_simulation::{Fleet, House};
use serde_json::json;

use crate::CLUSTER;
use crate::bends::not_ready;

/// Three clusters and two causes: the batch goes on with the third, and everybody is told.
#[tokio::test(flavor = "current_thread")]
async fn clusters_with_causes_of_their_own_are_left_out_where_policy_says_so() {
    let ending = async |budget: u32, bend: fn(&House)| {
        let mut fleet = Fleet::new(3, 1, None, None).unwrap();
        fleet.config.policy.pre_check_failure_budget = budget;
        let house = House::new(&fleet).unwrap();
        bend(&house);
        let input = json!({"batch_id": "test", "target_version": "1.30.5"});
        let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
        (house.service.describe_execution(&arn).unwrap(), house)
    };
    let two_causes = |house: &House| {
        house.world.fire_monitor(CLUSTER, "mesh 5xx");
        house.world.show("test-euw1-2", "nodes", |objects| not_ready(&mut objects[0]));
    };
    let (execution, house) = ending(2, two_causes).await;
    assert_eq!(execution.error, None, "{:?}", execution.cause);
    let rows = house.store.clusters();
    let told: Vec<(&str, String)> =
        rows.iter().map(|row| (row.status.as_str(), row.current_istio_version.to_string())).collect();
    let stays = || ("pre-check-failed", "1.29.8".to_owned());
    assert_eq!(told, [stays(), stays(), ("healthy", "1.30.5".to_owned())]);
    for (id, version) in [(CLUSTER, "1.29.8"), ("test-euw1-2", "1.29.8"), ("test-euw1-3", "1.30.5")] {
        let seen = house.world.cluster(id).unwrap();
        assert_eq!(seen.istiod_version.as_deref(), Some(version), "{id}");
        let restarts: u32 = seen.workloads.iter().map(|workload| workload.restarts).sum();
        assert_eq!(restarts > 0, version == "1.30.5", "{id}: restarts");
    }
    let requests = house.world.merge_requests();
    assert_eq!(requests.len(), 1);
    let left_out = requests[0].description.split("### Left out").nth(1).unwrap();
    assert!(left_out.contains("test-euw1-1: ") && left_out.contains("MONITOR\\_FIRING"), "{left_out}");
    assert!(left_out.contains("test-euw1-2: ") && left_out.contains("NODE\\_NOT\\_READY"), "{left_out}");
    assert!(house.store.held_locks().is_empty());
    let output = execution.output.unwrap().to_string();
    assert!(output.contains("left out after their pre-checks: test-euw1-1, test-euw1-2"), "{output}");

    // One more than the budget, and one cause in two of them.
    let (execution, _) = ending(1, two_causes).await;
    assert_eq!(execution.error.as_deref(), Some("GateFailed"));
    let cause = execution.cause.unwrap();
    assert!(cause.contains("not left out: 2 failed, policy.pre_check_failure_budget is 1"), "{cause}");
    let one_cause = |house: &House| {
        house.world.fire_monitor(CLUSTER, "mesh 5xx");
        house.world.fire_monitor("test-euw1-2", "mesh 5xx");
    };
    let (execution, house) = ending(2, one_cause).await;
    assert_eq!(execution.error.as_deref(), Some("GateFailed"));
    assert!(execution.cause.unwrap().contains("MONITOR_FIRING was found in test-euw1-1 and in test-euw1-2"));
    assert_eq!(house.world.merge_requests().len(), 0);
}
