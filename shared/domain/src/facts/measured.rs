//! What is measured of a cluster beside its traffic.

/// How full memory was at the worst moment of a window. What is not asked for stays absent, and so does what has no data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryFacts {
    /// The most that a container of istiod used, bytes.
    pub istiod_used: Option<f64>,
    /// The least that one of them may use, bytes; absent too where none has a limit.
    pub istiod_limit: Option<f64>,
    /// The smallest share of its memory that a node had left, percent.
    pub node_left_percent: Option<f64>,
}

/// How Datadog's integration reports the requests of a cluster's proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrationMode {
    /// `istio.mesh.request.count` is a count (`use_openmetrics: true`), if there is any data at all.
    OpenMetrics,
    /// Some or all agents have the integration's own default: `istio.mesh.request.count` is a gauge that only grows, and the
    /// count is called `istio.mesh.request.count.total`.
    Legacy,
}
