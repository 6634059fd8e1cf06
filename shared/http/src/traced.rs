//! What an outward call leaves in the log: one span, and one line when it is over.

use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument as _;

use crate::{Call, Transport, TransportError};

/// Another transport, each call of it in a span with `system` and `operation`, and told with `status` and `duration_ms`.
/// Never an address, a query, a header or a body: those hold tokens and signatures.
#[derive(Debug, Clone, Default)]
pub struct Traced<T>(pub T);

#[async_trait]
impl<T: Transport> Transport for Traced<T> {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        let (system, operation) = (call.system.as_str(), operation(&call));
        // An error span, so that no level hides it from the lines inside.
        let span = tracing::error_span!("call", system, operation);
        async {
            let started = Instant::now();
            let outcome = self.0.send(call).await;
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &outcome {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    // What nobody asked for is worth a line; a 404 may be the answer that was hoped for.
                    if status == 429 || status >= 500 {
                        tracing::info!(status, duration_ms, "{system} {operation}: status {status}");
                    } else {
                        tracing::debug!(status, duration_ms, "{system} {operation}: status {status}");
                    }
                }
                Err(error) => tracing::info!(duration_ms, "{system} {operation}: {error}"),
            }
            outcome
        }
        .instrument(span)
        .await
    }
}

/// What the call does, as people name it. Some services of AWS have one path for everything and name the operation in a
/// header: `DynamoDB_20120810.GetItem`.
fn operation(call: &Call) -> String {
    let target = call.request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    match target.and_then(|target| target.rsplit('.').next()) {
        Some(name) => name.to_owned(),
        None => call.operation(),
    }
}
