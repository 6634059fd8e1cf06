use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{PROJECT, body, gitlab, propose, wait, world};
use crate::{Answer, World, WorldSpec};

const FILE: &str = "/repository/files/clusters%2Ftest-euw1-1%2Fistio%2Fistiod.yaml";

fn ignoring() -> World {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    spec.person.upgrade = Answer::Ignore;
    World::new(spec)
}

#[test]
fn a_wrong_token_is_refused() {
    let world = world();
    let request = Request::get(PROJECT).header("PRIVATE-TOKEN", "glpat-other").body(Bytes::new()).unwrap();
    let answer = world.handle(request);
    assert_eq!(answer.status(), 401);
    assert_eq!(body(&answer), json!({ "message": "401 Unauthorized" }));
}

#[test]
fn a_file_comes_with_its_last_commit() {
    let world = world();
    let (_, before) = gitlab(&world, "GET", &format!("{FILE}?ref=main"), &Value::Null);
    world.push("main", "README.md", Some("new"), "Say more").unwrap();
    let (status, after) = gitlab(&world, "GET", &format!("{FILE}?ref=main"), &Value::Null);
    assert_eq!(status, 200);
    assert_ne!(after["commit_id"], before["commit_id"]);
    assert_eq!(after["last_commit_id"], before["last_commit_id"]);
    assert_eq!(after["blob_id"], before["blob_id"]);
    let (status, _) = gitlab(&world, "GET", "/repository/files/nothing.yaml?ref=main", &Value::Null);
    assert_eq!(status, 404);
}

#[test]
fn a_second_open_request_for_a_branch_is_a_conflict() {
    let world = ignoring();
    let iid = propose(&world, "guard/run-1", "Upgrade Istio", "1.30.1", "1.30.5");
    let again = json!({ "source_branch": "guard/run-1", "target_branch": "main", "title": "Upgrade Istio" });
    let (status, answer) = gitlab(&world, "POST", "/merge_requests", &again);
    assert_eq!(status, 409);
    let text = format!("Another open merge request already exists for this source branch: !{iid}");
    assert_eq!(answer, json!({ "message": [text] }));
    let close = json!({ "state_event": "close" });
    assert_eq!(gitlab(&world, "PUT", &format!("/merge_requests/{iid}"), &close).1["state"], "closed");
    assert_eq!(gitlab(&world, "POST", "/merge_requests", &again).0, 201);
}

#[test]
fn a_stale_edit_is_refused_with_gitlabs_words() {
    let world = world();
    let (_, file) = gitlab(&world, "GET", &format!("{FILE}?ref=main"), &Value::Null);
    let path = file["file_path"].as_str().unwrap();
    world.push("main", path, Some("changed: true\n"), "Somebody was faster").unwrap();
    let commit = json!({
        "branch": "guard/run-1", "start_branch": "main", "commit_message": "Upgrade",
        "actions": [{ "action": "update", "file_path": path, "content": "x", "last_commit_id": file["last_commit_id"] }],
    });
    let (status, answer) = gitlab(&world, "POST", "/repository/commits", &commit);
    assert_eq!(status, 400);
    let text = "You are attempting to update a file that has changed since you started editing it.";
    assert_eq!(answer["message"], text);
    assert!(!world.branches().contains_key("guard/run-1"));
}

#[test]
fn commits_keep_to_branches_that_may_be_written() {
    let world = world();
    let action =
        json!([{ "action": "create", "file_path": "a.txt", "content": "YQ0K", "encoding": "base64" }]);
    let send = |extra: Value| {
        let mut commit = json!({ "commit_message": "x", "actions": action });
        commit.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        gitlab(&world, "POST", "/repository/commits", &commit).0
    };
    assert_eq!(send(json!({ "branch": "main" })), 403);
    assert_eq!(send(json!({ "branch": "b", "start_branch": "main", "start_sha": "main" })), 400);
    assert_eq!(send(json!({ "branch": "b" })), 400);
    let sha = world.branches()["main"].clone();
    assert_eq!(send(json!({ "branch": "b", "start_sha": sha })), 201);
    assert_eq!(world.file("b", "a.txt").unwrap(), "a\r\n");
    assert_eq!(send(json!({ "branch": "b", "start_branch": "main" })), 400);
    let branch = json!({ "branch": "b", "ref": "main" });
    assert_eq!(gitlab(&world, "POST", "/repository/branches", &branch).0, 400);
    assert_eq!(gitlab(&world, "DELETE", "/repository/branches/b", &Value::Null).0, 204);
    assert_eq!(gitlab(&world, "GET", "/repository/branches/b", &Value::Null).0, 404);
}

