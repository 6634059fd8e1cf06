//! People are told, each occasion once; and whatever becomes of the telling, the run ends as it would.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guard_simulation::{Fault, FaultHook, Fleet, House, Occasion, Report, Scenario, Story, What};
use guard_tasks::ErrorName;
use guard_world::{Answer, System};
use jiff::Timestamp;

/// A run's end, and what people were told on the way.
struct Told {
    story: Story,
    report: Report,
}

impl Told {
    fn chat(&self) -> Vec<String> {
        self.house().world.messages().into_iter().map(|message| message.text).collect()
    }

    fn pager(&self) -> Vec<(String, String)> {
        let events = self.house().world.events().into_iter();
        events.map(|event| (event.action, event.dedup_key)).collect()
    }

    fn house(&self) -> &House {
        self.story.house()
    }

    /// What must not depend on whether people could be reached.
    fn end(&self) -> String {
        let report = &self.report;
        let clusters = serde_json::to_string(&report.clusters).unwrap();
        format!("{:?} {:?} {clusters} {:?}", report.error, report.cause, report.held_locks)
    }

    fn audit(&self, start: &str) -> usize {
        self.report.audit.iter().filter(|line| line.what.starts_with(start)).count()
    }
}

async fn play(scenario: Scenario, hook: impl FaultHook + 'static, bend: impl FnOnce(&House)) -> Told {
    let fleet = Fleet::new(2, 1, None, None).unwrap();
    play_in(fleet, scenario, hook, bend).await
}

async fn play_in(
    fleet: Fleet,
    scenario: Scenario,
    hook: impl FaultHook + 'static,
    bend: impl FnOnce(&House),
) -> Told {
    let story = Story::with_faults(scenario, fleet, hook).unwrap();
    bend(story.house());
    let report = story.play().await.unwrap();
    Told { story, report }
}

fn nothing(_: &Occasion) -> Option<Fault> {
    None
}

