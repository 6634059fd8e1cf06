//! Users: the people that GUARD may assign, and nobody else.

use serde_json::{Value, json};

use super::model::{GUARD, Project};
use crate::call::{self, Answer, Call};
use crate::state::State;

/// The number of the first user of the world.
const FIRST_ID: u64 = 300;

fn ids(users: &[String]) -> impl Iterator<Item = (u64, &String)> {
    (FIRST_ID..).zip(users)
}

/// Users by their names, which GitLab compares without regard to case.
pub(super) fn find<'a>(users: &'a [String], name: &str) -> Option<(u64, &'a String)> {
    ids(users).find(|(_, user)| user.eq_ignore_ascii_case(name))
}

pub(super) fn list(state: &State, call: &Call) -> Answer {
    let users = &state.spec.gitlab_users;
    let found: Vec<Value> = ids(users)
        .filter(|(_, user)| call.get("username").is_none_or(|name| user.eq_ignore_ascii_case(name)))
        .map(|(id, user)| json!({ "id": id, "username": user, "name": user, "state": "active" }))
        .collect();
    call::json(200, &Value::Array(found))
}

/// The number of GUARD's own user.
const GUARD_ID: u64 = 299;
/// GitLab's role of those who may merge.
const MAINTAINER: u64 = 40;

/// A member of a project, by number. Every user of the world is a Maintainer; strangers who comment are no members.
pub(super) fn member(project: &Project, id: &str) -> Answer {
    let known = ids(&project.users).find(|(own, _)| own.to_string() == id);
    match known {
        Some((id, user)) => call::json(
            200,
            &json!({ "id": id, "username": user, "state": "active", "access_level": MAINTAINER }),
        ),
        None => call::json(404, &json!({ "message": "404 Not found" })),
    }
}

impl Project {
    /// Who said something, as GitLab tells it. Strangers have numbers of their own.
    pub(super) fn author(&self, name: &str) -> Value {
        let known = find(&self.users, name).map(|(id, _)| id);
        let id = known.unwrap_or(if name == GUARD { GUARD_ID } else { 9_000 });
        json!({ "id": id, "username": name, "name": name, "state": "active" })
    }

    /// The names behind a list of numbers in a request's body. Numbers of nobody are left out, as GitLab does.
    pub(super) fn named(&self, body: &Value, field: &str) -> Vec<String> {
        let wanted =
            body.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64);
        wanted
            .filter_map(|id| ids(&self.users).find(|(own, _)| *own == id))
            .map(|(_, user)| user.clone())
            .collect()
    }
}
