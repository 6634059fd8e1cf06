//! What is said on a merge request.

use std::sync::{Arc, Mutex};

use guard_tasks::{ErrorName, MergeRequestConversation as _};
use serde_json::{Value, json};

use crate::world::{World, reply};

const PROJECT: &str = "mesh/fleet";
const NOTES: &str = "merge_requests|7|notes";
const MARKER: &str = "<!-- guard:run-1:question -->";

fn note(author: u64, text: &str) -> Value {
    json!({"id": 1, "body": text, "author": {"id": author, "username": format!("u{author}")}, "system": false})
}

/// Notes, and the roles of users by number.
fn world(notes: Vec<Value>) -> (World, Arc<Mutex<Vec<Value>>>) {
    let notes = Arc::new(Mutex::new(notes));
    let kept = Arc::clone(&notes);
    let world = World::with(Box::new(move |_, asked| {
        let mut notes = kept.lock().unwrap();
        if asked.is("GET", NOTES) {
            assert_eq!((asked.value("sort"), asked.value("order_by")), ("asc", "created_at"));
            return Some(Ok(reply(200, &json!(*notes))));
        }
        if asked.is("POST", NOTES) {
            let said = note(1, asked.body["body"].as_str().unwrap());
            notes.push(said.clone());
            return Some(Ok(reply(201, &said)));
        }
        let member = asked.path.strip_prefix("members|all|")?;
        Some(Ok(match member {
            "40" | "30" => reply(200, &json!({"access_level": member.parse::<u32>().unwrap()})),
            "404" => reply(404, &json!({"message": "404 Not found"})),
            _ => reply(403, &json!({"message": "403 Forbidden"})),
        }))
    }));
    (world, notes)
}

#[tokio::test]
async fn a_question_is_said_once_and_only_what_others_say_after_it_is_heard() {
    let (world, notes) = world(vec![note(40, "guard approve: before")]);
    let text = format!("**GUARD asks**\n{MARKER}");
    let ask = async || world.gitlab.ask(PROJECT, 7, MARKER, &text).await.unwrap();
    assert_eq!(ask().await, []);
    assert_eq!(ask().await, [], "its own words are no answer");
    let mut moved = note(40, "changed the milestone");
    moved["system"] = json!(true);
    notes.lock().unwrap().extend([note(1, "guard approve: me"), moved, note(40, "guard approve: fine")]);
    let heard = ask().await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((heard[0].author_id, heard[0].author.as_str()), (40, "u40"));
    assert_eq!(heard[0].text, "guard approve: fine");
    assert_eq!(world.count("POST", NOTES), 1);
}

#[tokio::test]
async fn only_a_maintainer_is_one() {
    let (world, _) = world(Vec::new());
    assert!(world.gitlab.is_maintainer(PROJECT, 40).await.unwrap());
    assert!(!world.gitlab.is_maintainer(PROJECT, 30).await.unwrap());
    assert!(!world.gitlab.is_maintainer(PROJECT, 404).await.unwrap());
    // No answer is not a no, and no yes either.
    assert_eq!(world.gitlab.is_maintainer(PROJECT, 403).await.unwrap_err().name, ErrorName::Denied);
}
