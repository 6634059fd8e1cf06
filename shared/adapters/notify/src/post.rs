//! One JSON document to one address that may be a secret.

use std::time::Duration;

use bytes::Bytes;
use guard_http::{Call, System, Transport, refusal};
use guard_tasks::{Context as _, ErrorName, TaskError};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// Both services answer in a fraction of a second, and a run waits for nobody who does not.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a refusal says.
pub(crate) struct Refused {
    /// In the service's own words, without a secret.
    pub(crate) detail: String,
    /// The secret opens nothing any more. That is `Denied`, whatever the status: a newer one may have been stored.
    pub(crate) is_unknown_secret: bool,
}

/// Posts it; anything but a success is an error. Neither the address nor the answer's body is in its text: of an address
/// the path is the secret, and an answer may quote it.
pub(crate) async fn post(
    transport: &dyn Transport,
    system: System,
    operation: &'static str,
    address: &SecretString,
    body: &Value,
    refused: impl Fn(StatusCode, &[u8]) -> Refused + Send,
) -> Result<(), TaskError> {
    let request = Request::post(uri(address)?)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.to_string()))
        .map_err(|_| TaskError::rejected("the address cannot be called"))
        .context(system.as_str())?;
    let call = Call::new(system, request, TIMEOUT).named(operation);
    let label = call.label();
    let answer = transport.send(call).await.map_err(TaskError::from).context(&label)?;
    if answer.status().is_success() {
        return Ok(());
    }
    let Refused { detail, is_unknown_secret } = refused(answer.status(), answer.body());
    let mut error = refusal(&label, answer.status(), answer.headers(), &detail);
    if is_unknown_secret {
        error.name = ErrorName::Denied;
    }
    Err(error)
}

/// The address, if it may be called: a secret travels encrypted, or does not leave this machine.
fn uri(address: &SecretString) -> Result<Uri, TaskError> {
    let wrong = || TaskError::rejected("the address is no https URL; store the URL alone, without quotes");
    let uri: Uri = address.expose_secret().trim().parse().map_err(|_| wrong())?;
    let is_own_machine = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_own_machine => Ok(uri),
        _ => Err(wrong()),
    }
}
