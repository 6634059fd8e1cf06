//! The AWS SDK with everything of its own taken away: its sockets, its clock, its retries and its waits.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eks::config::{BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::{ReconnectMode, RetryConfig};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use bytes::Bytes;
use guard_http::{Call, FailureKind, System, Transport, TransportError};
use guard_tasks::Clock;

/// Every service answers within a second when it is well.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What all SDK clients are built from.
pub(crate) struct Sdk {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl Sdk {
    pub(crate) fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock }
    }

    pub(crate) fn sts(
        &self,
        region: &str,
        endpoint: Option<&String>,
        credentials: SharedCredentialsProvider,
    ) -> aws_sdk_sts::Config {
        aws_sdk_sts::Config::from(&self.config(System::Sts, region, endpoint, credentials))
    }

    pub(crate) fn eks(
        &self,
        region: &str,
        endpoint: Option<&String>,
        credentials: SharedCredentialsProvider,
    ) -> aws_sdk_eks::Config {
        aws_sdk_eks::Config::from(&self.config(System::Eks, region, endpoint, credentials))
    }

    /// What every service's client is built from.
    pub(crate) fn config(
        &self,
        system: System,
        region: &str,
        endpoint: Option<&String>,
        credentials: SharedCredentialsProvider,
    ) -> SdkConfig {
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .http_client(self.way_out(system))
            .time_source(ClockTime(Arc::clone(&self.clock)))
            // Connections are the transport's. The SDK would look for one to close at each 5xx, and write an error that
            // it finds none.
            .retry_config(RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections))
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache());
        builder.set_endpoint_url(endpoint.cloned());
        builder.build()
    }

    fn way_out(&self, system: System) -> WayOut {
        WayOut { system, transport: Arc::clone(&self.transport) }
    }
}

/// The Clock port as the SDK's time.
struct ClockTime(Arc<dyn Clock>);

impl TimeSource for ClockTime {
    fn now(&self) -> SystemTime {
        SystemTime::from(self.0.now())
    }
}

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTime")
    }
}

/// The transport as the SDK's HTTP client.
#[derive(Clone)]
struct WayOut {
    system: System,
    transport: Arc<dyn Transport>,
}

impl fmt::Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WayOut").field("system", &self.system).finish_non_exhaustive()
    }
}

impl HttpClient for WayOut {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for WayOut {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (system, transport) = (self.system, Arc::clone(&self.transport));
        HttpConnectorFuture::new(async move {
            let request = plain(request)?;
            // Most are a POST and only read. A task token that is answered twice is answered once; what DynamoDB is
            // given twice it finds done, by its condition or by the call's own token.
            let call = Call::new(system, request, TIMEOUT).repeatable();
            let answer = transport.send(call).await.map_err(connector_error)?;
            HttpResponse::try_from(answer.map(SdkBody::from))
                .map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

fn plain(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let (parts, body) =
        request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
    let bytes = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| {
        let error = TransportError::new(FailureKind::Unsendable, "a body that is not in memory");
        ConnectorError::user(error.into())
    })?;
    Ok(http::Request::from_parts(parts, bytes))
}

fn connector_error(error: TransportError) -> ConnectorError {
    match error.kind {
        FailureKind::Timeout => ConnectorError::timeout(error.into()),
        FailureKind::Unsendable => ConnectorError::user(error.into()),
        FailureKind::Connect
        | FailureKind::Cut
        | FailureKind::Tls
        | FailureKind::Body
        | FailureKind::TooLarge => ConnectorError::io(error.into()),
    }
}
