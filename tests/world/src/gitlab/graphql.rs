//! The GraphQL questions that GUARD asks: many files at once, many users at once. The document's words decide which; what
//! it asks for comes from the variables. GitLab's limits hold: a query's complexity, and a hundred nodes of a connection.

use serde_json::{Value, json};

use super::users;
use crate::call::{self, Answer, Call};
use crate::git;
use crate::state::State;

/// Of a signed-in user. Each path of `blobs` counts one, and the fields around them some twenty.
const COMPLEXITY: usize = 250;
const FIELDS: usize = 20;

/// The most nodes of a connection.
const NODES: usize = 100;

fn errors(text: &str) -> Answer {
    call::json(200, &json!({ "errors": [{ "message": text }] }))
}

pub(super) fn answer(state: &State, call: &Call) -> Answer {
    let body = call.json().unwrap_or_default();
    let query = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let empty = Value::Null;
    let variables = body.get("variables").unwrap_or(&empty);
    if query.contains("blobs(") {
        blobs(state, variables)
    } else if query.contains("users(") {
        by_names(state, variables)
    } else {
        errors("Parse error on this document: this world knows `blobs` and `users` only")
    }
}

fn texts<'a>(variables: &'a Value, name: &str) -> Vec<&'a str> {
    variables.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn blobs(state: &State, variables: &Value) -> Answer {
    let text = |name: &str| variables.get(name).and_then(Value::as_str).unwrap_or_default();
    let paths = texts(variables, "paths");
    let complexity = FIELDS + paths.len();
    if complexity > COMPLEXITY {
        return errors(&format!(
            "Query has complexity of {complexity}, which exceeds max complexity of {COMPLEXITY}"
        ));
    }
    // Full paths are compared without regard to case; a project that is not there, or not for this token, is null.
    let project = state.projects.values().find(|one| one.path.eq_ignore_ascii_case(text("project")));
    let Some(project) = project else { return call::json(200, &json!({ "data": { "project": null } })) };
    let Some(commit) = project.git.resolve(text("ref")) else {
        return call::json(
            200,
            &json!({ "data": { "project": { "repository": { "blobs": { "nodes": [] } } } } }),
        );
    };
    let found = paths.iter().filter_map(|path| Some((path, commit.tree.get(*path)?)));
    let nodes: Vec<Value> = found
        .take(NODES)
        .map(|(path, content)| {
            json!({
                "path": path,
                "oid": git::blob_id(content),
                // What is not UTF-8 is given as what GitLab takes it for: other bytes than those of the file.
                "rawBlob": String::from_utf8_lossy(content),
                "size": content.len().to_string(),
            })
        })
        .collect();
    call::json(200, &json!({ "data": { "project": { "repository": { "blobs": { "nodes": nodes } } } } }))
}

fn by_names(state: &State, variables: &Value) -> Answer {
    let nodes: Vec<Value> = texts(variables, "names")
        .into_iter()
        .filter_map(|name| users::find(&state.spec.gitlab_users, name))
        .take(NODES)
        .map(|(id, user)| json!({ "id": format!("gid://gitlab/User/{id}"), "username": user }))
        .collect();
    call::json(200, &json!({ "data": { "users": { "nodes": nodes } } }))
}
