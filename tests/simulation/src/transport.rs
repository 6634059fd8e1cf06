//! The way out, led into the simulated world. No socket, no real time.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use guard_http::{Call, FailureKind, Transport, TransportError};
use guard_tasks::ErrorName;
use guard_world::World;
use http::{Method, Request, Response};
use serde_json::Value;

use crate::faults::{Faults, NoReply};
use crate::planted::{Bug, Planted};

/// What each read brought last.
#[derive(Default)]
pub(crate) struct Older(Mutex<BTreeMap<String, Response<Bytes>>>);

impl Older {
    /// Another one with the same answers.
    pub(crate) fn fork(&self) -> Self {
        Self(Mutex::new(self.all().clone()))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Response<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls answered by a [`World`] in this process.
pub(crate) struct InProcess {
    pub(crate) world: World,
    pub(crate) faults: Arc<Faults>,
    pub(crate) older: Arc<Older>,
    pub(crate) planted: Planted,
}

impl InProcess {
    /// Asks the world; once more where a planted bug says so.
    fn ask(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let answer = self.world.handle(request.clone());
        self.faults.recorder.sent(request, &answer, &self.world);
        if let Some(again) = self.again(request) {
            self.world.handle(again);
        }
        answer
    }

    fn again(&self, request: &Request<Bytes>) -> Option<Request<Bytes>> {
        let path = request.uri().path();
        let opens = request.method() == Method::POST && path.ends_with("/merge_requests");
        let restarts = request.method() == Method::PATCH && path.contains("/apis/apps/v1/");
        let mut body: Value = serde_json::from_slice(request.body()).ok()?;
        if opens && self.planted.is(Bug::RequestsAreOpenedTwice) {
            let branch = format!("{}-beside", body["source_branch"].as_str()?);
            self.world.branch_off(&branch);
            body["source_branch"] = branch.into();
        } else if restarts && self.planted.is(Bug::RestartsAreRepeated) {
            let annotations = body.pointer_mut("/spec/template/metadata/annotations")?;
            annotations.as_object_mut()?.insert("planted".to_owned(), "again".into());
        } else {
            return None;
        }
        let mut again = request.clone();
        *again.body_mut() = Bytes::from(body.to_string());
        Some(again)
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, call: Call) -> Result<Response<Bytes>, TransportError> {
        let uri = call.request.uri();
        let operation = format!("{} {}{}", call.request.method(), uri.host().unwrap_or_default(), uri.path());
        // Without faults nobody asks for an older answer, and none is kept.
        let read = (self.faults.is_hooked() && call.request.method() == Method::GET).then(|| uri.to_string());
        let older = read.as_ref().and_then(|read| self.older.all().get(read).cloned());
        let (system, timeout) = (call.system.as_str(), call.timeout);
        let sent = self
            .faults
            .read(system, operation, timeout, older.is_some(), || Box::pin(ready(self.ask(&call.request))));
        match sent.await {
            Ok(answer) => {
                if let Some(read) = read {
                    self.older.all().insert(read, answer.clone());
                }
                Ok(answer)
            }
            Err(NoReply::Stale) => {
                older.ok_or_else(|| TransportError::new(FailureKind::Cut, "no older answer"))
            }
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
