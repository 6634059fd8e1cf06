//! The port behind the adapters.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Call, TransportError};

/// Sends a call and reads the whole answer. Any status is an answer; an error means that none came.
#[async_trait]
pub trait Transport: Send + Sync {
    /// One attempt. Retrying is the state machine's job.
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError>;
}

/// A closure is a transport: a table of answers in a test, or a hook around another transport's answers.
#[async_trait]
impl<F> Transport for F
where
    F: Fn(Call) -> Result<http::Response<Bytes>, TransportError> + Send + Sync,
{
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        self(call)
    }
}
