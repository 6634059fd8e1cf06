//! Datadog: request counts, latency and monitors of the fleet, in few calls, since all of an organisation's calls share
//! one rate limit.
//!
//! Never here: a verdict about a number, a zero where there was no data, or a retry. Start reading at [`Datadog`].

mod client;
mod history;
mod measured;
mod monitors;
mod query;
mod series;
mod traffic;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::soak::MetricHistory;
use guard_domain::{ClusterId, ClusterRecord, IntegrationMode, MemoryFacts, MonitorFacts, TrafficWindow};
use guard_http::Transport;
use guard_tasks::{
    Context as _, HistoryAsked, HistoryReader, IntegrationReader, MemoryAsked, MemoryReader, MonitorReader,
    TaskError, TrafficReader,
};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::client::Client;

/// One Datadog organisation.
pub struct Datadog {
    client: Client,
}

impl Datadog {
    /// `site` is a site such as `datadoghq.eu`, or a base URL such as `http://127.0.0.1:8080`.
    pub fn new(
        transport: Arc<dyn Transport>,
        site: &str,
        api_key: SecretString,
        application_key: SecretString,
    ) -> Self {
        Self { client: Client::new(transport, site, api_key, application_key) }
    }
}

#[async_trait]
impl TrafficReader for Datadog {
    async fn traffic(
        &self,
        clusters: &[ClusterRecord],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, TrafficWindow>, TaskError> {
        traffic::read(&self.client, clusters, from, to)
            .await
            .context(format!("read traffic of {} clusters", clusters.len()))
    }
}

#[async_trait]
impl HistoryReader for Datadog {
    async fn history(
        &self,
        clusters: &[ClusterRecord],
        asked: HistoryAsked,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, MetricHistory>, TaskError> {
        history::read(&self.client, clusters, asked, from, to)
            .await
            .context(format!("read the metrics of {} clusters", clusters.len()))
    }
}

#[async_trait]
impl MemoryReader for Datadog {
    async fn memory(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
        asked: MemoryAsked,
    ) -> Result<MemoryFacts, TaskError> {
        measured::memory(&self.client, &cluster.datadog_tags.cluster, from, to, asked)
            .await
            .context(format!("read memory of {}", cluster.cluster_id))
    }
}

#[async_trait]
impl IntegrationReader for Datadog {
    async fn integration(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntegrationMode, TaskError> {
        measured::integration(&self.client, &cluster.datadog_tags.cluster, from, to)
            .await
            .context(format!("look for the request series of {}", cluster.cluster_id))
    }
}

#[async_trait]
impl MonitorReader for Datadog {
    async fn monitors(&self, cluster: &ClusterRecord) -> Result<Vec<MonitorFacts>, TaskError> {
        monitors::read(&self.client, &cluster.datadog_tags.cluster)
            .await
            .context(format!("read monitors of {}", cluster.cluster_id))
    }
}

impl fmt::Debug for Datadog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datadog").field("client", &self.client).finish()
    }
}
