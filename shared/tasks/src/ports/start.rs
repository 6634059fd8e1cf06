//! Starts that name a request: delivered twice, they happen once.

use async_trait::async_trait;
use guard_domain::{BatchId, RequestId};
use jiff::Timestamp;

use crate::TaskError;

/// A start of a machine, as somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which machine.
    pub machine: &'static str,
    /// Its batch, for a machine that takes one.
    pub batch_id: Option<BatchId>,
    /// What the caller names the request; the same name again is the same request.
    pub request_id: RequestId,
    /// The execution that was started.
    pub execution_arn: String,
    /// When its first task looked.
    pub at: Timestamp,
}

/// The execution that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// Its ARN.
    pub execution_arn: String,
    /// When its first task looked.
    pub at: Timestamp,
}

/// Which request was started by which execution.
#[async_trait]
pub trait StartRegister: Send + Sync {
    /// Notes the start if none with the same machine, batch and request was noted before, in one conditional write, and
    /// says which one is noted now. The same execution may ask again: it finds itself.
    async fn note(&self, start: &Start) -> Result<FirstStart, TaskError>;
}
