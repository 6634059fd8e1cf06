//! docs/rbac.yaml is enough: pre-checks and a whole upgrade in clusters that allow what it says, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::fs;

use guard_domain::RunId;
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_world::{Grant, System};
use serde_json::{Value, json};

const CLUSTER: &str = "test-euw1-1";

/// All roles of those who look and change nothing.
const READS: [&str; 3] = ["guard-read", "guard-read-istiod", "guard-probe"];

/// The rules of the named role.
fn grants(role: &str) -> Vec<Grant> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rbac.yaml");
    let documents = fs::read_to_string(path).unwrap();
    let documents: Vec<Value> =
        documents.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    let is_role = |one: &&Value| one["kind"] == "ClusterRole" || one["kind"] == "Role";
    let role = documents.iter().filter(is_role).find(|one| one["metadata"]["name"] == role).unwrap();
    let namespace = role["metadata"]["namespace"].as_str().map(str::to_owned);
    let texts = |rule: &Value, key: &str| serde_json::from_value(rule[key].clone()).unwrap();
    let grant = |rule: &Value| Grant {
        groups: texts(rule, "apiGroups"),
        resources: texts(rule, "resources"),
        verbs: texts(rule, "verbs"),
        namespace: namespace.clone(),
    };
    role["rules"].as_array().unwrap().iter().map(grant).collect()
}

async fn run(roles: &[&str], input: Value) -> (House, Option<String>) {
    let house = House::new(&Fleet::new(1, 1, None, None).unwrap()).unwrap();
    house.world.allow_only(CLUSTER, roles.iter().flat_map(|role| grants(role)).collect());
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let error = house.service.describe_execution(&arn).unwrap().error;
    (house, error)
}

fn refused(house: &House) -> Vec<String> {
    let is_refused =
        |one: &guard_world::RequestLog| matches!(one.system, System::Kubernetes(_)) && one.status == 403;
    let calls = house.world.requests().into_iter().filter(is_refused);
    calls.map(|one| format!("{} {}", one.method, one.path.split('?').next().unwrap())).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn who_may_only_read_can_check() {
    let input = json!({"batch_id": "test", "target_version": "1.30.5", "dry_run": true});
    let (house, error) = run(&READS, input).await;
    assert_eq!((error, refused(&house)), (None, vec![]));
    let run = RunId::parse("run-1").unwrap();
    let entry = house.store.entry(&run, &format!("pre-check#{CLUSTER}")).await.unwrap();
    // A dry run's record is its own; a real one's is kept.
    if let Some(entry) = entry {
        assert_eq!(entry["verdict"], "pass", "{entry}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn both_roles_are_enough_for_an_upgrade() {
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let (house, error) = run(&[&READS[..], &["guard-restart"]].concat(), input).await;
    assert_eq!((error, refused(&house)), (None, vec![]));
    let proxies = house.world.cluster(CLUSTER).unwrap().proxy_versions;
    assert_eq!(proxies.keys().collect::<Vec<_>>(), ["1.30.5"], "all were restarted");
}

/// Nothing is restarted, and the end says why.
#[tokio::test(flavor = "current_thread")]
async fn without_the_second_role_nothing_is_restarted() {
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let (house, error) = run(&READS, input).await;
    assert_eq!(error.as_deref(), Some("Halted"));
    assert!(
        refused(&house).iter().all(|call| call.starts_with("PATCH /apis/apps/v1/")),
        "{:?}",
        refused(&house)
    );
    let workloads = house.world.cluster(CLUSTER).unwrap().workloads;
    assert!(workloads.iter().all(|one| one.restarts == 0));
}
