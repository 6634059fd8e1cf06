//! GET requests with keys, and refusals with names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guard_http::{Call, System, Transport, refusal};
use guard_tasks::{Context as _, TaskError};
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A grouped query over an hour takes seconds; Datadog itself gives up after half a minute.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    transport: Arc<dyn Transport>,
    base_url: String,
    api_key: SecretString,
    application_key: SecretString,
}

/// Datadog's refusals.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

impl Client {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        site: &str,
        api_key: SecretString,
        application_key: SecretString,
    ) -> Self {
        let base_url = if site.contains("://") {
            site.trim_end_matches('/').to_owned()
        } else {
            format!("https://api.{site}")
        };
        Self { transport, base_url, api_key, application_key }
    }

    /// The decoded answer to `GET path?query`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, TaskError> {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let request = Request::get(format!("{}{path}?{}", self.base_url, pairs.join("&")))
            .header(ACCEPT, "application/json")
            .header("dd-api-key", key_header(&self.api_key)?)
            .header("dd-application-key", key_header(&self.application_key)?)
            .body(Bytes::new())
            .map_err(|error| TaskError::rejected(format!("Datadog site {}: {error}", self.base_url)))?;
        let call = Call::new(System::Datadog, request, TIMEOUT);
        let label = call.label();
        let answer = self.transport.send(call).await.map_err(TaskError::from).context(&label)?;
        if !answer.status().is_success() {
            let detail = serde_json::from_slice::<Errors>(answer.body()).map_or_else(
                |_| String::from_utf8_lossy(answer.body()).into_owned(),
                |told| told.errors.join("; "),
            );
            return Err(refusal(&label, answer.status(), answer.headers(), &detail));
        }
        serde_json::from_slice(answer.body())
            .map_err(|error| TaskError::internal(format!("unreadable answer: {error}")).context(label))
    }
}

fn key_header(key: &SecretString) -> Result<HeaderValue, TaskError> {
    let mut value = HeaderValue::from_str(key.expose_secret().trim()).map_err(|_| {
        TaskError::rejected("a Datadog key cannot be a header: it holds a line break or the like")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
