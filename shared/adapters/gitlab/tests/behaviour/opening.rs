//! Opening, once or however often.

use std::sync::atomic::{AtomicBool, Ordering};

use guard_domain::MergeRequestState;
use guard_http::{FailureKind, TransportError};
use guard_tasks::{ErrorName, MergeRequestWriter as _};
use serde_json::json;

use crate::world::{BASE, Hook, World, proposal, reply, request};

const COMMITS: &str = "repository|commits";

#[tokio::test]
async fn a_proposal_becomes_a_branch_and_a_request() {
    let world = World::new();
    let opened = world.opened(&proposal()).await;
    assert_eq!((opened.request.iid, opened.request.state), (1, MergeRequestState::Open));
    assert_eq!(opened.request.source_branch, "guard/run-1");
    let state = world.state();
    assert_eq!(opened.commit, state.branches["guard/run-1"]);
    assert_eq!(opened.request.head, opened.commit);
    let tree = &state.trees[&state.branches["guard/run-1"]];
    assert_eq!(tree["clusters/eks-1/istiod.yaml"], b"version: 1.30.5\r\n", "line ends are kept");
    assert_eq!(tree["clusters/eks-1/README.md"], b"words");
    assert_eq!(state.requests[&1]["labels"], "guard,istio");

    let commit = state.asked.iter().find(|asked| asked.is("POST", COMMITS)).unwrap();
    assert_eq!(commit.body["start_sha"], BASE);
    assert!(commit.body.get("force").is_none());
    let told: Vec<_> = commit.body["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["action"].as_str().unwrap(), a["file_path"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("update", "clusters/eks-1/istiod.yaml"), ("update", "clusters/eks-1/deep/base.yml")]);
    let writes = state.asked.iter().filter(|asked| asked.method == "POST" && !asked.path.contains("graphql"));
    assert_eq!(writes.count(), 2, "one commit, one request, however many files");
}

#[tokio::test]
async fn people_are_asked_by_number_and_whom_nobody_knows_is_told() {
    let world = World::new();
    let opened = world.opened(&proposal()).await;
    assert_eq!(world.state().requests[&1]["assignee_ids"], json!([7]));
    assert_eq!(world.state().requests[&1]["reviewer_ids"], json!([7]));
    assert_eq!(opened.notes, ["reviewer `nobody` is no user of GitLab: nobody was asked"]);

    // Nor does it stop the change that users cannot be looked up at all.
    let world = World::with(Box::new(|_, asked| {
        let is_users = asked.body["query"].as_str().is_some_and(|query| query.contains("users("));
        is_users.then(|| Ok(reply(403, &json!({"message": "403 Forbidden"}))))
    }));
    let opened = world.opened(&proposal()).await;
    assert_eq!(world.state().requests[&1]["assignee_ids"], json!([]));
    assert!(opened.notes[0].starts_with("could not look up assignees and reviewers: "), "{:?}", opened.notes);
}

#[tokio::test]
async fn a_second_call_finds_the_first_ones_work() {
    let world = World::new();
    let first = world.opened(&proposal()).await;
    let second = world.opened(&proposal()).await;
    assert_eq!((second.request, second.commit), (first.request, first.commit));
    assert_eq!((world.count("POST", COMMITS), world.count("POST", "merge_requests")), (1, 1));
}

/// The world acts on the first such call, and its answer is lost.
fn loses_the_answer_to(path: &'static str) -> Hook {
    let is_first = AtomicBool::new(true);
    Box::new(move |state, asked| {
        let is_it = asked.is("POST", path) && is_first.swap(false, Ordering::Relaxed);
        is_it.then(|| {
            state.answer(asked);
            Err(TransportError::new(FailureKind::Cut, "lost"))
        })
    })
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_the_next_call() {
    for path in [COMMITS, "merge_requests"] {
        let world = World::with(loses_the_answer_to(path));
        assert_eq!(world.gitlab.open(&proposal()).await.unwrap_err().name, ErrorName::Transient);
        assert_eq!(world.opened(&proposal()).await.request.iid, 1);
        let state = world.state();
        assert_eq!((state.requests.len(), state.trees.len()), (1, 2), "after losing {path}");
    }
}

#[tokio::test]
async fn a_twin_that_was_faster_is_adopted() {
    // The branch appears between the look and the commit, with the same content.
    let world = World::with(Box::new(|state, asked| {
        if asked.is("POST", COMMITS) && !state.branches.contains_key("guard/run-1") {
            state.answer(asked);
        }
        None
    }));
    assert_eq!(world.opened(&proposal()).await.request.iid, 1);

    // So does the request.
    let world = World::with(Box::new(|state, asked| {
        if asked.is("POST", "merge_requests") && state.requests.is_empty() {
            state.requests.insert(17, request(17, "opened"));
        }
        None
    }));
    assert_eq!(world.opened(&proposal()).await.request.iid, 17);
}

#[tokio::test]
async fn ours_is_found_on_any_page_and_on_any_branch() {
    let world = World::new();
    // Two on a page, as this server likes it.
    for iid in 1..=9 {
        let mut other = request(iid, "opened");
        other["source_branch"] = json!(format!("feature/{iid}"));
        other["description"] = json!("of somebody else");
        world.state().requests.insert(iid, other);
    }
    let mut ours = request(3, "opened");
    ours["source_branch"] = json!("guard/renamed-by-an-older-guard");
    world.state().requests.insert(3, ours);
    let opened = world.opened(&proposal()).await;
    assert_eq!((opened.request.iid, world.count("POST", COMMITS)), (3, 0));
    // Its branch holds something else than what was proposed: a person has pushed, or it is gone.
    assert_eq!(opened.commit, "");
}

#[tokio::test]
async fn a_branch_of_somebody_elses_is_left_alone() {
    let world = World::new();
    world.state().branches.insert("guard/run-1".into(), BASE.into());
    let finding = world.refused(&proposal()).await;
    assert_eq!((finding.code.as_str(), finding.subject.as_str()), ("BRANCH_TAKEN", "guard/run-1"));
    assert_eq!((world.count("POST", COMMITS), world.count("POST", "merge_requests")), (0, 0));
}

#[tokio::test]
async fn a_branch_that_was_deleted_at_once_is_a_conflict_although_gitlab_says_400() {
    let world = World::with(Box::new(|_, asked| {
        let text = json!({"message": ["Source branch \"guard/run-1\" does not exist"]});
        asked.is("POST", "merge_requests").then(|| Ok(reply(400, &text)))
    }));
    let error = world.gitlab.open(&proposal()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict, "{error}");
    assert!(error.chain().contains("the branch was deleted before its merge request was opened"), "{error}");
}

#[tokio::test]
async fn what_ended_before_its_answer_came_is_returned_as_it_is() {
    for (state, expected) in [("merged", MergeRequestState::Merged), ("closed", MergeRequestState::Closed)] {
        let world = World::new();
        world.state().requests.insert(3, request(3, state));
        let found = world.opened(&proposal()).await;
        assert_eq!((found.request.iid, found.request.state), (3, expected));
        assert_eq!(world.count("POST", COMMITS), 0);
    }
}

#[tokio::test]
async fn after_a_request_that_ended_comes_a_branch_with_a_number() {
    let world = World::new();
    for (iid, branch, state) in [(1, "guard/run-1", "merged"), (2, "guard/run-1-2", "closed")] {
        let mut earlier = request(iid, state);
        earlier["source_branch"] = json!(branch);
        earlier["description"] = json!("marker of another run");
        world.state().requests.insert(iid, earlier);
    }
    let opened = world.opened(&proposal()).await;
    assert_eq!((opened.request.iid, opened.request.source_branch.as_str()), (3, "guard/run-1-3"));
    assert_eq!(world.opened(&proposal()).await.request.iid, 3, "and is found there");
    let found = world.gitlab.find("mesh/fleet", "guard/run-1", "main", "marker run-1").await.unwrap();
    assert_eq!(found.map(|request| request.iid), Some(3));
    let other = world.gitlab.find("mesh/fleet", "guard/run-1", "main", "marker run-9").await.unwrap();
    assert_eq!(other, None);
}

#[tokio::test]
async fn an_open_request_of_somebody_elses_is_not_joined() {
    let world = World::new();
    let mut other = request(5, "opened");
    other["description"] = json!("marker of another run");
    world.state().requests.insert(5, other);
    let finding = world.refused(&proposal()).await;
    assert_eq!(finding.code, "BRANCH_TAKEN");
    assert!(
        finding.message.contains("!5 from branch guard/run-1 is open and is not of this run"),
        "{finding}"
    );
    assert_eq!(world.count("POST", COMMITS), 0);
}

#[tokio::test]
async fn a_proposal_without_a_change_is_rejected() {
    let world = World::new();
    let mut same = proposal();
    same.files.clear();
    assert_eq!(world.gitlab.open(&same).await.unwrap_err().name, ErrorName::Rejected);
}
