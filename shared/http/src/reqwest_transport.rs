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
        let client = build(roots).map_err(|error| describe(&error))?;
        if clients.len() >= CLIENTS_KEPT {
            // Authorities that were rotated away would stay for ever; all others are made again on their next call.
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that sets time-outs and TLS")]
fn build(roots: Option<&Arc<str>>) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("guard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .gzip(true);
    match roots {
        Some(pem) => builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?).build(),
        None => builder.build(),
    }
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
    let mut causes: Vec<&(dyn Error + 'static)> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let message = causes.last().map_or_else(|| "no cause given".to_owned(), ToString::to_string);
    let kind = if is_distrust(&causes) {
        FailureKind::Tls
    } else if error.is_builder() {
        FailureKind::Unsendable
    } else if error.is_timeout() {
        FailureKind::Timeout
    } else if error.is_connect() {
        FailureKind::Connect
    } else if error.is_decode() {
        FailureKind::Body
    } else {
        FailureKind::Cut
    };
    TransportError::new(kind, message)
}

/// rustls's error travels inside an `io::Error`, whose `source` skips it: both ways are looked at.
fn is_distrust(causes: &[&(dyn Error + 'static)]) -> bool {
    let is_certificate = |error: &rustls::Error| matches!(error, rustls::Error::InvalidCertificate(_));
    causes.iter().any(|cause| {
        cause.downcast_ref::<rustls::Error>().is_some_and(is_certificate)
            || cause
                .downcast_ref::<std::io::Error>()
                .and_then(|io| io.get_ref())
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some_and(is_certificate)
    })
}
