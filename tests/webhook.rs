//! GitLab's webhook makes GUARD faster, and nothing else: polling is the truth.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_asl::{Step, TransitionKind};
use guard_simulation::{Fault, Fleet, House, Occasion, WEBHOOK_TOKEN, What, delivery, function_arn};
use guard_world::Answer;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A person merges at half a minute, when the watcher of the full minutes sleeps.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new(1, 1, None, None).unwrap();
    fleet.world.person.upgrade = Answer::Merge { after: Duration::from_secs(20 * 60 + 30) };
    fleet
}

struct Ended {
    status: &'static str,
    /// From the merge to the end of the waiting.
    waited: SignedDuration,
    /// Answers of `merge-webhook`.
    answers: Vec<Value>,
    watched: usize,
}

/// Plays a clean batch; `act` is told of each state.
async fn play(house: House, act: impl Fn(&House, &str) + Send + Sync + 'static) -> Ended {
    let house = Arc::new(house);
    let left = Arc::new(Mutex::new(None::<Timestamp>));
    let (noted, inner) = (Arc::clone(&left), Arc::downgrade(&house));
    house.observe(move |transition| {
        let state = transition.state.as_deref().unwrap_or_default();
        match &transition.kind {
            TransitionKind::Entered => act(&inner.upgrade().unwrap(), state),
            TransitionKind::Exited(_) if state == "AwaitUpgradeMerge" => {
                *noted.lock().unwrap() = Some(transition.at);
            }
            _ => {}
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.start("batch-upgrade", "run-1", input).unwrap();
    let (answers, watched) = (Mutex::new(Vec::new()), Mutex::new(0));
    house
        .run_watching(|step| {
            let Step::Invoked { function, outcome, .. } = step else { return };
            if *function == function_arn("merge-webhook") {
                answers.lock().unwrap().push(outcome.as_ref().unwrap()["statusCode"].clone());
            } else if *function == function_arn("watch-merges") {
                *watched.lock().unwrap() += 1;
            }
        })
        .await;
    let status = house.service.describe_execution(&arn).unwrap().status.as_str();
    assert_eq!(house.world.merge_requests().len(), 1);
    assert_eq!(house.store.held_locks(), []);
    let merged_at = house.world.merge_requests()[0].merged_at.unwrap();
    let waited = left.lock().unwrap().unwrap().duration_since(merged_at);
    Ended { status, waited, answers: answers.into_inner().unwrap(), watched: watched.into_inner().unwrap() }
}

#[tokio::test(flavor = "current_thread")]
async fn a_merge_is_seen_when_it_happens_and_not_at_the_next_minute() {
    let polled = play(House::new(&fleet()).unwrap(), |_, _| {}).await;
    assert_eq!((polled.status, polled.answers.len()), ("SUCCEEDED", 0));
    assert!(polled.waited > SignedDuration::from_secs(10), "{}", polled.waited);

    let house = House::new(&fleet()).unwrap();
    house.set_webhook();
    let told = play(house, |_, _| {}).await;
    assert_eq!((told.status, told.answers), ("SUCCEEDED", vec![json!(202)]));
    assert!(told.waited < SignedDuration::from_secs(5), "{}", told.waited);
    // One look more than the minutes bring; the minutes go on as before.
    assert!(told.watched.abs_diff(polled.watched) <= 2, "{} and {}", told.watched, polled.watched);
}

#[tokio::test(flavor = "current_thread")]
async fn a_delivery_that_is_lost_costs_a_minute() {
    for fault in [Fault::Dies, Fault::Fails("Transient")] {
        let hook = move |occasion: &Occasion| {
            matches!(&occasion.what, What::Call { system: "Lambda", .. }).then(|| fault.clone())
        };
        let house = House::with_faults(&fleet(), hook).unwrap();
        house.set_webhook();
        let watched = house.service.clone();
        let input = json!({"batch_id": "test", "target_version": "1.30.5"});
        let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
        assert_eq!(watched.describe_execution(&arn).unwrap().status.as_str(), "SUCCEEDED");
    }
}

/// Whoever knows the secret, or guesses, may say what they like: GitLab is asked, and it says "open".
#[tokio::test(flavor = "current_thread")]
async fn a_delivery_that_lies_changes_nothing() {
    let polled = play(House::new(&fleet()).unwrap(), |_, _| {}).await;
    let told = play(House::new(&fleet()).unwrap(), |house, state| {
        if state == "AwaitUpgradeMerge" {
            for (minutes, token, action) in [
                (1, WEBHOOK_TOKEN, "merge"),
                (2, WEBHOOK_TOKEN, "close"),
                (3, "guess", "merge"),
                (4, WEBHOOK_TOKEN, "open"),
            ] {
                let at =
                    house.service.now() + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(30);
                let said = delivery(token, 1, action, "merged");
                house.service.schedule_invocation(at, &function_arn("merge-webhook"), said);
            }
        }
    })
    .await;
    assert_eq!(told.answers, [202, 202, 401, 204]);
    assert_eq!((told.status, told.waited), (polled.status, polled.waited));
}
