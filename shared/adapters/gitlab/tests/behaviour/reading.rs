//! Commits, files and merge requests, read.

use guard_domain::MergeRequestState;
use guard_tasks::{CommitReader as _, ErrorName, FileReader as _, MergeRequestReader as _};
use serde_json::json;

use crate::world::{BASE, World, missing, reply, request};

const PROJECT: &str = "mesh/fleet";

#[tokio::test]
async fn the_head_of_a_branch_is_its_commit() {
    let world = World::new();
    assert_eq!(world.gitlab.head(PROJECT, "main").await.unwrap(), BASE);
    let error = world.gitlab.head(PROJECT, "gone/branch").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    let state = world.state();
    let first = &state.asked[0].call;
    assert_eq!(first.request.headers()["authorization"], "Bearer hush-token");
    assert_eq!(
        state.asked[1].call.request.uri().to_string(),
        "https://gitlab.example/api/v4/projects/mesh%2Ffleet/repository/branches/gone%2Fbranch"
    );
}

#[tokio::test]
async fn an_ancestor_is_its_own_merge_base() {
    let world = World::with(Box::new(|_, asked| {
        let refs: Vec<&str> = asked.query.iter().map(|(_, value)| value.as_str()).collect();
        Some(Ok(match refs[..] {
            ["old", "new"] => reply(200, &json!({"id": "old"})),
            ["aside", "new"] => reply(200, &json!({"id": "fork"})),
            ["alien", "new"] => missing("Merge Base"),
            _ => reply(400, &json!({"message": "Could not find ref: typo"})),
        }))
    }));
    let is = async |commit| world.gitlab.is_ancestor(PROJECT, commit, "new").await;
    assert!(is("new").await.unwrap());
    assert!(is("old").await.unwrap());
    assert!(!is("aside").await.unwrap());
    assert!(!is("alien").await.unwrap(), "two histories");
    assert_eq!(is("typo").await.unwrap_err().name, ErrorName::Rejected);
}

#[tokio::test]
async fn a_file_or_every_yaml_file_below_a_folder_is_read() {
    let world = World::new();
    let read = async |path| world.gitlab.yaml_files(PROJECT, &[path], BASE).await;
    let one = read("./clusters/eks-1/istiod.yaml").await.unwrap();
    assert_eq!(
        (one[0].path.as_str(), one[0].content.as_str()),
        ("clusters/eks-1/istiod.yaml", "version: 1.29.3\r\n")
    );
    let paths: Vec<_> = read("clusters/eks-1/").await.unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["clusters/eks-1/deep/base.yml", "clusters/eks-1/istiod.yaml"], "both pages, sorted");
}

#[tokio::test]
async fn nothing_there_and_no_text_are_rejected_by_name() {
    let world = World::new();
    for (path, expected) in [
        ("clusters/eks-9", "clusters/eks-9"),
        ("clusters/eks-1/gone.yaml", "clusters/eks-1/gone.yaml"),
        ("clusters/latin.yaml", "clusters/latin.yaml is not UTF-8"),
    ] {
        let error = world.gitlab.yaml_files(PROJECT, &[path], BASE).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected, "{error}");
        assert!(error.chain().contains(expected), "{error}");
    }
    let error =
        world.gitlab.yaml_files(PROJECT, &["clusters/eks-1/istiod.yaml"], "nocommit").await.unwrap_err();
    assert!(error.chain().contains("at commit nocommit"), "{error}");
    let error = world.gitlab.yaml_files("mesh/gone", &["a.yaml"], BASE).await.unwrap_err();
    assert!(error.chain().contains("project mesh/gone is not there, or not for this token"), "{error}");
}

#[tokio::test]
async fn a_folder_too_high_up_is_not_read_file_by_file() {
    let world = World::new();
    let many = (0..201).map(|n| (format!("all/{n:03}.yaml"), Vec::new()));
    world.state().trees.get_mut(BASE).unwrap().extend(many);
    world.state().page_size = 100;
    let error = world.gitlab.yaml_files(PROJECT, &["all"], BASE).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
    assert!(error.chain().contains("201 YAML files under `all`"), "{error}");
    assert_eq!(world.state().asked.iter().filter(|asked| asked.path.contains("graphql")).count(), 0);
}

