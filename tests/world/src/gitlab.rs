//! GitLab's REST API, version 4, and the two questions that GUARD asks by GraphQL.

mod commits;
mod graphql;
mod merge_requests;
mod model;
mod pages;
mod repository;
mod users;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

pub(crate) use merge_requests::web_url;
pub(crate) use model::{Effect, MergeRequest, MergeState, Project, Remark};

use crate::call::{self, Answer, Call};
use crate::git::{Note, Repository, Tree};
use crate::state::{Event, State, later};

/// The first project's number; the others follow.
const FIRST_ID: u64 = 4217;
/// Requests a minute that the headers promise.
const LIMIT: u64 = 2_000;

/// An answer with GitLab's `message`.
fn message(status: u16, message: impl Into<Value>) -> Answer {
    call::json(status, &json!({ "message": message.into() }))
}

fn not_found(what: &str) -> Answer {
    message(404, format!("404 {what} Not Found"))
}

fn missing(parameter: &str) -> Answer {
    call::json(400, &json!({ "error": format!("{parameter} is missing") }))
}

/// What GitLab says to a token whose scopes do not cover the request.
fn insufficient_scope(scope: &str) -> Answer {
    call::json(
        403,
        &json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": scope,
        }),
    )
}

/// The projects of a world at its start, each with one commit on `main`.
pub(crate) fn projects(state: &State) -> BTreeMap<String, Project> {
    let spec = &state.spec;
    let first = (spec.gitlab_project.clone(), spec.files.clone());
    let all = std::iter::once(first).chain(spec.more_projects.clone());
    let born = later(state.now, -30 * 24 * 3600);
    let made = all.zip(FIRST_ID..).map(|((path, files), id)| {
        let mut git = Repository::default();
        let tree: Tree = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        let note = Note { author: "Platform Team".to_owned(), message: "Start".to_owned(), at: born };
        let first = git.commit(Vec::new(), tree, note);
        git.branches.insert("main".to_owned(), first);
        let project = Project {
            id,
            path: path.clone(),
            git,
            merge_requests: Vec::new(),
            now: state.now,
            base_url: state.gitlab_url.clone(),
            token_may_merge: spec.token_may_merge,
            protected: spec.protected_branches.clone(),
            users: spec.gitlab_users.clone(),
            page_limit: spec.gitlab_page_limit,
            effects: Vec::new(),
        };
        (path, project)
    });
    made.collect()
}

impl State {
    /// Does something to a project, and lets the rest of the world follow.
    pub(crate) fn in_project<T>(&mut self, path: &str, act: impl FnOnce(&mut Project) -> T) -> Option<T> {
        let project = self.projects.get_mut(path)?;
        project.now = self.now;
        project.base_url.clone_from(&self.gitlab_url);
        let done = act(project);
        for effect in std::mem::take(&mut project.effects) {
            match effect {
                Effect::Asked { iid } => self.ask_person(path, iid),
                Effect::MainMoved => self.main_moved(path),
            }
        }
        Some(done)
    }

    /// The project that a cluster's Flux follows.
    pub(crate) fn project_of(&self, cluster_id: &str) -> Option<&Project> {
        let spec = &self.clusters.get(cluster_id)?.spec;
        self.projects.get(spec.gitlab_project.as_ref().unwrap_or(&self.spec.gitlab_project))
    }

    /// The person answers.
    pub(crate) fn answer(&mut self, path: &str, iid: u64, opening: u32) {
        let request = self
            .projects
            .get(path)
            .and_then(|project| project.merge_requests.iter().find(|request| request.iid == iid));
        let Some(request) = request else { return };
        if request.opening != opening || request.state != MergeState::Opened {
            return;
        }
        let answer = self.script(&request.title);
        self.in_project(path, |project| {
            let Some(at) = project.position(iid) else { return };
            match answer {
                // A conflict is left for the author; nobody merges it by hand here.
                crate::Answer::Merge { .. } => _ = project.merge(at, "Robin Reviewer"),
                crate::Answer::Close { .. } => project.close(at),
                crate::Answer::Ignore => {}
            }
        });
    }

    /// The person merges or closes a merge request now. `false` when it is not open, or cannot be merged.
    pub(crate) fn answer_now(&mut self, path: &str, iid: u64, merge: bool) -> bool {
        let answered = self.in_project(path, |project| {
            let open = |request: &MergeRequest| request.iid == iid && request.state == MergeState::Opened;
            let Some(at) = project.merge_requests.iter().position(open) else { return false };
            if merge {
                return project.merge(at, "Robin Reviewer");
            }
            project.close(at);
            true
        });
        answered.unwrap_or(false)
    }

    /// A merge request was opened, or opened again: the person may answer it later.
    fn ask_person(&mut self, path: &str, iid: u64) {
        let request = self
            .projects
            .get(path)
            .and_then(|project| project.merge_requests.iter().find(|request| request.iid == iid));
        let Some(request) = request else { return };
        let opening = request.opening;
        let after = match self.script(&request.title) {
            crate::Answer::Merge { after } | crate::Answer::Close { after } => after,
            crate::Answer::Ignore => return,
        };
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        self.after(seconds, Event::Answer { project: path.to_owned(), iid, opening });
    }

    fn script(&self, title: &str) -> crate::Answer {
        let title = title.trim_start_matches("Draft: ");
        if title.starts_with("[ROLLBACK]") { self.spec.person.rollback } else { self.spec.person.upgrade }
    }
}

