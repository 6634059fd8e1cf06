//! STS and EKS that answer what a test wants, and remember what they were asked.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use guard_aws::{Aws, Endpoints};
use guard_domain::ClusterRecord;
use guard_http::{Call, System, TransportError};
use guard_tasks::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const CA: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

/// A clock that tests turn.
pub(crate) struct Hands(Mutex<Timestamp>);

impl Hands {
    pub(crate) fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) clock: Arc<Hands>,
    asked: Arc<Mutex<Vec<Call>>>,
}

impl World {
    /// `eks` answers EKS; STS gives credentials for an hour.
    pub(crate) fn new(eks: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let clock = clock();
        let sts_clock = Arc::clone(&clock);
        Self::with_sts(clock, move || Ok(credentials(sts_clock.now() + SignedDuration::from_hours(1))), eks)
    }

    pub(crate) fn with_sts(
        clock: Arc<Hands>,
        sts: impl Fn() -> Answer + Send + Sync + 'static,
        eks: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let transport = move |call: Call| {
            record.lock().unwrap().push(call.clone());
            if call.system == System::Sts { sts() } else { eks() }
        };
        let base =
            SharedCredentialsProvider::new(Credentials::new("AKIDBASE", "hush-base", None, None, "test"));
        let aws = Aws::new(Arc::new(transport), base, Arc::<Hands>::clone(&clock), Endpoints::default());
        Self { aws, clock, asked }
    }

    /// Calls made to this system.
    pub(crate) fn asked(&self, system: System) -> Vec<Call> {
        self.asked.lock().unwrap().iter().filter(|call| call.system == system).cloned().collect()
    }
}

pub(crate) fn clock() -> Arc<Hands> {
    Arc::new(Hands(Mutex::new("2026-11-23T08:00:00Z".parse().unwrap())))
}

pub(crate) fn row() -> ClusterRecord {
    serde_json::from_value(json!({
        "cluster_id": "eks-1", "batch_id": "test", "environment": "test", "region": "eu-west-1",
        "gitlab_repo": "g/p", "flux_config_path": "clusters/eks-1",
        "aws_role_arn": "arn:aws:iam::111111111111:role/guard", "current_istio_version": "1.29.3",
        "datadog_tags": {"cluster": "eks-1", "env": "test"}, "owner_team": "t", "owner_handle": "h",
        "last_updated": "2026-11-01T00:00:00Z"
    }))
    .unwrap()
}

pub(crate) fn credentials(expires_at: Timestamp) -> http::Response<Bytes> {
    xml(
        200,
        &format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hush-role</SecretAccessKey>\
             <SessionToken>hush-session</SessionToken><Expiration>{expires_at}</Expiration></Credentials>\
             </AssumeRoleResult></AssumeRoleResponse>"
        ),
    )
}

pub(crate) fn sts_error(status: u16, code: &str) -> http::Response<Bytes> {
    xml(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>no, because</Message></Error></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: &str) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .header("content-type", "text/xml")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

pub(crate) fn cluster(status: &str) -> Value {
    json!({"cluster": {
        "name": "eks-1", "status": status, "version": "1.33", "endpoint": "https://abc.eks.example",
        "certificateAuthority": {"data": BASE64_STANDARD.encode(CA)},
        "health": {"issues": [{"code": "Ec2SubnetNotFound", "message": "m", "resourceIds": []}]}
    }})
}

pub(crate) fn answer(status: u16, code: Option<&str>, body: &Value) -> http::Response<Bytes> {
    let mut response = http::Response::builder().status(status).header("content-type", "application/json");
    if let Some(code) = code {
        response = response.header("x-amzn-errortype", code);
    }
    response.body(Bytes::from(body.to_string())).unwrap()
}
