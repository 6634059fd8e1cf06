//! People, by the names that the registry and the configuration give them.

use std::collections::BTreeMap;

use guard_tasks::TaskError;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;

/// Users of one question: the most that GitLab gives.
const USERS_AT_ONCE: usize = 100;

const USERS: &str = "query($names: [String!]) { users(usernames: $names) { nodes { id username } } }";

#[derive(Deserialize)]
struct Data {
    users: Users,
}

#[derive(Deserialize)]
struct Users {
    nodes: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    /// `gid://gitlab/User/7`.
    id: String,
    username: String,
}

/// The numbers of those of them that GitLab knows, by their names in lower case.
pub(crate) async fn numbers(client: &Client, names: &[&String]) -> Result<BTreeMap<String, u64>, TaskError> {
    let mut known = BTreeMap::new();
    for some in names.chunks(USERS_AT_ONCE) {
        let data: Data = client.ask(USERS, &json!({ "names": some })).await?;
        let numbered = data.users.nodes.into_iter().filter_map(|user| {
            let number = user.id.rsplit('/').next()?.parse().ok()?;
            Some((user.username.to_lowercase(), number))
        });
        known.extend(numbered);
    }
    Ok(known)
}
