//! GitLab's REST API, version 4, for one project.

mod commits;
mod merge_requests;
mod model;
mod pages;
mod repository;

use http::Method;
use serde_json::{Value, json};

pub(crate) use merge_requests::web_url;
pub(crate) use model::{MergeRequest, MergeState};

use crate::call::{self, Answer, Call};
use crate::state::State;

/// The project's number; GitLab accepts it in place of the path.
const PROJECT_ID: u64 = 4217;
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
    match parts.as_slice() {
        ["api", "v4", "user"] if call.method == Method::GET => {
            call::json(200, &json!({ "id": 77, "username": "guard", "name": "GUARD", "bot": true }))
        }
        ["api", "v4", "personal_access_tokens", "self"] if call.method == Method::GET => call::json(
            200,
            &json!({ "id": 9, "name": "guard", "active": true, "revoked": false, "scopes": ["api"], "expires_at": null }),
        ),
        ["api", "v4", "version"] if call.method == Method::GET => {
            call::json(200, &json!({ "version": "18.5.1-ee", "revision": "a1b2c3d4e5f" }))
        }
        ["api", "v4", "projects", project, rest @ ..] => {
            if *project != state.spec.gitlab_project && *project != PROJECT_ID.to_string() {
                return not_found("Project");
            }
            in_project(state, call, rest)
        }
        _ => call::json(404, &json!({ "error": "404 Not Found" })),
    }
}

fn in_project(state: &mut State, call: &Call, rest: &[&str]) -> Answer {
    let method = call.method.as_str();
    match (method, rest) {
        ("GET", []) => call::json(200, &project(state)),
        ("GET" | "HEAD", ["repository", "files", path]) => repository::file(state, call, path),
        ("GET", ["repository", "files", path, "raw"]) => repository::raw(state, call, path),
        ("GET", ["repository", "tree"]) => repository::tree(state, call),
        ("GET", ["repository", "branches"]) => repository::branches(state, call),
        ("GET", ["repository", "branches", name]) => repository::branch(state, name),
        ("POST", ["repository", "branches"]) => repository::create_branch(state, call),
        ("DELETE", ["repository", "branches", name]) => repository::delete_branch(state, name),
        ("POST", ["repository", "commits"]) => commits::create(state, call),
        ("GET", ["repository", "commits"]) => commits::list(state, call),
        ("GET", ["repository", "commits", id]) => commits::show(state, id),
        ("GET", ["repository", "commits", id, "refs"]) => commits::refs(state, id),
        ("GET", ["repository", "merge_base"]) => commits::merge_base(state, call),
        ("GET", ["repository", "compare"]) => commits::compare(state, call),
        ("GET", ["merge_requests"]) => merge_requests::list(state, call),
        ("POST", ["merge_requests"]) => merge_requests::create(state, call),
        (_, ["merge_requests", iid, rest @ ..]) => {
            let found = iid
                .parse()
                .ok()
                .and_then(|iid: u64| state.merge_requests.iter().position(|mr| mr.iid == iid));
            let Some(at) = found else { return message(404, "404 Not found") };
            match (method, rest) {
                ("GET", []) => merge_requests::show(state, at),
                ("PUT", []) => merge_requests::update(state, call, at),
                ("PUT", ["merge"]) => merge_requests::accept(state, call, at),
                ("GET", ["diffs" | "changes"]) => merge_requests::diffs(state, call, at),
                ("GET", ["notes"]) => merge_requests::notes(state, call, at),
                ("POST", ["notes"]) => merge_requests::add_note(state, call, at),
                _ => call::json(405, &json!({ "error": "405 Method Not Allowed" })),
            }
        }
        _ => call::json(404, &json!({ "error": "404 Not Found" })),
    }
}

fn project(state: &State) -> Value {
    let path = &state.spec.gitlab_project;
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({
        "id": PROJECT_ID,
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
