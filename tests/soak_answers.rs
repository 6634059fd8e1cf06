//! A soak that the judge cannot call: more time, a person's answer, and a cause from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use guard_asl::{Step, Transition, TransitionKind};
use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus as S, IstioVersion};
use guard_simulation::{Fault, Fleet, House, Occasion, What, answer_later};
use guard_tasks::ErrorName;
use guard_world::Regression;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const VICTIM: &str = "test-euw1-2";

struct Ended {
    house: House,
    ending: String,
    statuses: Vec<S>,
    audit: String,
}

/// Three clusters, of which one lost a part of its past: nothing can be called by it.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new(3, 1, None, None).unwrap();
    fleet.config.policy.soak_extensions_max = 1;
    fleet
}

async fn play(
    fleet: &Fleet,
    bend: impl FnOnce(&House),
    act: impl Fn(&House, &Transition) + Send + Sync + 'static,
) -> Ended {
    let house = Arc::new(House::new(fleet).unwrap());
    bend(&house);
    let inner = Arc::downgrade(&house);
    house.observe(move |transition| {
        if let (TransitionKind::Entered, Some(house)) = (&transition.kind, inner.upgrade()) {
            act(&house, transition);
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    house.observe(|_| {});
    let execution = house.service.describe_execution(&arn).unwrap();
    let statuses = house.store.clusters().iter().map(|row| row.status).collect();
    let run = guard_domain::RunId::parse("run-1").unwrap();
    let log = guard_tasks::RunRecords::audit_log(&house.store, &run).await.unwrap();
    let audit = log.iter().map(|line| line.what.clone()).collect::<Vec<_>>().join("\n");
    Ended {
        house: Arc::into_inner(house).unwrap(),
        ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        statuses,
        audit,
    }
}

fn torn(house: &House) {
    let at = |hours: i64| house.service.now() - SignedDuration::from_hours(hours);
    house.world.lose_metrics(VICTIM, at(10), at(8));
}

fn is_at(transition: &Transition, state: &str) -> bool {
    transition.state.as_deref() == Some(state)
}

/// Answers when the question is asked.
fn answers(answer: &'static str) -> impl Fn(&House, &Transition) + Send + Sync + 'static {
    move |house, transition| {
        if is_at(transition, "AwaitDecision") {
            answer_later(&house.service, SignedDuration::from_mins(5), "run-1", answer, "looked at it");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_approved_cluster_becomes_healthy() {
    let ended = play(&fleet(), torn, answers("approve")).await;
    assert_eq!(
        (ended.ending.as_str(), ended.statuses),
        ("SUCCEEDED", vec![S::Healthy; 3]),
        "{}",
        ended.audit
    );
    assert!(ended.audit.contains(&format!("{VICTIM}: approved by robin: looked at it")), "{}", ended.audit);
    assert!(ended.audit.contains("soak extended, too close to call (+60 minutes, 1)"), "{}", ended.audit);
    assert_eq!(ended.house.store.held_locks(), []);
}

/// The question is said once in the merge request, and the first reply of somebody who may merge is the answer.
#[tokio::test(flavor = "current_thread")]
async fn a_reply_in_the_merge_request_is_an_answer() {
    for (verb, ending) in [("approve", "SUCCEEDED"), ("reject", "RolledBack")] {
        let talk = move |house: &House, transition: &Transition| {
            if is_at(transition, "AwaitDecision") {
                let say = |author: &str, text: &str, minutes: i64| {
                    let at = house.service.now() + SignedDuration::from_mins(minutes);
                    house.world.comment(1, author, text, at);
                };
                say("robin", "guard approve: said before anybody asked", 0);
                say("stranger", "guard approve: I am nobody here", 3);
                say("robin", "let me look at it first", 3);
                say("robin", &format!("guard {verb}: its monitors were well"), 10);
                say("robin", "guard reject: too late", 10);
            }
        };
        let mut fleet = fleet();
        fleet.world.gitlab_users = vec!["robin".to_owned()];
        let ended = play(&fleet, torn, talk).await;
        assert_eq!(ended.ending, ending, "{}", ended.audit);
        let told =
            "robin in https://gitlab.example.com/platform/fleet/-/merge_requests/1: its monitors were well";
        assert!(ended.audit.contains(told), "{}", ended.audit);
        let notes = &ended.house.world.merge_requests()[0].notes;
        let asked = notes.iter().filter(|note| note.contains("GUARD asks a person")).count();
        assert_eq!((asked, notes.len()), (1, 6), "{notes:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_rejected_cluster_goes_back_and_only_that_one() {
    let ended = play(&fleet(), torn, answers("reject")).await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.audit);
    assert_eq!(ended.statuses, [S::Healthy, S::FailedUpgradeRolledBack, S::Healthy]);
    assert!(ended.audit.contains("rejected by robin"), "{}", ended.audit);
    let back = ended.house.world.cluster(VICTIM).unwrap();
    assert_eq!(back.istiod_version.as_deref(), Some("1.29.8"));
    assert_eq!(back.proxy_versions.keys().collect::<Vec<_>>(), ["1.29.8"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_question_that_nobody_answers_halts_with_the_locks_held() {
    let entered = Arc::new(Mutex::new(Vec::new()));
    let states = Arc::clone(&entered);
    let note = move |_: &House, transition: &Transition| {
        states.lock().unwrap().extend(transition.state.clone());
    };
    let ended = play(&fleet(), torn, note).await;
    assert_eq!(ended.ending, "Halted", "{}", ended.audit);
    let is_left_to_the_state = entered.lock().unwrap().iter().any(|state| state == "NoteUnanswered");
    assert!(
        !is_left_to_the_state,
        "the watcher ends it at the deadline; the state's own time-out comes later"
    );
    assert!(ended.audit.contains("nobody answered in time"), "{}", ended.audit);
    assert_eq!(ended.statuses, [S::Upgrading; 3], "neither a pass nor a rollback");
    assert_eq!(ended.house.world.merge_requests().len(), 1);
    assert_eq!(ended.house.store.held_locks().len(), 4);
}

/// Of two people the first one counts, and the second is told; so is whoever answers a run that asks nothing.
#[tokio::test(flavor = "current_thread")]
async fn the_first_answer_counts_and_the_second_is_refused() {
    let house = House::new(&fleet()).unwrap();
    torn(&house);
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.kind == TransitionKind::Entered && is_at(transition, "AwaitDecision") {
            let minutes = SignedDuration::from_mins;
            answer_later(&service, minutes(5), "run-1", "approve", "first");
            answer_later(&service, minutes(5), "run-1", "reject", "second");
            answer_later(&service, minutes(2), "run-2", "reject", "another run");
            answer_later(&service, minutes(2), "run-1", "reject", "  ");
            answer_later(&service, minutes(2), "run-1", "maybe", "who knows");
        }
    });
    let outcomes = Mutex::new(Vec::new());
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.start("batch-upgrade", "run-1", input).unwrap();
    house
        .run_watching(|step| {
            if let Step::Invoked { function, outcome, .. } = step
                && function.ends_with("answer-decision")
            {
                outcomes.lock().unwrap().push(outcome.clone());
            }
        })
        .await;
    let ended = house.service.describe_execution(&arn).unwrap();
    let outcomes = outcomes.into_inner().unwrap();
    let refusals: Vec<String> = outcomes
        .iter()
        .filter_map(|o| o.as_ref().err())
        .map(|e| format!("{}: {}", e.error_type, e.error_message))
        .collect();
    assert_eq!((outcomes.len(), refusals.len()), (5, 4), "{outcomes:?}");
    for expected in
        ["run run-2 asks nothing now", "payload.reason: 0 characters", "payload.answer", "run run-1"]
    {
        let told = refusals.iter().any(|text| text.starts_with("Rejected: ") && text.contains(expected));
        assert!(told, "{expected}: {refusals:?}");
    }
    // Whichever of the two came first at the same minute, the run took exactly that one.
    let taken = outcomes.iter().filter(|o| o.is_ok()).count();
    assert_eq!(taken, 1);
    assert!(["SUCCEEDED", "RolledBack"].contains(&ended.error.as_deref().unwrap_or("SUCCEEDED")));
}

/// The answer arrived, but the token could not be forgotten: who answers again hears that nobody waits any more.
#[tokio::test(flavor = "current_thread")]
async fn an_answer_that_is_repeated_after_a_lost_reply_is_too_late() {
    let lost = AtomicBool::new(false);
    let hook = move |occasion: &Occasion| {
        let is_drop =
            matches!(&occasion.what, What::Call { operation, .. } if operation == "drop token decision");
        (is_drop && !lost.swap(true, Ordering::Relaxed)).then(|| Fault::fails(ErrorName::Transient))
    };
    let house = House::with_faults(&fleet(), hook).unwrap();
    torn(&house);
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.kind == TransitionKind::Entered && is_at(transition, "AwaitDecision") {
            answer_later(&service, SignedDuration::from_mins(5), "run-1", "approve", "looked at it");
            answer_later(&service, SignedDuration::from_secs(301), "run-1", "reject", "again");
        }
    });
    let outcomes = Mutex::new(Vec::new());
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.start("batch-upgrade", "run-1", input).unwrap();
    house
        .run_watching(|step| {
            if let Step::Invoked { function, outcome: Err(error), .. } = step
                && function.ends_with("answer-decision")
            {
                outcomes.lock().unwrap().push(error.clone());
            }
        })
        .await;
    let outcomes = outcomes.into_inner().unwrap();
    let names: Vec<&str> = outcomes.iter().map(|error| error.error_type.as_str()).collect();
    assert_eq!(names, ["Transient", "Rejected"], "{outcomes:?}");
    assert!(outcomes[1].error_message.contains("waits no more"), "{outcomes:?}");
    let ended = house.service.describe_execution(&arn).unwrap();
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "the first answer counts");
}

/// Everything in the region suffers, upgraded or not.
fn shock(house: &House, minutes: i64) {
    let from = house.service.now() + SignedDuration::from_mins(30);
    let until = if minutes == 0 { Timestamp::MAX } else { from + SignedDuration::from_mins(minutes) };
    house.world.shock(from, until, 30.0, 1.3);
}

/// Three clusters in the batch, and some beside it.
fn beside(count: usize) -> Fleet {
    let mut fleet = Fleet::new(3 + count, 1, None, None).unwrap();
    for row in fleet.rows.iter_mut().skip(3) {
        row.batch_id = BatchId::parse("dev").unwrap();
    }
    fleet
}

#[tokio::test(flavor = "current_thread")]
async fn what_comes_from_outside_is_waited_for() {
    let ended = play(&beside(2), |house| shock(house, 90), |_, _| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.audit);
    assert_eq!(ended.statuses, [S::Healthy; 5]);
    assert!(ended.audit.contains("soak held, an outside cause"), "{}", ended.audit);
    assert_eq!(ended.house.world.merge_requests().len(), 1);
}

/// One control could have moved by chance: then the new version is to blame, and the batch goes back.
#[tokio::test(flavor = "current_thread")]
async fn one_control_proves_nothing() {
    let ended = play(&beside(1), |house| shock(house, 0), |_, _| {}).await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.audit);
    assert!(!ended.audit.contains("outside cause"), "{}", ended.audit);
}

/// A control that is upgraded or worked on meanwhile moves for reasons of its own, and explains nothing any more.
#[tokio::test(flavor = "current_thread")]
async fn a_control_that_does_not_stay_as_it_was_proves_nothing() {
    let edits: [fn(&mut ClusterRecord); 2] = [
        |row| row.current_istio_version = IstioVersion::parse("1.30.5").unwrap(),
        |row| row.status = S::Upgrading,
    ];
    for edit in edits {
        let change = move |house: &House, transition: &Transition| {
            if is_at(transition, "Soak") {
                for id in ["test-euw1-4", "test-euw1-5"] {
                    house.store.edit_cluster(&ClusterId::parse(id).unwrap(), edit);
                }
            }
        };
        let ended = play(&beside(2), |house| shock(house, 0), change).await;
        assert_eq!(ended.ending, "RolledBack", "{}", ended.audit);
        assert!(!ended.audit.contains("outside cause"), "{}", ended.audit);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_outside_cause_that_does_not_end_is_for_a_person() {
    let ended = play(&beside(2), |house| shock(house, 0), answers("approve")).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.audit);
    assert_eq!(ended.audit.matches("soak held, an outside cause").count(), 3, "{}", ended.audit);
    assert!(ended.audit.contains("approved by robin"), "{}", ended.audit);
}

/// The controls calm down, the upgraded clusters do not: then it was the version after all.
#[tokio::test(flavor = "current_thread")]
async fn a_regression_behind_an_outside_cause_is_found_once_that_is_over() {
    let bend = |house: &House| {
        shock(house, 90);
        let regression =
            Regression { from_version: "1.30.5".into(), error_factor: 30.0, latency_factor: 1.3 };
        house.world.regress(VICTIM, regression);
    };
    let ended = play(&beside(3), bend, |_, _| {}).await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.audit);
    assert_eq!(ended.statuses[..3], [S::Healthy, S::FailedUpgradeRolledBack, S::Healthy]);
}
