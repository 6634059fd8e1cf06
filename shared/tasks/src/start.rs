//! A request that is delivered twice: its second start is told which execution was the first, and touches nothing.

use crate::{Context as _, FirstStart, Start, StartRegister, TaskError};

/// Notes the start. The other execution, if this request was started before.
pub(crate) async fn started_before(
    starts: &dyn StartRegister,
    start: &Start,
) -> Result<Option<FirstStart>, TaskError> {
    let first = starts.note(start).await.context(format!("note request {}", start.request_id))?;
    Ok((first.execution_arn != start.execution_arn).then_some(first))
}

/// What a person reads at the end of the second start.
pub(crate) fn summary(start: &Start, first: &FirstStart) -> String {
    format!(
        "request {} was started before, at {}, by {}: look there. Nothing was done here. To start once more, give \
         another request_id, or none",
        start.request_id, first.at, first.execution_arn
    )
}
