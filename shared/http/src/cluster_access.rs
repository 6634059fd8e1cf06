//! The way into a cluster: what the Kubernetes adapter needs and the AWS adapter gives.
//!
//! It lives here because an address, a certificate authority and a token are what a [`crate::Call`] is made of, and
//! this is the one crate that both adapters already know; a third crate for one trait would be more to read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::ClusterRecord;
use guard_tasks::TaskError;
use secrecy::SecretString;

/// The EKS status in which a cluster may be worked on.
pub const ACTIVE: &str = "ACTIVE";

/// What EKS says about a cluster, and the way to its API server.
#[derive(Debug, Clone)]
pub struct Access {
    /// `ACTIVE`, `CREATING`, `UPDATING`, ... as EKS spells it.
    pub eks_status: String,
    /// Kubernetes minor line, for example `1.33`.
    pub kubernetes_version: String,
    /// Codes of EKS health issues.
    pub health_issues: Vec<String>,
    /// The API server; there exactly when the status is [`ACTIVE`].
    pub api_server: Option<ApiServer>,
}

/// Address and proof of one API server.
#[derive(Clone)]
pub struct ApiServer {
    /// `https://...`.
    pub endpoint: String,
    /// The cluster's own certificate authority.
    pub ca_pem: Arc<str>,
    /// Bearer token. It lives 15 minutes: ask for a new [`Access`] for each piece of work.
    pub token: SecretString,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Opens clusters.
#[async_trait]
pub trait ClusterAccess: Send + Sync {
    /// The cluster as EKS sees it now, with a token that was made just now.
    async fn access(&self, cluster: &ClusterRecord) -> Result<Access, TaskError>;
}
