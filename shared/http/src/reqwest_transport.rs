//! The real way out, over reqwest and rustls.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::{Call, FailureKind, Transport, TransportError};

/// Largest answer that is read, after decompression: a page of 500 pods is 5 MB, ten times that is not a page.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Time for TCP and TLS together. A host that is there answers in far less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Clients kept, one a certificate authority. A fleet has one a cluster; 200 is the most a batch may have.
const CLIENTS_KEPT: usize = 256;

/// Sends calls over sockets: TLS by rustls with aws-lc-rs, no redirects, no proxy from the environment, no retries.
#[derive(Debug, Default)]
pub struct ReqwestTransport {
    clients: Mutex<HashMap<Option<Arc<str>>, reqwest::Client>>,
}

impl ReqwestTransport {
    /// A transport without any connection yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self, roots: Option<&Arc<str>>) -> Result<reqwest::Client, TransportError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = roots.cloned();
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(roots)?;
        if clients.len() >= CLIENTS_KEPT {
            // Authorities that were rotated away would stay for ever; all others are made again on their next call.
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(roots: Option<&Arc<str>>) -> Result<reqwest::Client, TransportError> {
    let builder = base();
    let builder = match roots {
        Some(pem) => builder.tls_certs_only(certificates(pem)?),
        None => builder,
    };
    builder.build().map_err(|error| describe(&error))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that sets time-outs and TLS")]
fn base() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("guard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .gzip(true)
}

fn certificates(pem: &str) -> Result<Vec<reqwest::Certificate>, TransportError> {
    let found = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| describe(&error))?;
    if found.is_empty() {
        return Err(TransportError::new(FailureKind::Unsendable, "the authority's PEM holds no certificate"));
    }
    Ok(found)
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        let client = self.client(call.roots.as_ref())?;
        let mut request = reqwest::Request::try_from(call.request).map_err(|error| describe(&error))?;
        *request.timeout_mut() = Some(call.timeout);
        let mut answer = client.execute(request).await.map_err(|error| describe(&error))?;

        let mut response = http::Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| describe(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let message = format!("more than {MAX_ANSWER_BYTES} bytes");
                return Err(TransportError::new(FailureKind::TooLarge, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.map(|()| body.freeze()))
    }
}

/// The kind of a reqwest error, and its innermost cause. The outer texts name the URL with its query and are left out.
fn describe(error: &reqwest::Error) -> TransportError {
    let causes = causes(error);
    let message = causes.last().map_or_else(|| "no cause given".to_owned(), ToString::to_string);
    let kind = if error.is_builder() {
        FailureKind::Unsendable
    } else if causes.iter().any(|cause| is_distrust(*cause)) {
        FailureKind::Tls
    } else if error.is_timeout() {
        FailureKind::Timeout
    } else if error.is_connect() {
        FailureKind::Connect
    } else if causes.iter().any(|cause| is_garbage(*cause)) {
        FailureKind::Body
    } else {
        FailureKind::Cut
    };
    TransportError::new(kind, message)
}

/// What is under an error, from the outside in. An `io::Error` holds another error that its `source` steps over.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let inner = |error: &'a (dyn Error + 'static)| {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
    };
    std::iter::successors(inner(error), |cause| inner(*cause)).collect()
}

fn is_distrust(cause: &(dyn Error + 'static)) -> bool {
    matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
}

/// What a decompressor says of bytes that it cannot read; bytes that are missing are another kind.
fn is_garbage(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|io| {
        matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)
    })
}
