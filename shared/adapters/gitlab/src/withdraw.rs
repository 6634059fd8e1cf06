//! Withdrawing a merge request, with an eye on the person who may merge it in the same second.

use guard_domain::MergeRequestState;
use guard_tasks::{TaskError, Withdrawn};
use http::{Method, StatusCode};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::client::Client;
use crate::{branch, merge_requests};

pub(crate) async fn withdraw(client: &Client, project: &str, iid: u64) -> Result<Withdrawn, TaskError> {
    let mut request = merge_requests::one(client, project, iid).await?;
    let was_open = request.state == MergeRequestState::Open;
    if was_open {
        close(client, project, iid).await?;
        request = merge_requests::one(client, project, iid).await?;
    }
    match request.state {
        // GitLab's own merge is under way, or somebody reopened it: its branch must stay.
        MergeRequestState::Open => {
            return Err(TaskError::conflict(
                "it is still open after it was closed: it may be merging just now",
            ));
        }
        MergeRequestState::Merged => {}
        MergeRequestState::Closed => branch::delete(client, project, &request.source_branch).await?,
    }
    Ok(Withdrawn { request, was_open })
}

/// Closes it. A refusal that a merge in between explains is left to the second look.
async fn close(client: &Client, project: &str, iid: u64) -> Result<(), TaskError> {
    let path = format!("merge_requests/{iid}");
    let body = json!({ "state_event": "close" });
    match client.write::<IgnoredAny>(Method::PUT, project, &path, &body).await? {
        Err(refused) if !is_moved_on(refused.status) => Err(refused.into()),
        _ => Ok(()),
    }
}

/// Statuses with which GitLab refuses to change the state of a request that is not open any more.
fn is_moved_on(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::CONFLICT
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}
