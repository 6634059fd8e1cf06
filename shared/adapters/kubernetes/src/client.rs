//! kube's client over the transport port.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guard_http::cluster_access::ApiServer;
use guard_http::{Call, System, Transport};
use guard_tasks::TaskError;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use secrecy::ExposeSecret as _;
use tower::BoxError;

use crate::error::Refusal;

/// A page of 500 pods takes a third of a second on a quiet API server; a busy one is given a hundred times that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The way to one API server.
#[derive(Clone)]
struct Door {
    transport: Arc<dyn Transport>,
    endpoint: Arc<str>,
    ca_pem: Arc<str>,
    bearer: HeaderValue,
}

/// A client for this API server. It has no retries, no waits and no sockets of its own.
pub(crate) fn open(transport: &Arc<dyn Transport>, server: &ApiServer) -> Result<kube::Client, TaskError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", server.token.expose_secret()))
        .map_err(|_| TaskError::internal("the cluster's token cannot be a header"))?;
    bearer.set_sensitive(true);
    let door = Door {
        transport: Arc::clone(transport),
        endpoint: server.endpoint.trim_end_matches('/').into(),
        ca_pem: Arc::clone(&server.ca_pem),
        bearer,
    };
    let service = tower::service_fn(move |request| door.clone().pass(request));
    Ok(kube::Client::new(service, "default"))
}

impl Door {
    async fn pass(self, request: Request<Body>) -> Result<Response<Full<Bytes>>, BoxError> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        parts.uri = format!("{}{path}", self.endpoint).parse::<Uri>()?;
        parts.headers.insert(AUTHORIZATION, self.bearer);
        // The only PATCH is a server-side apply, which twice is the same as once.
        let is_apply = parts.method == Method::PATCH;
        let mut call =
            Call::new(System::Kubernetes, Request::from_parts(parts, body), TIMEOUT).with_roots(self.ca_pem);
        if is_apply {
            call = call.repeatable();
        }
        let label = call.label();
        let answer = self.transport.send(call).await.map_err(|error| Refusal::unanswered(&error, &label))?;
        if answer.status().is_success() {
            Ok(answer.map(Full::new))
        } else {
            // Here and not after kube: it drops the headers, and it takes plain-text bodies for broken Status objects.
            Err(Refusal::of_answer(&answer, &label).into())
        }
    }
}
