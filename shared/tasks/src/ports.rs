//! What tasks need from the outside, one trait a capability. A port is named after the need and mirrors one IAM
//! statement or one token scope; an adapter implements as many as its vendor can serve.

mod analyzer;
mod budget;
mod cluster;
mod git;
mod metrics;
mod notify;
mod start;
mod store;
mod webhook;
mod workflow;

pub use analyzer::ConfigurationAnalyzer;
pub use budget::RequestBudget;
pub use cluster::{ClusterHealthReader, DataPlaneReader, Extent, FluxNudger, ProxyRestarter, RolloutReader};
pub use git::{
    Comment, CommitReader, FileReader, Leftover, MergeRequestConversation, MergeRequestReader,
    MergeRequestWriter, OpenedRequest, Opening, Unopened, Withdrawn,
};
pub use metrics::{
    HistoryAsked, HistoryReader, IntegrationReader, MemoryAsked, MemoryReader, MonitorReader, TrafficReader,
};
pub use notify::{Channels, Notifier};
pub use start::{FirstStart, Start, StartRegister};
pub use store::{
    AuditEntry, BatchReader, ClusterReader, ConfigReader, Fence, HeldLease, Lease, LeaseReader, LockOutcome,
    Locks, RunRecords, StatusMove, StatusWriter, VersionChange,
};
pub use webhook::{DeliveryReader, News, WatcherWaker};
pub use workflow::{
    Answered, Clock, ExecutionReader, Liveness, OpenToken, TokenAnswerer, TokenStore, WaitsFor,
};
