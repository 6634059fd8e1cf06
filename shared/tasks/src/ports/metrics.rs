//! Datadog.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guard_domain::soak::MetricHistory;
use guard_domain::{ClusterId, ClusterRecord, IntegrationMode, MemoryFacts, MonitorFacts, TrafficWindow};
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

/// What a soak is judged by, of many clusters in few calls.
#[async_trait]
pub trait HistoryReader: Send + Sync {
    /// Metrics of each cluster between `from` and `to`, in points of [`guard_domain::soak::STEP`] seconds. A cluster
    /// without requests is absent from the answer. An answer in coarser points is an error: it would be judged as if it
    /// were quieter than it is.
    async fn history(
        &self,
        clusters: &[ClusterRecord],
        asked: HistoryAsked,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, MetricHistory>, TaskError>;
}

/// Which metrics are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryAsked {
    /// Requests, errors and latency.
    Critical,
    /// These, and what the proxies use.
    All,
}

/// How full memory is.
#[async_trait]
pub trait MemoryReader: Send + Sync {
    /// The fullest moment of the cluster between `from` and `to`. Each part is asked for only where its flag says so.
    async fn memory(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
        asked: MemoryAsked,
    ) -> Result<MemoryFacts, TaskError>;
}

/// What of memory is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryAsked {
    /// istiod's containers, and their limits.
    pub istiod: bool,
    /// Nodes.
    pub nodes: bool,
}

/// How requests are reported.
#[async_trait]
pub trait IntegrationReader: Send + Sync {
    /// The integration's mode, by the series that there are for the cluster between `from` and `to`.
    async fn integration(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntegrationMode, TaskError>;
}

/// Monitors.
#[async_trait]
pub trait MonitorReader: Send + Sync {
    /// Every monitor of the cluster that is not `OK`, muted ones included and marked.
    async fn monitors(&self, cluster: &ClusterRecord) -> Result<Vec<MonitorFacts>, TaskError>;
}
