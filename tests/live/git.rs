//! The Git server.

use std::sync::Arc;

use guard_domain::{FileContent, MergeRequestState, Proposal};
use guard_gitlab::GitLab;
use guard_http::ReqwestTransport;
use guard_lambda::SystemClock;
use guard_tasks::{
    Clock as _, CommitReader, ErrorName, FileReader, MergeRequestReader, MergeRequestWriter, OpenedRequest,
    Opening,
};

use crate::environment::{given, given_or, wanted};
use crate::world::{Outside, reads};

pub(crate) trait Git: CommitReader + FileReader + MergeRequestReader + MergeRequestWriter {}

impl<T: CommitReader + FileReader + MergeRequestReader + MergeRequestWriter> Git for T {}

fn opened(opening: Opening) -> OpenedRequest {
    match opening {
        Opening::Opened(opened) => *opened,
        Opening::Refused(finding) => unreachable!("{finding}"),
    }
}

struct Subject {
    git: Box<dyn Git>,
    /// The same server, without a token that it knows.
    stranger: Box<dyn Git>,
    project: String,
    branch: String,
    /// A folder with YAML files, where one is known.
    folder: Option<String>,
}

async fn reading(subject: &Subject) {
    let Subject { git, stranger, project, branch, folder } = subject;
    let head = git.head(project, branch).await.unwrap();
    assert!(head.len() == 40 && head.bytes().all(|byte| byte.is_ascii_hexdigit()), "{head}");
    assert!(git.is_ancestor(project, &head, &head).await.unwrap(), "a commit counts as its own ancestor");
    for (wrong_project, wrong_branch) in
        [(project.as_str(), "guard-live/no-such-branch"), ("guard-live/no-such-project", "main")]
    {
        let error = git.head(wrong_project, wrong_branch).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected, "{error}");
        assert!(error.chain().contains(wrong_branch) && error.chain().contains(wrong_project), "{error}");
    }
    let error = git.yaml_files(project, &["guard-live/no-such-folder"], &head).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected, "{error}");
    if let Some(folder) = folder {
        let files = git.yaml_files(project, &[folder], &head).await.unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert!(!paths.is_empty() && paths.is_sorted(), "{paths:?}");
        assert!(paths.iter().all(|path| path.starts_with(folder.as_str())), "{paths:?}");
        assert_eq!(
            git.yaml_files(project, &[paths[0]], &head).await.unwrap(),
            files[..1],
            "a file by its own path"
        );
    }
    assert_eq!(git.files(project, &["guard-live/no-such-file.yaml"], &head).await.unwrap(), []);
    assert_eq!(git.merge_requests(project, &[999_999_999]).await.unwrap(), []);
    assert_eq!(git.find(project, "guard-live/no-such-branch", branch, "guard-live: no").await.unwrap(), None);
    let error = stranger.head(project, branch).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}

