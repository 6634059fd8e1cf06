//! Datadog.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guard_domain::{ClusterId, ClusterRecord, MonitorFacts, TrafficWindow};
use jiff::Timestamp;

use crate::TaskError;

/// Request counts and latency of many clusters in few calls.
#[async_trait]
pub trait TrafficReader: Send + Sync {
    /// Traffic of each cluster between `from` and `to`. A cluster without any series is absent from the answer: no
    /// data is never a zero.
    async fn traffic(
        &self,
        clusters: &[ClusterRecord],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, TrafficWindow>, TaskError>;
}

/// Monitors.
#[async_trait]
pub trait MonitorReader: Send + Sync {
    /// Every monitor of the cluster that is not `OK`, muted ones included and marked.
    async fn monitors(&self, cluster: &ClusterRecord) -> Result<Vec<MonitorFacts>, TaskError>;
}
