//! The way out, led into the simulated world. No socket, no real time.

use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use guard_http::{Call, FailureKind, Transport, TransportError};
use guard_tasks::ErrorName;
use guard_world::World;
use http::Response;

use crate::faults::{Faults, NoReply};

/// Calls answered by a [`World`] in this process.
pub(crate) struct InProcess {
    pub(crate) world: World,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, call: Call) -> Result<Response<Bytes>, TransportError> {
        let uri = call.request.uri();
        let operation = format!("{} {}{}", call.request.method(), uri.host().unwrap_or_default(), uri.path());
        let sent = self.faults.call(call.system.as_str(), operation, call.timeout, || {
            Box::pin(ready(self.world.handle(call.request.clone())))
        });
        match sent.await {
            Ok(answer) => Ok(answer),
            Err(NoReply::Refused(name)) => refusal(name),
            Err(NoReply::Lost) => {
                Err(TransportError::new(FailureKind::Cut, "the connection broke before the answer"))
            }
            Err(NoReply::TimedOut) => Err(TransportError::new(FailureKind::Timeout, "no answer in time")),
        }
    }
}

/// What an adapter reads as this error name.
fn refusal(name: &str) -> Result<Response<Bytes>, TransportError> {
    let status = |status: u16| {
        let mut answer = Response::new(Bytes::from_static(b"{\"message\": \"injected\"}"));
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        Ok(answer)
    };
    match ErrorName::ALL.into_iter().find(|known| known.as_str() == name) {
        Some(ErrorName::Throttled) => status(429),
        Some(ErrorName::Conflict) => status(409),
        Some(ErrorName::Denied) => status(403),
        Some(ErrorName::Rejected) => status(400),
        Some(ErrorName::Internal) => status(302),
        Some(ErrorName::Transient) | None => {
            Err(TransportError::new(FailureKind::Connect, "connection refused"))
        }
    }
}
