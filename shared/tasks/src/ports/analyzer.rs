//! Istio's own analyzer of configuration.

use async_trait::async_trait;
use guard_domain::ClusterRecord;
use guard_domain::analyzer::{Analysis, AtHand};

use crate::TaskError;

/// Analyses the configuration of a cluster. That it gives no answer is an answer, which the policy weighs; an error
/// means that the cluster could not be opened.
#[async_trait]
pub trait ConfigurationAnalyzer: Send + Sync {
    /// Which analyzer is there. No cluster is asked.
    async fn at_hand(&self) -> AtHand;

    /// Everything it says of all namespaces. It reads only, and ends by its own deadline.
    async fn analyze(&self, cluster: &ClusterRecord) -> Result<Analysis, TaskError>;
}
