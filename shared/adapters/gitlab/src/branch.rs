//! Branches.

use guard_tasks::TaskError;
use http::StatusCode;
use serde::Deserialize;

use crate::client::{Answered, Client, segment};

#[derive(Deserialize)]
struct Branch {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

/// The branch's newest commit.
pub(crate) async fn look(client: &Client, project: &str, name: &str) -> Result<Answered<String>, TaskError> {
    let path = format!("repository/branches/{}", segment(name));
    let answered = client.get::<Branch>(project, &path, &[]).await?;
    Ok(answered.map(|branch| branch.commit.id))
}

/// The same where a branch that is not there is an answer too.
pub(crate) async fn find(client: &Client, project: &str, name: &str) -> Result<Option<String>, TaskError> {
    match look(client, project, name).await? {
        Ok(commit) => Ok(Some(commit)),
        // A project that is not there, or not for this token, is a 404 as well, but says so.
        Err(refused)
            if refused.status == StatusCode::NOT_FOUND && !refused.detail.contains("Project Not Found") =>
        {
            Ok(None)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Deletes it. Not there is as good.
pub(crate) async fn delete(client: &Client, project: &str, name: &str) -> Result<(), TaskError> {
    let path = format!("repository/branches/{}", segment(name));
    match client.delete(project, &path).await? {
        Err(refused) if refused.status != StatusCode::NOT_FOUND => Err(refused.into()),
        _ => Ok(()),
    }
}
