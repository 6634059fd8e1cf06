//! Refusals and silence.

use bytes::Bytes;
use guard_http::{FailureKind, TransportError};
use guard_tasks::{CommitReader as _, ErrorName, MergeRequestReader as _, MergeRequestWriter as _};
use serde_json::json;

use crate::world::{World, proposal, reply};

#[tokio::test]
async fn statuses_are_named_and_the_text_says_what_gitlab_said() {
    let table = [
        (401, json!({"error": "invalid_token", "error_description": "Token is expired."}), ErrorName::Denied),
        (403, json!({"message": "403 Forbidden"}), ErrorName::Denied),
        (404, json!({"message": "404 Project Not Found"}), ErrorName::Rejected),
        (409, json!({"message": ["a", "b"]}), ErrorName::Conflict),
        (422, json!({"message": {"title": ["is too long"]}}), ErrorName::Rejected),
        (429, json!({"message": "Retry later"}), ErrorName::Throttled),
        (500, json!({"message": "500 Internal Server Error"}), ErrorName::Transient),
        (502, json!("<html>"), ErrorName::Transient),
    ];
    let words =
        ["Token is expired", "Forbidden", "Project Not Found", "a; b", "title is too long", "Retry later"];
    for (index, (status, body, name)) in table.into_iter().enumerate() {
        let world = World::with(Box::new(move |_, _| {
            let mut answer = reply(status, &body);
            answer.headers_mut().insert("retry-after", "60".parse().unwrap());
            Some(Ok(answer))
        }));
        let errors = [
            world.gitlab.head("mesh/fleet", "main").await.unwrap_err(),
            world.gitlab.merge_requests("mesh/fleet", &[1]).await.unwrap_err(),
            world.gitlab.open(&proposal()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.name, name, "{error}");
            assert!(error.chain().contains(&format!("status {status}, retry after 60 s")), "{error}");
            assert!(error.chain().contains(words.get(index).unwrap_or(&"")), "{error}");
            assert!(error.chain().contains("GitLab GET /api/v4/projects/mesh%2Ffleet/"), "{error}");
            assert!(!error.chain().contains("hush") && !error.chain().contains('?'), "{error}");
        }
    }
}

#[tokio::test]
async fn a_project_that_is_not_there_is_not_a_branch_that_is_not_there() {
    let world = World::with(Box::new(|_, asked| {
        let text = json!({"message": "404 Project Not Found"});
        asked.path.contains("branches").then(|| Ok(reply(404, &text)))
    }));
    let error = world.gitlab.open(&proposal()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert_eq!(world.count("POST", "repository|commits"), 0);
}

#[tokio::test]
async fn silence_and_garbage_have_names_too() {
    let world = World::with(Box::new(|_, _| Some(Err(TransportError::new(FailureKind::Timeout, "30 s")))));
    let error = world.gitlab.head("mesh/fleet", "main").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Transient, "{error}");
    for body in ["", "<html>", "{}", "[{}]"] {
        let world = World::with(Box::new(move |_, _| {
            Some(Ok(http::Response::new(Bytes::from_static(body.as_bytes()))))
        }));
        let error = world.gitlab.merge_requests("mesh/fleet", &[1]).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Internal, "{body}: {error}");
    }
}

#[tokio::test]
async fn an_endless_list_is_left() {
    let world = World::with(Box::new(|_, _| {
        let mut answer = reply(200, &json!([]));
        answer.headers_mut().insert("x-next-page", "2".parse().unwrap());
        Some(Ok(answer))
    }));
    assert!(world.gitlab.merge_requests("mesh/fleet", &[1]).await.unwrap_err().chain().contains("no end"));
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", World::new().gitlab);
    assert!(shown.contains("gitlab.example") && !shown.contains("hush"), "{shown}");
}
