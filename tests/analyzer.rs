//! What Istio's analyzer says, before the change and after it, and what becomes of the run.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_domain::analyzer::{Level, Message};
use guard_domain::{AcceptedMessage, ClusterStatus as S, Config, OnUnknown, RunId};
use guard_memory::MemoryStore;
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

struct Ended {
    house: House,
    ending: String,
    cause: String,
}

impl Ended {
    fn statuses(&self) -> Vec<S> {
        self.house.store.clusters().iter().map(|row| row.status).collect()
    }

    fn is_unchanged(&self) -> bool {
        self.house.world.merge_requests().is_empty()
    }

    /// What a check of the first cluster found, code and weight.
    async fn found(&self, entry: &str, list: &str) -> Vec<(String, String)> {
        let run = RunId::parse("run-1").unwrap();
        let entry = self.house.store.entry(&run, entry).await.unwrap().unwrap();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let findings = entry.pointer(list).unwrap().as_array().unwrap();
        findings.iter().map(|finding| (text(finding, "code"), text(finding, "severity"))).collect()
    }

    async fn found_before(&self) -> Vec<(String, String)> {
        self.found("pre-check#test-euw1-1", "/findings").await
    }

    async fn found_after(&self) -> Vec<(String, String)> {
        self.found("findings#test-euw1-1#post-check-upgrade", "").await
    }
}

fn pair(code: &str, severity: &str) -> (String, String) {
    (code.to_owned(), severity.to_owned())
}

async fn play(
    machine: &str,
    input: Value,
    configure: impl FnOnce(&mut Config),
    bend: impl FnOnce(&House),
) -> Ended {
    let mut fleet = Fleet::new(2, 1, None, None).unwrap();
    configure(&mut fleet.config);
    let house = House::new(&fleet).unwrap();
    bend(&house);
    let arn = house.run_one(machine, "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    Ended {
        house,
        ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
    }
}

/// An upgrade with the target's analyzer at hand, whose answer is waited for.
async fn upgrade(bend: impl FnOnce(&House)) -> Ended {
    upgrade_where(|_| {}, bend).await
}

async fn upgrade_where(configure: impl FnOnce(&mut Config), bend: impl FnOnce(&House)) -> Ended {
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let strict = |config: &mut Config| {
        config.policy.analyzer_unknown = OnUnknown::Stop;
        configure(config);
    };
    let install = |house: &House| {
        house.analyzer.install("1.30.3".parse().unwrap());
        bend(house);
    };
    play("batch-upgrade", input, strict, install).await
}

fn message(level: Level, code: &str, origin: &str) -> Message {
    Message {
        code: code.into(),
        level,
        origin: origin.into(),
        text: "Referenced host not found".into(),
        documentation: "https://istio.io".into(),
    }
}

fn error() -> Message {
    message(Level::Error, "IST0101", "VirtualService shop/web")
}

/// After the pre-check, before the post-check.
fn in_between(house: &House) -> Timestamp {
    house.service.now() + SignedDuration::from_mins(30)
}

#[tokio::test(flavor = "current_thread")]
async fn an_analyzer_that_finds_nothing_is_an_answer() {
    let ended = upgrade(|_| {}).await;
    assert_eq!(
        (ended.ending.as_str(), ended.statuses()),
        ("SUCCEEDED", vec![S::Healthy; 2]),
        "{}",
        ended.cause
    );
    assert_eq!(ended.found_before().await, []);
    assert_eq!(ended.found_after().await, []);
}

#[tokio::test(flavor = "current_thread")]
async fn an_analyzer_that_is_not_there_stops_the_batch_where_the_policy_says_so() {
    let stop = |config: &mut Config| config.policy.analyzer_unknown = OnUnknown::Stop;
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let ended = play("batch-upgrade", input, stop, |_| {}).await;
    assert_eq!(ended.ending, "Halted");
    assert!(ended.cause.contains("ANALYZER_UNKNOWN test-euw1-1"), "{}", ended.cause);
    assert!(ended.is_unchanged());
}

#[tokio::test(flavor = "current_thread")]
async fn an_analyzer_of_another_minor_version_is_no_answer() {
    let ended = upgrade(|house| house.analyzer.install("1.29.8".parse().unwrap())).await;
    assert_eq!((ended.ending.as_str(), ended.is_unchanged()), ("Halted", true));
    assert_eq!(ended.found_before().await, [pair("ANALYZER_UNKNOWN", "unknown")]);
}

