//! Decisions of GUARD: facts in, verdict out. Everything here is a pure function over plain values.
//!
//! Never here: async, I/O, a clock, the environment, logging, or any vendor's type.

mod batch_order;
mod budget;
mod cause;
mod cluster;
mod component;
mod config;
pub mod control_plane_gate;
mod facts;
mod finding;
mod grouping;
mod id;
mod merge_request;
pub mod plan;
mod progress;
mod reading;
pub mod reply;
mod status;
mod upgrade_spec;
mod version;
mod waiting;
pub mod yaml;

pub mod analyzer;
pub mod checks;
pub mod compatibility;
pub mod flux_chain;
pub mod freeze;
pub mod last_end;
pub mod look;
pub mod manifest;
pub mod notification;
mod open_questions;
pub mod post_check;
pub mod quarantine;
pub mod restart;
pub mod restart_plan;
pub mod retirement;
pub mod rollout;
pub mod skew;
pub mod soak;
pub mod text;
pub mod upgrade_path;

pub use guard_judge as judge;

pub use batch_order::{OrderError, in_order};
pub use budget::Budget;
pub use cause::cause_in_words;
pub use cluster::{ClusterMetadata, ClusterRecord, DatadogTags, HistoryEntry};
pub use component::Component;
pub use config::{
    AcceptedMessage, AwsConfig, Config, ConfigProblem, DatadogConfig, ExecutionConfig, GitLabConfig,
    KubernetesOverride, OnUnknown, PolicyConfig, RollbackConfig, RollbackScope, ThresholdOverrides,
    Thresholds, ValidationConfig,
};
pub use facts::{
    BaseFacts, BudgetFacts, ClusterFacts, Condition, ContainerEnd, ControlPlaneFacts, DataPlaneFacts,
    DefinitionFacts, EksFacts, EnvoyFilterFacts, FluxFacts, HelmReleaseFacts, InjectionProbe,
    IntegrationMode, IstiodFacts, KustomizationFacts, LabelSelector, MemoryFacts, MeshPodFacts, MeshRole,
    MonitorFacts, NamespaceFacts, NodeFacts, Operator, PodFacts, PodRef, PodTrouble, ProbeOutcome,
    Requirement, Rolling, RolloutCounts, RolloutFacts, SourceFacts, SourceKind, SourceRef, Standing,
    TemplateFacts, TrafficWindow, WebhookFacts, WorkloadFacts, WorkloadKind, WorkloadRef,
};
pub use finding::{Finding, Severity, Verdict};
pub use freeze::FreezeWindow;
pub use grouping::{Group, MrStrategy};
pub use id::{BatchId, ClusterId, InvalidName, RequestId, RunId};
pub use merge_request::{Direction, FileContent, MergeRequest, MergeRequestState, Proposal};
pub use plan::{MAX_CLUSTERS, Pace, Plan, PlannedCluster, Resumed, child_name};
pub use progress::{NextStep, Phase, Progress};
pub use reading::{Reading, Unread};
pub use status::ClusterStatus;
pub use upgrade_spec::{SpecUpdate, UpgradeSpec};
pub use version::{InvalidVersion, IstioVersion};
pub use waiting::{Landing, MergeEnd, OnEdited, Stand};
