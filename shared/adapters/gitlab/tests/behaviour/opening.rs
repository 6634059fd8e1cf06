//! Opening, once or however often.

use guard_domain::MergeRequestState;
use guard_http::{FailureKind, TransportError};
use guard_tasks::{ErrorName, MergeRequestWriter as _};
use serde_json::json;

use crate::world::{BASE, Hook, World, proposal, reply, request};

const COMMITS: &str = "repository|commits";

#[tokio::test]
async fn a_proposal_becomes_a_branch_and_a_request() {
    let world = World::new();
    let opened = world.gitlab.open(&proposal()).await.unwrap();
    assert_eq!((opened.iid, opened.state), (1, MergeRequestState::Open));
    assert_eq!(opened.source_branch, "guard/run-1");
    let state = world.state();
    let tree = &state.trees[&state.branches["guard/run-1"]];
    assert_eq!(tree["clusters/eks-1/istiod.yaml"], b"version: 1.30.5\r\n", "line ends are kept");
    assert_eq!(tree["clusters/eks-1/new.yaml"], b"a: 1\n");
    assert_eq!(state.requests[&1]["labels"], "guard,istio");

    let commit = state.asked.iter().find(|asked| asked.is("POST", COMMITS)).unwrap();
    assert_eq!(commit.body["start_sha"], BASE);
    assert!(commit.body.get("force").is_none());
    let told: Vec<_> = commit.body["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            (a["action"].as_str().unwrap(), a["file_path"].as_str().unwrap(), a["last_commit_id"].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [("update", "clusters/eks-1/istiod.yaml", Some(BASE)), ("create", "clusters/eks-1/new.yaml", None)],
        "a file that is as proposed already is left out"
    );
}

#[tokio::test]
async fn a_second_call_finds_the_first_ones_work() {
    let world = World::new();
    let first = world.gitlab.open(&proposal()).await.unwrap();
    assert_eq!(world.gitlab.open(&proposal()).await.unwrap(), first);
    assert_eq!((world.count("POST", COMMITS), world.count("POST", "merge_requests")), (1, 1));
}

/// The world acts on the first such call, and its answer is lost.
fn loses_the_answer_to(path: &'static str) -> Hook {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    Box::new(move |state, asked| {
        let is_it = asked.is("POST", path) && is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
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
        assert_eq!(world.gitlab.open(&proposal()).await.unwrap().iid, 1);
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
    assert_eq!(world.gitlab.open(&proposal()).await.unwrap().iid, 1);

    // So does the request.
    let world = World::with(Box::new(|state, asked| {
        if asked.is("POST", "merge_requests") && state.requests.is_empty() {
            state.requests.insert(17, request(17, "opened"));
        }
        None
    }));
    assert_eq!(world.gitlab.open(&proposal()).await.unwrap().iid, 17);
}

#[tokio::test]
async fn a_branch_of_somebody_elses_is_a_conflict() {
    let world = World::new();
    world.state().branches.insert("guard/run-1".into(), BASE.into());
    let error = world.gitlab.open(&proposal()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict);
    assert!(error.chain().contains("clusters/eks-1/istiod.yaml is not the proposed one"), "{error}");
    assert_eq!(world.count("POST", "merge_requests"), 0);
}

#[tokio::test]
async fn a_file_that_moved_on_is_a_conflict_although_gitlab_says_400() {
    let world = World::with(Box::new(|_, asked| {
        let text = "You are attempting to update a file that has changed since you started editing it.";
        asked.is("POST", COMMITS).then(|| Ok(reply(400, &json!({"message": text}))))
    }));
    let error = world.gitlab.open(&proposal()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict, "{error}");
    assert!(error.chain().contains("status 400"), "{error}");
}

#[tokio::test]
async fn a_request_that_was_merged_before_its_answer_came_is_returned() {
    let world = World::new();
    world.state().requests.insert(3, request(3, "merged"));
    let found = world.gitlab.open(&proposal()).await.unwrap();
    assert_eq!((found.iid, found.state), (3, MergeRequestState::Merged));
    assert_eq!(world.count("POST", COMMITS), 0);
}

#[tokio::test]
async fn history_on_the_same_branch_is_not_ours() {
    let world = World::new();
    let mut other_run = request(1, "merged");
    other_run["description"] = json!("marker of another run");
    world.state().requests.insert(1, other_run);
    world.state().requests.insert(2, request(2, "closed"));
    assert_eq!(world.gitlab.open(&proposal()).await.unwrap().iid, 3);
}

#[tokio::test]
async fn an_open_request_of_somebody_elses_is_a_conflict() {
    let world = World::new();
    let mut other = request(5, "opened");
    other["description"] = json!("marker of another run");
    world.state().requests.insert(5, other);
    let error = world.gitlab.open(&proposal()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict);
    assert!(error.chain().contains("!5 from branch guard/run-1 is open and is not of this run"), "{error}");
    assert_eq!(world.count("POST", COMMITS), 0);
}

#[tokio::test]
async fn a_proposal_without_a_change_is_rejected() {
    let world = World::new();
    let mut same = proposal();
    same.files.retain(|file| file.path.ends_with("base.yml"));
    assert_eq!(world.gitlab.open(&same).await.unwrap_err().name, ErrorName::Rejected);
}
