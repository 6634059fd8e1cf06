//! One signed request to one AWS service, for the services of which GUARD needs a call or two. Their SDK clients would
//! take longer to compile than all of GUARD (docs/decisions/0010).

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use guard_http::{Call, System, Transport};
use guard_tasks::{Clock, ErrorName, TaskError};
use serde_json::Value;

use crate::error;

/// A service of GUARD's own account and region.
pub(crate) struct SignedService {
    pub(crate) system: System,
    /// The name it is signed for, which is also the first word of its host.
    pub(crate) name: &'static str,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) region: String,
    /// A base URL, when the service is not where AWS has it.
    pub(crate) endpoint: Option<String>,
}

/// What is asked of it: a POST of a JSON document that may be sent twice.
pub(crate) struct Ask<'a> {
    /// With a leading slash, each segment encoded.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: &'a Value,
    pub(crate) timeout: Duration,
}

impl SignedService {
    /// The answer of a success. `label` says in errors what was asked; it names the action, as permissions do.
    pub(crate) async fn post(&self, label: &str, ask: Ask<'_>) -> Result<http::Response<Bytes>, TaskError> {
        let request = self.signed(&ask).await.map_err(|error| error.context(label))?;
        let call = Call::new(self.system, request, ask.timeout).repeatable();
        let answer =
            self.transport.send(call).await.map_err(|error| TaskError::from(error).context(label))?;
        if answer.status().is_success() { Ok(answer) } else { Err(error::refused(&answer).context(label)) }
    }

    async fn signed(&self, ask: &Ask<'_>) -> Result<http::Request<Bytes>, TaskError> {
        let credentials =
            self.credentials.provide_credentials().await.map_err(|error| {
                TaskError::new(ErrorName::Denied, format!("no usable credentials: {error}"))
            })?;
        let body = Bytes::from(ask.body.to_string());
        let mut request = http::Request::post(format!("{}{}", self.base(), ask.path));
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).map_err(|error| unsigned(&error))?;
        self.sign(&mut request, credentials)?;
        Ok(request)
    }

    fn sign(&self, request: &mut http::Request<Bytes>, credentials: Credentials) -> Result<(), TaskError> {
        let identity = Identity::from(credentials);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::from(self.clock.now()))
            .settings(SigningSettings::default())
            .build()
            .map(SigningParams::from)
            .map_err(|error| unsigned(&error))?;
        let url = request.uri().to_string();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str()));
        let headers: Vec<(&str, &str)> =
            headers.filter_map(|(name, value)| Some((name, value.ok()?))).collect();
        let signable = SignableRequest::new(
            request.method().as_str(),
            url.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(request.body()),
        )
        .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| unsigned(&error))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    fn base(&self) -> String {
        self.endpoint.as_ref().map_or_else(
            || {
                let suffix =
                    if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://{}.{}.{suffix}", self.name, self.region)
            },
            |endpoint| endpoint.trim_end_matches('/').to_owned(),
        )
    }
}

fn unsigned(error: &dyn Display) -> TaskError {
    TaskError::internal(format!("sign the request: {error}"))
}
