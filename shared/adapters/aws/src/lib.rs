//! AWS. STS and EKS are the way into a cluster: [`Aws`] assumes the role of the cluster's account, asks EKS about the
//! cluster, and signs the token its API server takes. [`Secrets`], [`Parameters`], [`StepFunctions`] and
//! [`Functions`] belong to GUARD's own account.
//!
//! Never here: a socket (every call goes through the transport port), a retry, the environment, or the time of day.
//! Start reading at [`Aws`].

mod credentials;
mod dynamodb;
mod error;
mod functions;
mod own_keys;
mod parameters;
mod sdk;
mod secrets;
mod signed;
mod step_functions;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eks::types::Cluster;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_domain::ClusterRecord;
use guard_http::Transport;
use guard_http::cluster_access::{ACTIVE, Access, ApiServer, ClusterAccess};
use guard_tasks::{Clock, Context as _, ErrorName, TaskError};

use crate::credentials::AssumedRoles;
use crate::sdk::Sdk;

pub use dynamodb::{DynamoDb, FleetRow, HeldLock, TableCheck, TableNames};
pub use functions::{Functions, Watcher};
pub use own_keys::{Identity, OwnKeys, TimedKeys};
pub use parameters::Parameters;
pub use secrets::Secrets;
pub use step_functions::{
    Execution, ExecutionLine, ExecutionState, Happened, History, HistoryEvent, Start, StepFunctions,
};

/// Where STS and EKS are, when they are not where AWS has them.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Base URL of STS. The signed token names the real STS host all the same: API servers accept no other.
    pub sts: Option<String>,
    /// Base URL of EKS.
    pub eks: Option<String>,
}

/// AWS, for one identity of GUARD itself.
pub struct Aws {
    sdk: Sdk,
    clock: Arc<dyn Clock>,
    roles: AssumedRoles,
    endpoints: Endpoints,
}

impl Aws {
    /// `base_credentials` are GUARD's own; each cluster's role is assumed with them.
    pub fn new(
        transport: Arc<dyn Transport>,
        base_credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        endpoints: Endpoints,
    ) -> Self {
        let sdk = Sdk::new(transport, Arc::clone(&clock));
        let roles = AssumedRoles::new(base_credentials);
        Self { sdk, clock, roles, endpoints }
    }

    /// Sends this external id with every AssumeRole, for member roles that ask for one.
    #[must_use]
    pub fn with_external_id(mut self, external_id: impl Into<String>) -> Self {
        self.roles.external_id = Some(external_id.into());
        self
    }

    async fn describe(&self, row: &ClusterRecord, credentials: Credentials) -> Result<Cluster, TaskError> {
        let credentials = SharedCredentialsProvider::new(credentials);
        let config = self.sdk.eks(&row.region, self.endpoints.eks.as_ref(), credentials);
        let label = format!("EKS GET /clusters/{} in {}", row.cluster_id, row.region);
        let answer = aws_sdk_eks::Client::from_conf(config)
            .describe_cluster()
            .name(row.cluster_id.as_str())
            .send()
            .await
            .map_err(|error| error::classify(&label, &error))?;
        answer.cluster.ok_or_else(|| TaskError::internal("the answer holds no cluster").context(label))
    }
}

#[async_trait]
impl ClusterAccess for Aws {
    async fn access(&self, cluster: &ClusterRecord) -> Result<Access, TaskError> {
        let doing = || format!("open cluster {}", cluster.cluster_id);
        let now = self.clock.now();
        let credentials =
            self.roles.credentials(&self.sdk, &self.endpoints, cluster, now).await.context(doing())?;
        let described = self.describe(cluster, credentials.clone()).await;
        if described.as_ref().is_err_and(|error| error.name == ErrorName::Denied) {
            // The role's sessions may have been revoked: the next attempt assumes it afresh.
            self.roles.forget(cluster);
        }
        let described = described.context(doing())?;
        access_to(&described, &credentials, cluster, SystemTime::from(now)).context(doing())
    }
}

fn access_to(
    described: &Cluster,
    credentials: &Credentials,
    row: &ClusterRecord,
    now: SystemTime,
) -> Result<Access, TaskError> {
    let eks_status = described.status().map_or("UNKNOWN", |status| status.as_str()).to_owned();
    // A cluster that is being made has no endpoint yet, and one that is being deleted must not be worked on.
    let api_server = if eks_status == ACTIVE {
        let endpoint = described.endpoint().ok_or_else(|| TaskError::internal("EKS gave no endpoint"))?;
        let ca = described.certificate_authority().and_then(|authority| authority.data()).unwrap_or_default();
        Some(ApiServer {
            endpoint: endpoint.to_owned(),
            ca_pem: decode_pem(ca)?,
            token: token::sign(credentials, &row.region, row.cluster_id.as_str(), now)?,
        })
    } else {
        None
    };
    let issues = described.health().map(aws_sdk_eks::types::ClusterHealth::issues).unwrap_or_default();
    Ok(Access {
        eks_status,
        kubernetes_version: described.version().unwrap_or_default().to_owned(),
        health_issues: issues
            .iter()
            .map(|issue| issue.code().map_or("Unknown", |code| code.as_str()).to_owned())
            .collect(),
        api_server,
    })
}

fn decode_pem(data: &str) -> Result<Arc<str>, TaskError> {
    BASE64_STANDARD
        .decode(data)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|pem| pem.contains("BEGIN CERTIFICATE"))
        .map(Arc::from)
        .ok_or_else(|| TaskError::internal("EKS gave no readable certificate authority"))
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
