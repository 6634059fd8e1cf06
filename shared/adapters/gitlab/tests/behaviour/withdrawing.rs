//! Withdrawing, alone or against a person who merges.

use guard_domain::MergeRequestState;
use guard_tasks::{ErrorName, MergeRequestWriter as _};
use serde_json::json;

use crate::world::{BASE, World, proposal, reply};

const PROJECT: &str = "mesh/fleet";
const REQUEST: &str = "merge_requests|1";

#[tokio::test]
async fn an_open_request_is_closed_and_its_branch_goes() {
    let world = World::new();
    world.opened(&proposal()).await;
    for is_first in [true, false] {
        let left = world.gitlab.withdraw(PROJECT, 1).await.unwrap();
        assert_eq!((left.request.state, left.was_open), (MergeRequestState::Closed, is_first));
        assert!(!world.state().branches.contains_key("guard/run-1"));
    }
    assert_eq!(world.count("PUT", REQUEST), 1, "the second call finds it closed");
    assert!(world.state().branches.contains_key("main"));
}

#[tokio::test]
async fn a_merged_request_is_left_alone() {
    let world = World::new();
    world.opened(&proposal()).await;
    let merged = json!("merged");
    world.state().requests.get_mut(&1).unwrap()["state"] = merged;
    let left = world.gitlab.withdraw(PROJECT, 1).await.unwrap();
    let head = world.state().branches["guard/run-1"].clone();
    let landed = (left.request.state, left.request.landed_commit);
    assert_eq!(landed, (MergeRequestState::Merged, Some(head)));
    assert!(world.state().branches.contains_key("guard/run-1"));
}

#[tokio::test]
async fn a_merge_between_look_and_close_is_told() {
    for (status, text) in [(405, "405 Method Not Allowed"), (400, "state cannot transition"), (200, "")] {
        let world = World::with(Box::new(move |state, asked| {
            if !asked.is("PUT", REQUEST) {
                return None;
            }
            let request = state.requests.get_mut(&1).unwrap();
            request["state"] = json!("merged");
            request["merge_commit_sha"] = json!(BASE);
            let body = if status == 200 { request.clone() } else { json!({"message": text}) };
            Some(Ok(reply(status, &body)))
        }));
        world.opened(&proposal()).await;
        let left = world.gitlab.withdraw(PROJECT, 1).await.unwrap();
        let landed = (left.request.state, left.request.landed_commit.as_deref());
        assert_eq!(landed, (MergeRequestState::Merged, Some(BASE)));
        assert!(world.state().branches.contains_key("guard/run-1"), "{status}");
    }
}

#[tokio::test]
async fn a_request_that_gitlab_is_merging_keeps_its_branch() {
    let world = World::with(Box::new(|_, asked| {
        asked.is("PUT", REQUEST).then(|| Ok(reply(409, &json!({"message": "locked"}))))
    }));
    world.opened(&proposal()).await;
    world.state().requests.get_mut(&1).unwrap()["state"] = json!("locked");
    assert_eq!(world.gitlab.withdraw(PROJECT, 1).await.unwrap_err().name, ErrorName::Conflict);
    assert!(world.state().branches.contains_key("guard/run-1"));
}

#[tokio::test]
async fn a_refusal_that_no_merge_explains_is_an_error() {
    let world = World::with(Box::new(|_, asked| {
        asked.is("PUT", REQUEST).then(|| Ok(reply(403, &json!({"message": "403 Forbidden"}))))
    }));
    world.opened(&proposal()).await;
    let error = world.gitlab.withdraw(PROJECT, 1).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied);
    assert!(error.chain().starts_with("withdraw merge request mesh/fleet!1: GitLab PUT /api/v4/"), "{error}");
}
