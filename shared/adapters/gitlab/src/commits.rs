//! Commits and their order.

use guard_tasks::TaskError;
use http::StatusCode;
use serde::Deserialize;

use crate::branch;
use crate::client::Client;

#[derive(Deserialize)]
struct Commit {
    id: String,
}

pub(crate) async fn head(client: &Client, project: &str, name: &str) -> Result<String, TaskError> {
    Ok(branch::look(client, project, name).await??)
}

/// True when the merge base of both is `commit` itself.
pub(crate) async fn is_ancestor(
    client: &Client,
    project: &str,
    commit: &str,
    of: &str,
) -> Result<bool, TaskError> {
    if commit == of {
        return Ok(true);
    }
    let refs = [("refs[]", commit), ("refs[]", of)];
    match client.get::<Commit>(project, "repository/merge_base", &refs).await? {
        Ok(base) => Ok(base.id == commit),
        // Two histories that share nothing, as against a project or a commit that is not there.
        Err(refused) if refused.status == StatusCode::NOT_FOUND && refused.detail.contains("Merge Base") => {
            Ok(false)
        }
        Err(refused) => Err(refused.into()),
    }
}