fn is_to_people(occasion: &Occasion) -> bool {
    matches!(&occasion.what, What::Call { system, .. } if ["Slack", "PagerDuty"].contains(system))
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollback_is_told_from_its_request_to_its_end() {
    let told = play(Scenario::Regression, nothing, |_| {}).await;
    assert_eq!(told.report.surprises, Vec::<String>::new());
    let message = &told.house().world.messages()[1];
    assert!(message.text.starts_with("Waiting for a merge: [ROLLBACK] Istio back to v1.29.8"), "{message:?}");
    let body = message.body.to_string();
    let url = &told.house().world.merge_requests()[1].web_url;
    for part in ["test-euw1-2", "1.30.5 to 1.29.8", url, "guard monitor --batch test"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("test-euw1-1"), "only what goes back: {body}");
    let end = told.house().world.messages()[2].body.to_string();
    assert!(end.contains("requests failed, 0."), "the evidence: {end}");
    // Upgrade requests call nobody; the rollback's incident is over once it was merged.
    let (trigger, resolve) = ("trigger".to_owned(), "resolve".to_owned());
    let key = |name: &str| format!("guard/test-1.30.5/{name}");
    assert_eq!(
        told.pager(),
        [
            (trigger.clone(), key("waiting-for-merge")),
            (resolve, key("waiting-for-merge")),
            (trigger, key("rolled-back"))
        ]
    );
    assert_eq!((told.audit("told the chat"), told.audit("told the pager")), (3, 2));
}

#[tokio::test(flavor = "current_thread")]
async fn an_unmerged_rollback_is_told_again_at_growing_intervals() {
    let told = play(Scenario::RollbackUnmerged, nothing, |_| {}).await;
    assert_eq!(told.report.surprises, Vec::<String>::new());
    let messages = told.house().world.messages();
    let at = |start: &str| -> Vec<Timestamp> {
        messages.iter().filter(|message| message.text.starts_with(start)).map(|message| message.at).collect()
    };
    let (first, reminders) = (at("Waiting for a merge: [ROLLBACK]")[0], at("Rollback not merged"));
    let waits: Vec<i64> = [vec![first], reminders]
        .concat()
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).as_mins())
        .collect();
    assert_eq!(waits, [15, 30, 60, 120, 240, 480]);
    // All of them are one incident, which the failed rollback ends.
    let keys: BTreeSet<String> = told.pager().into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn reminders_end_with_the_merge() {
    let mut fleet = Fleet::new(2, 1, None, None).unwrap();
    fleet.world.person.rollback = Answer::Merge { after: Duration::from_mins(50) };
    let told = play_in(fleet, Scenario::Regression, nothing, |_| {}).await;
    let reminders = told.chat().iter().filter(|text| text.starts_with("Rollback not merged")).count();
    assert_eq!((reminders, told.report.error.as_deref()), (2, Some("RolledBack")));
    assert_eq!(told.house().world.open_incidents(), ["guard/test-1.30.5/rolled-back"]);
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_cannot_be_reached_fails_no_run() {
    let scenarios = [
        Scenario::PreCheckFails,
        Scenario::Regression,
        Scenario::MarginalAsksAPerson,
        Scenario::RollbackFails,
        Scenario::FluxSuspended,
    ];
    for scenario in scenarios {
        let whole = play(scenario, nothing, |_| {}).await;
        let mut faults: Vec<Fault> = ErrorName::ALL.into_iter().map(Fault::fails).collect();
        faults.extend([Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow]);
        for fault in faults {
            let hurt = fault.clone();
            let hook = move |occasion: &Occasion| is_to_people(occasion).then(|| hurt.clone());
            let told = play(scenario, hook, |_| {}).await;
            let what = format!("{}: {fault:?}", scenario.name());
            assert_eq!(told.end(), whole.end(), "{what}");
            match fault {
                Fault::Fails(_) => {
                    assert_eq!((told.chat().len(), told.pager().len()), (0, 0), "{what}");
                    assert!(told.audit("could not tell the chat") > 0, "{what}");
                }
                // Told more than once, for nobody knew; never anything else.
                Fault::LosesReply | Fault::ActsTwice | Fault::IsSlow | Fault::IsStale | Fault::Dies => {
                    let once = |told: &Told| told.chat().into_iter().collect::<BTreeSet<_>>();
                    assert_eq!(once(&told), once(&whole), "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_outage_of_both_services_is_written_down() {
    let told = play(Scenario::Regression, nothing, |house| {
        for system in [System::Slack, System::PagerDuty] {
            house.world.outage(system, Timestamp::MIN, Timestamp::MAX, 503);
        }
    })
    .await;
    assert_eq!(told.report.error.as_deref(), Some("RolledBack"));
    assert_eq!((told.audit("could not tell the chat"), told.audit("could not tell the pager")), (3, 2));
    assert_eq!((told.audit("told the chat"), told.audit("told the pager")), (0, 0));
    assert_eq!(told.report.held_locks, Vec::<String>::new());
}

/// An incident that the pager could not be told of is not over for it either.
#[tokio::test(flavor = "current_thread")]
async fn what_the_pager_never_heard_of_is_not_resolved() {
    let was_refused = AtomicBool::new(false);
    let hook = move |occasion: &Occasion| {
        let is_pager = matches!(&occasion.what, What::Call { system, .. } if *system == "PagerDuty");
        (is_pager && !was_refused.swap(true, Ordering::Relaxed)).then(|| Fault::fails(ErrorName::Denied))
    };
    let told = play(Scenario::Regression, hook, |_| {}).await;
    assert_eq!(told.pager(), [("trigger".to_owned(), "guard/test-1.30.5/rolled-back".to_owned())]);
}

/// A connection that breaks once is nobody's loss.
#[tokio::test(flavor = "current_thread")]
async fn a_broken_connection_is_tried_once_more() {
    let is_over = AtomicBool::new(false);
    let hook = move |occasion: &Occasion| {
        (is_to_people(occasion) && !is_over.swap(true, Ordering::Relaxed))
            .then(|| Fault::fails(ErrorName::Transient))
    };
    let told = play(Scenario::Clean, hook, |_| {}).await;
    assert_eq!((told.chat().len(), told.audit("could not tell")), (1, 0));
}

/// Dead between telling and writing it down: twice, not never. And dead before telling: once.
#[tokio::test(flavor = "current_thread")]
async fn a_function_that_dies_around_its_telling_tells_twice_rather_than_never() {
    for (dies_at, times) in [("write entry notified#", 2), ("POST hooks.slack.com", 1)] {
        let is_over = AtomicBool::new(false);
        let hook = move |occasion: &Occasion| {
            let What::Call { operation, .. } = &occasion.what else { return None };
            let is_it = operation.starts_with(dies_at) && !is_over.swap(true, Ordering::Relaxed);
            is_it.then_some(Fault::Dies)
        };
        let told = play(Scenario::PreCheckFails, hook, |_| {}).await;
        assert_eq!(told.report.error.as_deref(), Some("GateFailed"), "{dies_at}");
        assert_eq!(told.chat().len(), times, "{dies_at}");
        assert_eq!(told.house().world.open_incidents().len(), 1, "one incident, however often it is told");
    }
}

/// The stores refuse to remember what was told: nothing fails, and no reminder is told that cannot be written down.
#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_written_down_fails_nothing_and_reminds_nobody_each_minute() {
    let hook = |occasion: &Occasion| {
        let What::Call { operation, .. } = &occasion.what else { return None };
        operation
            .starts_with("write entry notified#rollback-unmerged")
            .then(|| Fault::fails(ErrorName::Conflict))
    };
    let told = play(Scenario::RollbackUnmerged, hook, |_| {}).await;
    assert_eq!(told.report.error.as_deref(), Some("RollbackFailed"));
    assert!(told.chat().iter().all(|text| !text.starts_with("Rollback not merged")));

    let hook = |occasion: &Occasion| {
        let What::Call { operation, .. } = &occasion.what else { return None };
        operation.contains("notified#").then(|| Fault::fails(ErrorName::Denied))
    };
    let told = play(Scenario::Regression, hook, |_| {}).await;
    assert_eq!((told.report.error.as_deref(), told.chat().len()), (Some("RolledBack"), 3));
}

/// What people are told to run is there to be run.
#[test]
fn every_command_that_is_told_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let bodies = fs::read_to_string(root.join("shared/adapters/notify/tests/snapshots/slack.json")).unwrap();
    let page = fs::read_to_string(root.join("docs/cli.md")).unwrap();
    let words = bodies.split("`guard ").skip(1).filter_map(|rest| rest.split(' ').next());
    let told: BTreeSet<&str> = words.collect();
    assert!(told.len() >= 6, "{told:?}");
    for word in told {
        assert!(page.contains(&format!("### guard {word}\n")), "docs/cli.md knows no `guard {word}`");
    }
}
