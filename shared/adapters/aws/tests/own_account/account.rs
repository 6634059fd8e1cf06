//! One answer for every call, and what was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use guard_aws::OwnKeys;
use guard_http::{Call, Transport};
use guard_tasks::Clock;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

pub(crate) const REGION: &str = "eu-west-1";

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped)
}

pub(crate) fn keys() -> OwnKeys {
    OwnKeys {
        access_key_id: "AKIDGUARD".into(),
        secret_access_key: SecretString::from("hush-key"),
        session_token: Some(SecretString::from("hush-session")),
    }
}

#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<Call>>>);

impl Asked {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn only_body(&self) -> Value {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "one call, no retry");
        serde_json::from_slice(calls[0].request.body()).unwrap()
    }
}

/// AWS that always gives this answer.
pub(crate) fn answering(status: u16, body: &Value) -> (Arc<dyn Transport>, Asked) {
    let asked = Asked::default();
    let (record, body) = (asked.clone(), Bytes::from(body.to_string()));
    let transport = move |call: Call| {
        record.0.lock().unwrap().push(call);
        let answer =
            http::Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
        Ok(answer.body(body.clone()).unwrap())
    };
    (Arc::new(transport), asked)
}