pub(crate) fn handle(state: &mut State, call: &Call) -> Answer {
    let answer = authenticated(state, call);
    let minute = state.now.as_second().div_euclid(60);
    let observed = state.signals.requests_in_period("gitlab", minute);
    let reset = (minute + 1) * 60;
    let answer = call::with(answer, "ratelimit-limit", &LIMIT.to_string());
    let answer = call::with(answer, "ratelimit-observed", &observed.to_string());
    let answer = call::with(answer, "ratelimit-remaining", &LIMIT.saturating_sub(observed).to_string());
    let answer = call::with(answer, "ratelimit-reset", &reset.to_string());
    call::with(answer, "ratelimit-name", "throttle_authenticated_api")
}

fn authenticated(state: &mut State, call: &Call) -> Answer {
    let bearer = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if call.header("private-token").or(bearer) != Some(state.spec.gitlab_token.as_str()) {
        return message(401, "401 Unauthorized");
    }
    let parts: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let has = |scope: &str| state.spec.token_scopes.iter().any(|own| own == scope);
    let is_read = matches!(call.method, Method::GET | Method::HEAD) || parts == ["api", "graphql"];
    let is_covered = has("api") || (is_read && has("read_api"));
    if !is_covered {
        return insufficient_scope(if is_read { "api read_api" } else { "api" });
    }
    match parts.as_slice() {
        ["api", "graphql"] if call.method == Method::POST => graphql::answer(state, call),
        ["api", "v4", "user"] if call.method == Method::GET => {
            call::json(200, &json!({ "id": 77, "username": "guard", "name": "GUARD", "bot": true }))
        }
        ["api", "v4", "users"] if call.method == Method::GET => users::list(state, call),
        ["api", "v4", "personal_access_tokens", "self"] if call.method == Method::GET => call::json(
            200,
            &json!({
                "id": 9, "name": "guard", "active": true, "revoked": false,
                "scopes": state.spec.token_scopes, "expires_at": null,
            }),
        ),
        ["api", "v4", "version"] if call.method == Method::GET => {
            call::json(200, &json!({ "version": "18.5.1-ee", "revision": "a1b2c3d4e5f" }))
        }
        ["api", "v4", "projects", name, rest @ ..] => {
            let found = state.projects.values().find(|one| one.path == *name || one.id.to_string() == *name);
            let Some(path) = found.map(|project| project.path.clone()) else { return not_found("Project") };
            let answer = state.in_project(&path, |project| in_project(project, call, rest));
            answer.unwrap_or_else(|| not_found("Project"))
        }
        _ => call::json(404, &json!({ "error": "404 Not Found" })),
    }
}

fn in_project(project: &mut Project, call: &Call, rest: &[&str]) -> Answer {
    let method = call.method.as_str();
    match (method, rest) {
        ("GET", []) => call::json(200, &project_json(project)),
        ("GET" | "HEAD", ["repository", "files", path]) => repository::file(project, call, path),
        ("GET", ["repository", "files", path, "raw"]) => repository::raw(project, call, path),
        ("GET", ["repository", "tree"]) => repository::tree(project, call),
        ("GET", ["repository", "branches"]) => repository::branches(project, call),
        ("GET", ["repository", "branches", name]) => repository::branch(project, name),
        ("POST", ["repository", "branches"]) => repository::create_branch(project, call),
        ("DELETE", ["repository", "branches", name]) => repository::delete_branch(project, name),
        ("POST", ["repository", "commits"]) => commits::create(project, call),
        ("GET", ["repository", "commits"]) => commits::list(project, call),
        ("GET", ["repository", "commits", id]) => commits::show(project, id),
        ("GET", ["repository", "commits", id, "refs"]) => commits::refs(project, id),
        ("GET", ["repository", "merge_base"]) => commits::merge_base(project, call),
        ("GET", ["repository", "compare"]) => commits::compare(project, call),
        ("GET", ["members", "all", id]) => users::member(project, id),
        ("GET", ["merge_requests"]) => merge_requests::list(project, call),
        ("POST", ["merge_requests"]) => merge_requests::create(project, call),
        (_, ["merge_requests", iid, rest @ ..]) => {
            let Some(at) = iid.parse().ok().and_then(|iid| project.position(iid)) else {
                return message(404, "404 Not found");
            };
            match (method, rest) {
                ("GET", []) => merge_requests::show(project, at),
                ("PUT", []) => merge_requests::update(project, call, at),
                ("PUT", ["merge"]) => merge_requests::accept(project, call, at),
                ("GET", ["diffs"]) => merge_requests::diffs(project, call, at),
                ("GET", ["changes"]) => merge_requests::changes(project, at),
                ("GET", ["notes"]) => merge_requests::notes(project, call, at),
                ("POST", ["notes"]) => merge_requests::add_note(project, call, at),
                _ => call::json(405, &json!({ "error": "405 Method Not Allowed" })),
            }
        }
        _ => call::json(404, &json!({ "error": "404 Not Found" })),
    }
}

fn project_json(project: &Project) -> Value {
    let path = &project.path;
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({
        "id": project.id,
        "name": name,
        "path": name,
        "path_with_namespace": path,
        "default_branch": "main",
        "web_url": format!("https://gitlab.example.com/{path}"),
        "visibility": "private",
        "archived": false,
        "merge_method": "merge",
        "squash_option": "default_off",
        "permissions": { "project_access": { "access_level": 30, "notification_level": 3 }, "group_access": null },
    })
}
