//! What older releases gave to functions and wrote into records, read by today's.

use std::collections::BTreeSet;

use guard_simulation::{Deed, FUNCTIONS, House};
use guard_tasks::entries;
use serde_json::Value;

use crate::all_kept;

/// Everything of `before` that `after` does not say any more, by its path. What came since is no loss.
pub(crate) fn lost(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = format!("{path}.{key}");
                match after.get(key) {
                    Some(after) => lost(value, after, &path, found),
                    // Absent and null are the same to every reader.
                    None if value.is_null() => {}
                    None => found.push(format!("{path} is gone")),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (n, (before, after)) in before.iter().zip(after).enumerate() {
                lost(before, after, &format!("{path}[{n}]"), found);
            }
        }
        (before, after) if before == after => {}
        (before, after) => found.push(format!("{path} was {before} and is {after}")),
    }
}

/// What whoever waited reads of an answer: its keys, and the words that a Choice asks for. Times and sentences may differ.
pub(crate) fn misread(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    lost(before, after, "answer", &mut found);
    found.retain(|words| {
        let is_asked_for = [".verdict ", ".state ", ".cluster_id "].iter().any(|key| words.contains(key));
        words.ends_with(" is gone") || is_asked_for
    });
    found
}

#[tokio::test(flavor = "current_thread")]
async fn every_recorded_payload_is_taken_by_its_task() {
    let mut asked = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for kept in all_kept() {
        let (house, _) = kept.recording.scene.house().unwrap();
        for event in &kept.recording.events {
            let Deed::Invoke { function, state, payload, .. } = &event.deed else { continue };
            let state = state.as_deref().unwrap_or("nobody");
            let called = format!("{}: {function}, called by {state}", kept.name);
            match accepts(&house, function, payload) {
                Some(Ok(())) => _ = asked.insert(function.clone()),
                Some(Err(why)) => _ = refused.insert(format!("{called}: {why}")),
                None => _ = refused.insert(format!("{called}: there is no such function")),
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    // A rollout above, a person's question and the webhook are not in the journeys.
    let missing: Vec<&str> = FUNCTIONS.into_iter().filter(|name| !asked.contains(*name)).collect();
    let expected = ["plan-rollout", "merge-webhook", "await-decision", "answer-decision", "sweep"];
    assert_eq!(missing, expected, "functions whose payloads nothing recorded");
}

fn accepts(house: &House, function: &str, payload: &Value) -> Option<Result<(), String>> {
    Some(house.accepts(function, payload.clone())?.map_err(|error| error.chain()))
}

#[test]
fn every_recorded_entry_is_read_and_nothing_of_it_is_lost() {
    let (mut kinds, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    for kept in all_kept() {
        for event in &kept.recording.events {
            let Deed::Put { entry, value, .. } = &event.deed else { continue };
            kinds.insert(entry.split('#').next().unwrap().to_owned());
            match entries::read_again(entry, value.clone()) {
                Ok(after) => {
                    let mut found = Vec::new();
                    lost(value, &after, entry, &mut found);
                    wrong.extend(found.into_iter().map(|words| format!("{}: {words}", kept.name)));
                }
                Err(why) => _ = wrong.insert(format!("{}: {}", kept.name, why.chain())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(kinds.len() >= 10, "{kinds:?}");
}

#[test]
fn what_is_lost_is_named() {
    let before = serde_json::json!({"a": 1, "b": [{"c": 2}], "d": null, "e": 5});
    let after = serde_json::json!({"a": 2, "b": [{"c": 2, "new": 1}], "f": 0});
    let mut found = Vec::new();
    lost(&before, &after, "x", &mut found);
    assert_eq!(found, ["x.a was 1 and is 2", "x.e is gone"]);
}