#[tokio::test(flavor = "current_thread")]
async fn an_error_stops_the_batch_before_anything_is_changed() {
    let ended = upgrade(|house| house.analyzer.says("test-euw1-1", house.service.now(), error())).await;
    assert_eq!(ended.ending, "GateFailed");
    assert!(ended.cause.contains("IST0101 test-euw1-1: VirtualService shop/web"), "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::PreCheckFailed, S::PreCheckPassed]);
    assert!(ended.is_unchanged());
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_fleet_lives_with_stops_nothing_before_or_after() {
    let accept = |config: &mut Config| {
        let origin = Some("VirtualService shop/*".to_owned());
        config.policy.analyzer_accepted =
            vec![AcceptedMessage { code: "IST0101".into(), origin, reason: "external host".into() }];
    };
    let ended = upgrade_where(accept, |house| {
        house.analyzer.says("test-euw1-1", house.service.now(), error());
        let warning = message(Level::Warning, "IST0103", "Pod shop/job");
        house.analyzer.says("test-euw1-1", house.service.now(), warning);
    })
    .await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.found_before().await, [pair("IST0101", "warning"), pair("IST0103", "warning")]);
    assert_eq!(ended.found_after().await, [], "nothing of it is new");
}

#[tokio::test(flavor = "current_thread")]
async fn an_error_that_is_new_afterwards_takes_the_cluster_back() {
    let ended = upgrade(|house| house.analyzer.says("test-euw1-1", in_between(house), error())).await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::FailedUpgradeRolledBack, S::Healthy]);
    assert_eq!(ended.found_after().await, [pair("IST0101", "blocking")]);
    let rollback = ended.house.world.merge_requests().pop().unwrap();
    assert!(rollback.description.contains("new since the pre-check"), "{}", rollback.description);
    // It is still said with the old version: told, for it was not of the new one.
    let found = ended.found("findings#test-euw1-1#post-check-rollback", "").await;
    assert_eq!(found, [pair("IST0101", "warning")]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_warning_that_is_new_afterwards_is_told() {
    let warning = message(Level::Warning, "IST0103", "Pod shop/job");
    let ended = upgrade(|house| house.analyzer.says("test-euw1-1", in_between(house), warning)).await;
    assert_eq!((ended.ending.as_str(), ended.statuses()), ("SUCCEEDED", vec![S::Healthy; 2]));
    assert_eq!(ended.found_after().await, [pair("IST0103", "warning")]);
}

#[tokio::test(flavor = "current_thread")]
async fn an_analyzer_that_falls_silent_is_never_a_pass_and_never_a_reason_to_go_back() {
    let hush = |house: &House| house.analyzer.falls_silent("test-euw1-1", in_between(house), "it hung");
    let ended = upgrade(hush).await;
    assert_eq!(ended.ending, "Halted", "{}", ended.cause);
    assert_eq!(ended.house.world.merge_requests().len(), 1, "no rollback because an analyzer hangs");
    assert_eq!(ended.found_after().await, [pair("ANALYZER_UNKNOWN", "unknown")]);
    let ended = upgrade_where(|config| config.policy.analyzer_unknown = OnUnknown::Warn, hush).await;
    assert_eq!(ended.ending, "SUCCEEDED");
    assert_eq!(ended.found_after().await, [pair("ANALYZER_UNKNOWN", "warning")]);
}

/// Whoever waits for the analyzer before an upgrade still gets back without it.
#[tokio::test(flavor = "current_thread")]
async fn a_way_back_never_fails_for_want_of_an_answer() {
    let mut fleet = Fleet::new(2, 1, None, None).unwrap();
    fleet.config.policy.analyzer_unknown = OnUnknown::Stop;
    let house = House::new(&fleet).unwrap();
    house.analyzer.install("1.30.3".parse().unwrap());
    let up = json!({"batch_id": "test", "target_version": "1.30.5"});
    house.run_one("batch-upgrade", "run-0", up).await.unwrap();
    let back = json!({"batch_id": "test", "reason": "by hand"});
    let arn = house.run_one("batch-rollback", "run-1", back).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    assert_eq!((execution.error, execution.status.as_str()), (None, "SUCCEEDED"), "{:?}", execution.cause);
    let run = RunId::parse("run-1").unwrap();
    let found = house.store.entry(&run, "findings#test-euw1-1#post-check-rollback").await.unwrap().unwrap();
    assert_eq!(
        (found[0]["code"].as_str(), found[0]["severity"].as_str()),
        (Some("ANALYZER_UNKNOWN"), Some("warning"))
    );
}

/// The record is what both checks meet in; it holds no more than it must.
#[tokio::test(flavor = "current_thread")]
async fn what_was_said_is_kept_in_the_record_of_the_run() {
    let warning = message(Level::Warning, "IST0103", "Pod shop/job");
    let info = message(Level::Info, "IST0102", "Namespace shop");
    let ended = upgrade(|house| {
        house.analyzer.says("test-euw1-1", house.service.now(), warning);
        house.analyzer.says("test-euw1-1", house.service.now(), info);
    })
    .await;
    let store: &MemoryStore = &ended.house.store;
    let entry = store.entry(&RunId::parse("run-1").unwrap(), "pre-check#test-euw1-1").await.unwrap().unwrap();
    assert_eq!(
        entry["analysis"],
        json!({"version": "1.30.3", "said": {"IST0103": ["Pod shop/job"]}, "is_cut": false})
    );
}