#[test]
fn a_merge_makes_a_commit_of_two_parents() {
    let world = world();
    let iid = propose(&world, "guard/run-1", "Upgrade Istio", "1.30.1", "1.30.5");
    let one = format!("/merge_requests/{iid}");
    assert_eq!(gitlab(&world, "GET", &one, &Value::Null).1["detailed_merge_status"], "checking");
    wait(&world, 10);
    let (_, open) = gitlab(&world, "GET", &one, &Value::Null);
    assert_eq!(open["detailed_merge_status"], "mergeable");
    assert_eq!(gitlab(&world, "PUT", &format!("{one}/merge"), &Value::Null).0, 403);
    let (_, diffs) = gitlab(&world, "GET", &format!("{one}/diffs"), &Value::Null);
    assert_eq!(diffs.as_array().unwrap().len(), 3);
    let diff = diffs[2]["diff"].as_str().unwrap();
    assert!(diff.contains("-      version: \"1.30.1\" # keep in step"), "{diff}");
    wait(&world, 20 * 60);
    let (_, merged) = gitlab(&world, "GET", &one, &Value::Null);
    assert_eq!(merged["state"], "merged");
    let merge_commit = merged["merge_commit_sha"].as_str().unwrap();
    let (_, commit) = gitlab(&world, "GET", &format!("/repository/commits/{merge_commit}"), &Value::Null);
    assert_eq!(commit["parent_ids"].as_array().unwrap().len(), 2);
    assert_eq!(commit["parent_ids"][1], merged["sha"]);
    let base = format!("/repository/merge_base?refs[]={}&refs[]=main", merged["sha"].as_str().unwrap());
    assert_eq!(gitlab(&world, "GET", &base, &Value::Null).1["id"], merged["sha"]);
    assert!(world.file("main", "clusters/test-euw1-1/istio/base.yaml").unwrap().contains("1.30.5"));
    assert_eq!(world.merge_requests()[0].diffs.len(), 3);
}

#[test]
fn a_conflict_is_left_alone() {
    let world = world();
    let iid = propose(&world, "guard/run-1", "Upgrade Istio", "1.30.1", "1.30.5");
    world.push("main", "clusters/test-euw1-1/istio/base.yaml", Some("# gone\n"), "Rework").unwrap();
    wait(&world, 3600);
    let (_, open) = gitlab(&world, "GET", &format!("/merge_requests/{iid}"), &Value::Null);
    assert_eq!((&open["state"], &open["detailed_merge_status"]), (&json!("opened"), &json!("conflict")));
}

#[test]
fn the_person_can_close_and_a_rollback_has_its_own_script() {
    let mut spec = WorldSpec::healthy(1, "1.30.1");
    spec.person.upgrade = Answer::Close { after: std::time::Duration::from_mins(1) };
    let world = World::new(spec);
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.1", "1.30.0");
    wait(&world, 61);
    let states = || world.merge_requests().into_iter().map(|mr| mr.state).collect::<Vec<_>>();
    assert_eq!(states(), ["closed", "opened"]);
    wait(&world, 5 * 60);
    assert_eq!(states(), ["closed", "merged"]);
}

#[test]
fn lists_are_paged_with_links() {
    let world = ignoring();
    for n in 0..5 {
        propose(
            &world,
            &format!("guard/run-{n}"),
            &format!("Upgrade {n}"),
            "1.30.1",
            &format!("1.30.{}", n + 2),
        );
    }
    let request = Request::get(format!("{PROJECT}/merge_requests?state=opened&per_page=2&page=2"))
        .header("PRIVATE-TOKEN", "glpat-world")
        .body(Bytes::new())
        .unwrap();
    let answer = world.handle(request);
    let shown = body(&answer);
    assert_eq!((&shown[0]["iid"], &shown[1]["iid"]), (&json!(3), &json!(2)));
    assert_eq!(answer.headers()["x-next-page"], "3");
    assert!(answer.headers()["link"].to_str().unwrap().contains("page=3&per_page=2>; rel=\"next\""));
    assert_eq!(answer.headers()["ratelimit-name"], "throttle_authenticated_api");
    let (_, found) = gitlab(&world, "GET", "/merge_requests?source_branch=guard%2Frun-3", &Value::Null);
    assert_eq!(found.as_array().unwrap().len(), 1);
    let (_, tree) =
        gitlab(&world, "GET", "/repository/tree?path=clusters%2Ftest-euw1-1&recursive=true", &Value::Null);
    let paths: Vec<&str> = tree.as_array().unwrap().iter().filter_map(|one| one["path"].as_str()).collect();
    assert_eq!(paths.len(), 4);
    assert_eq!(paths[0], "clusters/test-euw1-1/istio");
}