/// Opens a merge request that changes one file, twice, and withdraws it, twice. What fails in between is told after the
/// request is withdrawn: nothing stays behind.
async fn writing(subject: &Subject, unique: &str) {
    let Subject { git, project, branch, folder, .. } = subject;
    let Some(folder) = folder else {
        return crate::environment::say(
            "skipped: the Git server, writing: no folder with a YAML file is named",
        );
    };
    let head = git.head(project, branch).await.unwrap();
    let file = git.yaml_files(project, &[folder], &head).await.unwrap().remove(0);
    let proposal = Proposal {
        project: project.clone(),
        base_commit: head,
        source_branch: format!("guard-live-{unique}"),
        target_branch: branch.clone(),
        title: "GUARD's live test: closed by itself".into(),
        description: format!("Opened and closed by `make live`.\n\nguard-live: {unique}"),
        commit_message: "GUARD's live test".into(),
        marker: format!("guard-live: {unique}"),
        files: vec![FileContent { content: format!("{}# {unique}\r\n", file.content), ..file.clone() }],
        labels: vec!["guard-live".into()],
        assignees: Vec::new(),
        reviewers: vec!["no-such-user-of-guards-live-test".into()],
    };
    let first = opened(git.open(&proposal).await.unwrap());
    let second = git.open(&proposal).await;
    let found = git.merge_requests(project, &[first.request.iid]).await;
    let changed = git.changed_files(project, first.request.iid).await;
    let tip = git.head(project, &proposal.source_branch).await;
    let written = match &tip {
        Ok(tip) => git.files(project, &[&proposal.files[0].path], tip).await,
        Err(error) => Err(error.clone()),
    };
    let withdrawn = git.withdraw(project, first.request.iid).await.unwrap();
    let again = git.withdraw(project, first.request.iid).await.unwrap();

    assert_eq!(first.request.state, MergeRequestState::Open);
    assert_eq!(first.notes.len(), 1, "a user whom nobody knows: {:?}", first.notes);
    assert_eq!(opened(second.unwrap()).request.iid, first.request.iid, "opened once");
    let heads: Vec<(u64, String)> =
        found.unwrap().into_iter().map(|request| (request.iid, request.head)).collect();
    assert_eq!(heads, [(first.request.iid, first.commit)]);
    assert_eq!(changed.unwrap().into_iter().collect::<Vec<_>>(), [file.path]);
    assert_eq!(written.unwrap(), proposal.files, "byte for byte");
    let ended = [&withdrawn, &again].map(|one| (one.request.state, one.was_open));
    assert_eq!(ended, [(MergeRequestState::Closed, true), (MergeRequestState::Closed, false)]);
    let gone = git.head(project, &proposal.source_branch).await.unwrap_err();
    assert_eq!(gone.name, ErrorName::Rejected, "the branch is deleted: {gone}");
}

fn of_world(outside: &Outside, may_write: bool) -> Subject {
    let url = &outside.served.gitlab_url;
    let token = outside.fleet.world.gitlab_token.clone();
    let git = if may_write {
        GitLab::new(Arc::new(ReqwestTransport::new()), url, token.into())
    } else {
        GitLab::new(reads(), url, token.into())
    };
    let row = &outside.fleet.rows[0];
    Subject {
        git: Box::new(git),
        stranger: Box::new(GitLab::new(reads(), url, "glpat-no-such-token".to_owned().into())),
        project: row.gitlab_repo.clone(),
        branch: "main".into(),
        folder: Some(row.flux_config_path.clone()),
    }
}

fn real(token: String, project: String, may_write: bool) -> Subject {
    let url = given_or("GITLAB_TEST_URL", "https://gitlab.com");
    let git = if may_write {
        GitLab::new(Arc::new(ReqwestTransport::new()), &url, token.into())
    } else {
        GitLab::new(reads(), &url, token.into())
    };
    Subject {
        git: Box::new(git),
        stranger: Box::new(GitLab::new(reads(), &url, "glpat-no-such-token".to_owned().into())),
        project,
        branch: given_or("GITLAB_TEST_BRANCH", "main"),
        folder: given("GITLAB_TEST_PATH"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_keeps_the_contract() {
    let outside = Outside::open().await;
    reading(&of_world(&outside, false)).await;
    writing(&of_world(&outside, true), "1").await;
    assert_eq!((outside.world.branches().len(), outside.world.merge_requests().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_gitlab_is_read() {
    let names = ["GITLAB_TEST_TOKEN", "GITLAB_TEST_PROJECT_ID"];
    if let Some([token, project]) = wanted("GitLab, reading", names) {
        reading(&real(token, project, false)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_gitlab_is_written() {
    let names = ["GITLAB_TEST_TOKEN", "GITLAB_TEST_PROJECT_ID", "GITLAB_TEST_ALLOW_WRITE"];
    let Some([token, project, allowed]) = wanted("GitLab, writing", names) else { return };
    if allowed != "true" {
        crate::environment::say("skipped: GitLab, writing: GITLAB_TEST_ALLOW_WRITE is not `true`");
        return;
    }
    writing(&real(token, project, true), &SystemClock.now().as_second().to_string()).await;
}