#[tokio::test]
async fn requests_are_listed_newest_first_whatever_their_state() {
    let world = World::new();
    for (iid, state) in [(1, "closed"), (3, "locked"), (2, "merged"), (4, "brand_new_state")] {
        world.state().requests.insert(iid, request(iid, state));
    }
    let found = world.gitlab.merge_requests(PROJECT, &[1, 2, 3, 4, 99]).await.unwrap();
    let told: Vec<_> = found.iter().map(|mr| (mr.iid, mr.state)).collect();
    assert_eq!(
        told,
        [
            (4, MergeRequestState::Open),
            (3, MergeRequestState::Open),
            (2, MergeRequestState::Merged),
            (1, MergeRequestState::Closed)
        ]
    );
    assert_eq!(found[3].created_at.to_string(), "2026-11-01T09:00:00.123Z");
}

#[tokio::test]
async fn many_folders_are_read_by_pages_and_their_files_a_hundred_at_once() {
    let world = World::new();
    let names = ["base.yaml", "istiod.yaml", "gateway.yaml"];
    for n in 0..75 {
        for name in names {
            let path = format!("fleet/c{n:02}/istio/{name}");
            world.state().trees.get_mut(BASE).unwrap().insert(path, format!("n: {n}\n").into_bytes());
        }
    }
    world.state().page_size = 100;
    let paths: Vec<String> = (0..75).map(|n| format!("fleet/c{n:02}/istio")).collect();
    let wanted: Vec<&str> = paths.iter().map(String::as_str).collect();
    let files = world.gitlab.yaml_files(PROJECT, &wanted, BASE).await.unwrap();
    assert_eq!(files.len(), 225);
    let calls = |path: &str| world.state().asked.iter().filter(|asked| asked.path.contains(path)).count();
    assert_eq!((calls("tree"), calls("graphql")), (3, 3));

    // One of them is not there: the others do not hide that.
    let error = world.gitlab.yaml_files(PROJECT, &["fleet/c00/istio", "fleet/c99/istio"], BASE).await;
    assert!(error.unwrap_err().chain().contains("`fleet/c99/istio`"));
}

#[tokio::test]
async fn a_crowded_repository_is_not_read_whole_for_a_few_folders() {
    let world = World::new();
    let many = (0..1_000).map(|n| (format!("other/{n:04}.md"), Vec::new()));
    world.state().trees.get_mut(BASE).unwrap().extend(many);
    for path in ["a/istio.yaml", "b/istio.yaml"] {
        world.state().trees.get_mut(BASE).unwrap().insert(path.to_owned(), b"x: 1\n".to_vec());
    }
    world.state().page_size = 100;
    let files = world.gitlab.yaml_files(PROJECT, &["a", "b"], BASE).await.unwrap();
    assert_eq!(files.len(), 2);
    let trees = world.state().asked.iter().filter(|asked| asked.path.contains("tree")).count();
    assert_eq!(trees, 4, "two pages too many, then one call each");
}

#[tokio::test]
async fn a_branch_that_is_gone_is_told() {
    let world = World::new();
    for (iid, state, status, expected) in [
        (1, "opened", "commits_status", true),
        (2, "opened", "mergeable", false),
        (3, "merged", "commits_status", false),
    ] {
        let mut told = request(iid, state);
        told["detailed_merge_status"] = json!(status);
        world.state().requests.insert(iid, told);
        let found = world.gitlab.merge_requests(PROJECT, &[iid]).await.unwrap();
        assert_eq!(found[0].is_branch_gone, expected, "{state} {status}");
    }
    let changed = world.gitlab.changed_files(PROJECT, 1).await.unwrap();
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_landed_is_the_merge_the_squash_or_the_head() {
    let world = World::new();
    let landed = async |change: serde_json::Value| {
        let mut told = request(7, "merged");
        for (key, value) in change.as_object().unwrap() {
            told[key] = value.clone();
        }
        world.state().requests.insert(7, told);
        world.gitlab.merge_requests(PROJECT, &[7]).await.unwrap().remove(0).landed_commit
    };
    let both = json!({"merge_commit_sha": "m", "squash_commit_sha": "s"});
    assert_eq!(landed(both).await.as_deref(), Some("m"));
    assert_eq!(landed(json!({"squash_commit_sha": "s"})).await.as_deref(), Some("s"));
    assert_eq!(landed(json!({})).await.as_deref(), Some("5ea0"));
    assert_eq!(landed(json!({"state": "opened"})).await, None);
}
