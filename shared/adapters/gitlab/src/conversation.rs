//! What is said on a merge request.

use guard_tasks::{Comment, TaskError};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;

/// The role of those who merge to a protected branch, unless it is set otherwise: Maintainer.
const MAINTAINER: u32 = 40;

#[derive(Deserialize)]
struct Told {
    body: String,
    author: Author,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct Author {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct Member {
    access_level: u32,
}

/// Says a text, unless one with this marker was said before, and hears what others said after it.
pub(crate) async fn ask(
    client: &Client,
    project: &str,
    iid: u64,
    marker: &str,
    text: &str,
) -> Result<Vec<Comment>, TaskError> {
    let path = format!("merge_requests/{iid}/notes");
    let order = [("order_by", "created_at"), ("sort", "asc")];
    let notes = client.list::<Told>(project, &path, &order).await??;
    let Some(asked) = notes.iter().position(|note| note.body.contains(marker)) else {
        let _: Told = client.write(Method::POST, project, &path, &json!({ "body": text })).await??;
        return Ok(Vec::new());
    };
    let own = notes.get(asked).map(|note| note.author.id);
    let said = notes.into_iter().skip(asked + 1).filter(|note| !note.system && Some(note.author.id) != own);
    Ok(said
        .map(|note| Comment { author_id: note.author.id, author: note.author.username, text: note.body })
        .collect())
}

/// Whether somebody is a Maintainer of a project, by themselves or by a group.
pub(crate) async fn is_maintainer(client: &Client, project: &str, user: u64) -> Result<bool, TaskError> {
    let member = client.get::<Member>(project, &format!("members/all/{user}"), &[]).await?;
    match member {
        Ok(member) => Ok(member.access_level >= MAINTAINER),
        Err(refused) if refused.is_absent() => Ok(false),
        Err(refused) => Err(refused.into()),
    }
}
