//! Lambda: other functions of GUARD's own account, called.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use guard_http::{System, Transport, clip};
use guard_tasks::{Clock, ErrorName, TaskError, WatcherWaker};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::signed::{Ask, SignedService};

/// Accepting an event takes Lambda milliseconds.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer is waited for: longer than the functions that people call may run.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// What a path segment keeps as it is; the colons of an ARN are encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The functions of GUARD's own account and region.
pub struct Functions {
    service: SignedService,
}

impl Functions {
    /// `endpoint` is a base URL, when the service is not where AWS has it.
    pub fn new(
        transport: Arc<dyn Transport>,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        region: &str,
        endpoint: Option<&String>,
    ) -> Self {
        let service = SignedService {
            system: System::Lambda,
            name: "lambda",
            transport,
            credentials,
            clock,
            region: region.to_owned(),
            endpoint: endpoint.cloned(),
        };
        Self { service }
    }

    /// Starts a function, named by its name or ARN, and does not wait for its answer. Lambda may start it twice.
    pub async fn start(&self, function: &str, payload: &Value) -> Result<(), TaskError> {
        self.invoke(function, "Event", payload, START_TIMEOUT).await.map(|_| ())
    }

    /// Calls a function and waits for its answer. An error of the function's own keeps its name. The request may be
    /// delivered twice, so this is for functions that may run twice, as all of GUARD's may.
    pub async fn call(&self, function: &str, payload: &Value) -> Result<Value, TaskError> {
        let answer = self.invoke(function, "RequestResponse", payload, CALL_TIMEOUT).await?;
        let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if answer.headers().contains_key("x-amz-function-error") {
            return Err(failed(&document).context(format!("function {function}")));
        }
        Ok(document)
    }

    async fn invoke(
        &self,
        function: &str,
        kind: &str,
        payload: &Value,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, TaskError> {
        let path = format!("/2015-03-31/functions/{}/invocations", utf8_percent_encode(function, SEGMENT));
        let ask = Ask {
            path: &path,
            headers: &[("content-type", "application/json"), ("x-amz-invocation-type", kind)],
            body: payload,
            timeout,
        };
        self.service.post(&format!("Lambda Invoke {function}"), ask).await
    }
}

/// What a function says when it fails: `{"errorType", "errorMessage"}`. A type of ours is its name; any other is
/// Lambda's word for a function that broke, or ran out of time or memory.
fn failed(document: &Value) -> TaskError {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, message) = (text("errorType"), text("errorMessage"));
    let known = ErrorName::ALL.into_iter().find(|name| name.as_str() == kind);
    known.map_or_else(
        || TaskError::internal(format!("{} {}", clip(kind), clip(message)).trim().to_owned()),
        |name| TaskError::new(name, clip(message)),
    )
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

/// The function `watch-merges`.
#[derive(Debug)]
pub struct Watcher {
    functions: Functions,
    name: String,
}

impl Watcher {
    /// `name` is the function's name or ARN.
    pub fn new(functions: Functions, name: impl Into<String>) -> Self {
        Self { functions, name: name.into() }
    }
}

#[async_trait]
impl WatcherWaker for Watcher {
    async fn wake(&self) -> Result<(), TaskError> {
        self.functions.start(&self.name, &json!({})).await
    }
}
