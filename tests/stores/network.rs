//! The way to the tables, with what happens on it: no server here ever throttles, loses a reply, or has two
//! transactions meet.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use guard_http::{Call, FailureKind, ReqwestTransport, Transport, TransportError};
use serde_json::{Value, json};

type Answer = Result<http::Response<Bytes>, TransportError>;

/// What happens to one request.
pub(crate) enum Event {
    /// It is refused with this body, and not carried out.
    Refused(Value),
    /// It is carried out, and the answer is lost.
    ReplyLost,
    /// It is carried out twice; the second answer arrives.
    Twice,
    /// Something else is done before it.
    After(BoxFuture<'static, ()>),
    /// It and everything after it goes nowhere: the process is gone.
    Gone,
}

impl Event {
    /// A refusal with this code.
    pub(crate) fn refused(code: &str) -> Self {
        Self::Refused(json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "why"}))
    }
}

#[derive(Default)]
struct State {
    /// Operation, how many more of it go before, and what happens then.
    planned: Vec<(&'static str, usize, Event)>,
    is_gone: bool,
}

/// The real way, and what is planned to happen on it.
#[derive(Default)]
pub(crate) struct Network {
    way: ReqwestTransport,
    state: Mutex<State>,
}

impl Network {
    /// Something happens to the `nth` request of this operation from now on; the next one is the first.
    pub(crate) fn plan(&self, operation: &'static str, nth: usize, event: Event) {
        self.state().planned.push((operation, nth, event));
    }

    /// Everything planned has happened.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state().planned.is_empty()
    }

    /// A new process takes over.
    pub(crate) fn back(&self) {
        self.state().is_gone = false;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, call: &Call) -> Option<Event> {
        let target = call.request.headers()["x-amz-target"].to_str().unwrap();
        let operation = target.rsplit('.').next().unwrap();
        let mut state = self.state();
        if state.is_gone {
            return Some(Event::Gone);
        }
        for planned in state.planned.iter_mut().filter(|planned| planned.0 == operation) {
            planned.1 -= 1;
        }
        let due = state.planned.iter().position(|planned| planned.1 == 0)?;
        let event = state.planned.remove(due).2;
        state.is_gone = matches!(event, Event::Gone);
        Some(event)
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, call: Call) -> Answer {
        match self.event(&call) {
            None => self.way.send(call).await,
            Some(Event::Refused(body)) => {
                let answer = http::Response::builder()
                    .status(400)
                    .header("content-type", "application/x-amz-json-1.0");
                Ok(answer.body(Bytes::from(body.to_string())).unwrap())
            }
            Some(Event::ReplyLost) => {
                self.way.send(call).await.unwrap();
                Err(TransportError::new(FailureKind::Cut, "the answer was lost"))
            }
            Some(Event::Twice) => {
                self.way.send(call.clone()).await.unwrap();
                self.way.send(call).await
            }
            Some(Event::After(first)) => {
                first.await;
                self.way.send(call).await
            }
            Some(Event::Gone) => Err(TransportError::new(FailureKind::Connect, "the process is gone")),
        }
    }
}
