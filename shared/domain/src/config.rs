//! The configuration document. Its keys are those of the first GUARD plus `policy`; unknown keys are refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BatchId, FreezeWindow, MrStrategy, OnEdited};

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// AWS names.
    pub aws: AwsConfig,
    /// GitLab.
    pub gitlab: GitLabConfig,
    /// Datadog.
    pub datadog: DatadogConfig,
    /// How batches run.
    pub execution: ExecutionConfig,
    /// Soak and thresholds.
    pub validation: ValidationConfig,
    /// The way back.
    pub rollback: RollbackConfig,
    /// For each batch, the batches that must be healthy first.
    pub batch_order: BTreeMap<BatchId, Vec<BatchId>>,
    /// Rules of this fleet.
    pub policy: PolicyConfig,
}

/// `aws`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AwsConfig {
    /// Region of GUARD itself.
    pub region: String,
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self { region: "us-east-1".into() }
    }
}

/// `gitlab`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GitLabConfig {
    /// Base URL, for example `https://gitlab.example.com`.
    pub url: String,
    /// Branch that Flux follows.
    pub default_target_branch: String,
    /// Labels of every merge request.
    pub labels: Vec<String>,
    /// Usernames of those who are asked to review every merge request, without `@`.
    pub reviewers: Vec<String>,
    /// Requests a minute that all functions together send to GitLab, 6 to 6000; more wait their turn.
    pub requests_per_minute: u32,
}

impl Default for GitLabConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            default_target_branch: "main".into(),
            labels: vec!["guard".into()],
            reviewers: Vec::new(),
            requests_per_minute: 600,
        }
    }
}

/// `datadog`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatadogConfig {
    /// Site, for example `datadoghq.eu`.
    pub site: String,
}

impl Default for DatadogConfig {
    fn default() -> Self {
        Self { site: "datadoghq.com".into() }
    }
}

/// `execution`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutionConfig {
    /// Clusters worked on at the same time, 1 to 40 (the limit of an inline Map).
    pub max_parallel_clusters: u32,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self { max_parallel_clusters: 5 }
    }
}

/// `validation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Soak after the restarts, minutes.
    pub soak_period_minutes: u32,
    /// How long Flux and istiod may take, minutes.
    pub flux_sync_timeout_minutes: u32,
    /// What is tolerable.
    pub thresholds: Thresholds,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self { soak_period_minutes: 60, flux_sync_timeout_minutes: 15, thresholds: Thresholds::default() }
    }
}

/// `validation.thresholds`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Rise of p95 latency over the baseline that is not tolerable, percent.
    pub latency_increase_percent: f64,
    /// Share of 5xx answers that is not tolerable, 0 to 1.
    pub error_rate_max: f64,
    /// Rise of the share of 5xx answers over the baseline that is not tolerable, 0 to 1.
    pub error_rate_increase_max: f64,
    /// Requests below which a window says nothing.
    pub min_request_volume: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            latency_increase_percent: 10.0,
            error_rate_max: 0.001,
            error_rate_increase_max: 0.0005,
            min_request_volume: 1000,
        }
    }
}

/// Which clusters of a batch go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackScope {
    /// Those that failed.
    Failed,
    /// All of the batch.
    Batch,
}

/// What an answer that is not to be had does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is told, and the upgrade goes on.
    Warn,
    /// It stops the upgrade before anything is changed.
    Stop,
}

/// `rollback`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackConfig {
    /// A person merges the rollback request. GUARD never merges by itself yet.
    pub require_manual_approval: bool,
}

impl Default for RollbackConfig {
    fn default() -> Self {
        Self { require_manual_approval: true }
    }
}

/// `policy`: rules of this fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Share of the nodes that may be not Ready, percent, 0 to 50: in a large cluster one is always being replaced. Above
    /// it the pre-check stops; below it tells.
    pub nodes_not_ready_percent_max: u32,
    /// Share of the nodes that may be cordoned, percent, 0 to 100.
    pub nodes_cordoned_percent_max: u32,
    /// Share of istiod's memory limit that must have been free at its fullest moment before an upgrade, percent, 0 to 90.
    /// New versions have needed more by half and up to six times. With 0 nobody asks.
    pub istiod_memory_left_percent_min: u32,
    /// Share of every node's memory that should have been free at its fullest moment, percent, 0 to 90. With 0 nobody asks.
    pub node_memory_left_percent_min: u32,
    /// Alpha, beta and release-candidate targets are allowed.
    pub allow_pre_release: bool,
    /// Which clusters go back when some fail.
    pub rollback_scope: RollbackScope,
    /// How a batch's change is cut into merge requests; one never reaches over two GitLab projects.
    pub mr_strategy: MrStrategy,
    /// What happens where a person changed more than GUARD proposed before merging it. Other versions than the proposed
    /// ones always stop the run.
    pub on_edited_merge_request: OnEdited,
    /// How long a merge request may wait for a person, hours.
    pub merge_timeout_hours: u32,
    /// How long the restarts of one cluster may take, minutes.
    pub restart_timeout_minutes: u32,
    /// How long a pod takes from its end to its successor's being ready, seconds, 1 to 3600: for predicting how long the
    /// restarts take.
    pub restart_seconds_per_pod: u32,
    /// Workloads of one cluster restarted at the same time, after the first one alone.
    pub max_unavailable_workloads: u32,
    /// Proxies that must be at the new version in the end, percent of those that GUARD restarts. Those beyond are told.
    pub min_proxies_at_target_percent: u32,
    /// Time between two looks at the soak, minutes.
    pub soak_look_minutes: u32,
    /// How long the judge may wait for missing data after the soak, minutes.
    pub soak_data_grace_minutes: u32,
    /// By how much the soak is extended when it cannot be judged at its end, minutes.
    pub soak_extension_minutes: u32,
    /// How often it is extended before a person is asked.
    pub soak_extensions_max: u32,
    /// How long a person may take to answer a question, hours.
    pub decision_timeout_hours: u32,
    /// Clusters of a batch that may fail their pre-check and be left out, each for a cause of its own: the same cause in
    /// two of them stops the batch, and so does one more. A later batch that waits for this one waits for them too.
    pub pre_check_failure_budget: u32,
    /// How long each part of a cluster may take to be read, seconds. One that takes longer is not known; the others are.
    pub cluster_read_seconds: u32,
    /// What happens where `istioctl analyze` gave no answer.
    pub analyzer_unknown: OnUnknown,
    /// Errors of `istioctl analyze` that stop no upgrade of this fleet, with a reason.
    pub analyzer_accepted: Vec<AcceptedMessage>,
    /// A version range, or no version, in a Flux file is pinned by the upgrade. Without it such files are refused: Flux
    /// upgrades them by itself.
    pub pin_ranges: bool,
    /// The umbrella chart `ambient` may be upgraded, which moves base, istiod, cni and ztunnel at once.
    pub allow_umbrella_chart: bool,
    /// What happens where a target of 1.31 or later needs new chart hosts and the repository is not among a cluster's
    /// files. `warn` says that it was moved already.
    pub repositories_elsewhere: OnUnknown,
    /// Times in which nothing starts: `{from, to, reason}` once, `{cron, minutes, time_zone, reason}` again and again.
    pub freeze_windows: Vec<FreezeWindow>,
    /// Kubernetes minor lines allowed for an Istio minor line beyond the built-in table, with a reason.
    pub kubernetes_overrides: Vec<KubernetesOverride>,
}

impl PolicyConfig {
    /// [`Self::cluster_read_seconds`].
    pub fn cluster_read(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.cluster_read_seconds.into())
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            nodes_not_ready_percent_max: 5,
            nodes_cordoned_percent_max: 20,
            istiod_memory_left_percent_min: 30,
            node_memory_left_percent_min: 10,
            allow_pre_release: false,
            rollback_scope: RollbackScope::Failed,
            mr_strategy: MrStrategy::Batch,
            on_edited_merge_request: OnEdited::Stop,
            merge_timeout_hours: 72,
            restart_timeout_minutes: 120,
            restart_seconds_per_pod: 45,
            max_unavailable_workloads: 5,
            min_proxies_at_target_percent: 100,
            soak_look_minutes: 10,
            soak_data_grace_minutes: 60,
            soak_extension_minutes: 30,
            soak_extensions_max: 4,
            decision_timeout_hours: 72,
            pre_check_failure_budget: 0,
            cluster_read_seconds: 60,
            analyzer_unknown: OnUnknown::Warn,
            analyzer_accepted: Vec::new(),
            pin_ranges: false,
            allow_umbrella_chart: false,
            repositories_elsewhere: OnUnknown::Stop,
            freeze_windows: Vec::new(),
            kubernetes_overrides: Vec::new(),
        }
    }
}

/// A Kubernetes line allowed on the fleet's own responsibility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesOverride {
    /// Istio line, `1.30`.
    pub istio: String,
    /// Kubernetes line, `1.31`.
    pub kubernetes: String,
    /// Why this is fine.
    pub reason: String,
}

/// A message of `istioctl analyze` that this fleet lives with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedMessage {
    /// Istio's code, `IST0101`.
    pub code: String,
    /// The object as the analyzer names it, `VirtualService shop/web`; a `*` at the end stands for any ending. Without
    /// it, every object.
    pub origin: Option<String>,
    /// Why this is fine.
    pub reason: String,
}

impl AcceptedMessage {
    /// Is a message of this code about this object meant?
    pub fn covers(&self, code: &str, origin: &str) -> bool {
        self.code == code
            && self.origin.as_deref().is_none_or(|meant| match meant.strip_suffix('*') {
                Some(start) => origin.starts_with(start),
                None => origin == meant,
            })
    }
}

/// A value of the configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config {field}: {problem}")]
pub struct ConfigProblem {
    /// Dotted path.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Config {
    /// Checks what types alone cannot. Every problem at once.
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut found = Vec::new();
        let mut check = |is_fine: bool, field, problem: String| {
            if !is_fine {
                found.push(ConfigProblem { field, problem });
            }
        };
        let parallel = self.execution.max_parallel_clusters;
        check(
            (1..=40).contains(&parallel),
            "execution.max_parallel_clusters",
            format!("{parallel} is not between 1 and 40, the most an inline Map runs at once"),
        );
        let positive = [
            ("validation.soak_period_minutes", self.validation.soak_period_minutes),
            ("validation.flux_sync_timeout_minutes", self.validation.flux_sync_timeout_minutes),
            ("policy.merge_timeout_hours", self.policy.merge_timeout_hours),
            ("policy.restart_timeout_minutes", self.policy.restart_timeout_minutes),
            ("policy.max_unavailable_workloads", self.policy.max_unavailable_workloads),
            ("policy.soak_look_minutes", self.policy.soak_look_minutes),
            ("policy.soak_extension_minutes", self.policy.soak_extension_minutes),
            ("policy.decision_timeout_hours", self.policy.decision_timeout_hours),
        ];
        let read = self.policy.cluster_read_seconds;
        check(
            (5..=90).contains(&read),
            "policy.cluster_read_seconds",
            format!(
                "{read} is not between 5 and 90: a look has two steps, and a function less than five minutes"
            ),
        );
        for (field, value) in positive {
            // A month of minutes: beyond it a unit was mixed up.
            check((1..=43_200).contains(&value), field, format!("{value} is not between 1 and 43200"));
        }
        let requests = self.gitlab.requests_per_minute;
        check(
            (6..=6_000).contains(&requests),
            "gitlab.requests_per_minute",
            format!("{requests} is not between 6 and 6000"),
        );
        let shares = [
            ("policy.nodes_not_ready_percent_max", self.policy.nodes_not_ready_percent_max, 50),
            ("policy.nodes_cordoned_percent_max", self.policy.nodes_cordoned_percent_max, 100),
            ("policy.istiod_memory_left_percent_min", self.policy.istiod_memory_left_percent_min, 90),
            ("policy.node_memory_left_percent_min", self.policy.node_memory_left_percent_min, 90),
        ];
        for (field, value, most) in shares {
            check(value <= most, field, format!("{value} is not between 0 and {most}"));
        }
        let seconds = self.policy.restart_seconds_per_pod;
        check(
            (1..=3_600).contains(&seconds),
            "policy.restart_seconds_per_pod",
            format!("{seconds} is not between 1 and 3600"),
        );
        let share = self.policy.min_proxies_at_target_percent;
        check(
            (1..=100).contains(&share),
            "policy.min_proxies_at_target_percent",
            format!("{share} is not between 1 and 100"),
        );
        let extensions = self.policy.soak_extensions_max;
        check(
            extensions <= 20,
            "policy.soak_extensions_max",
            format!("{extensions} is not between 0 and 20"),
        );
        let grace = self.policy.soak_data_grace_minutes;
        check(grace <= 43_200, "policy.soak_data_grace_minutes", format!("{grace} is more than 43200"));
        let t = &self.validation.thresholds;
        let shares = [
            ("validation.thresholds.error_rate_max", t.error_rate_max),
            ("validation.thresholds.error_rate_increase_max", t.error_rate_increase_max),
        ];
        for (field, value) in shares {
            check((0.0..=1.0).contains(&value), field, format!("{value} is not a share between 0 and 1"));
        }
        check(
            t.latency_increase_percent.is_finite() && t.latency_increase_percent > 0.0,
            "validation.thresholds.latency_increase_percent",
            format!("{} is not a positive number of percent", t.latency_increase_percent),
        );
        for (window, n) in self.policy.freeze_windows.iter().zip(0..) {
            let problem = window.problem().unwrap_or_default();
            check(problem.is_empty(), "policy.freeze_windows", format!("[{n}]: {problem}"));
        }
        check(
            self.rollback.require_manual_approval,
            "rollback.require_manual_approval",
            "`false` is not supported yet: a person merges every request".into(),
        );
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_defaults_and_sound() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.problems(), []);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error =
            serde_json::from_str::<Config>(r#"{"policy": {"soak_minutes": 5}}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `soak_minutes`"), "{error}");
    }

    #[test]
    fn values_that_cannot_work_are_all_told() {
        let mut config = Config::default();
        config.execution.max_parallel_clusters = 41;
        config.validation.thresholds.error_rate_max = 5.0;
        config.policy.soak_look_minutes = 0;
        config.policy.nodes_not_ready_percent_max = 51;
        config.policy.nodes_cordoned_percent_max = 101;
        config.policy.istiod_memory_left_percent_min = 91;
        config.policy.node_memory_left_percent_min = 91;
        config.policy.restart_seconds_per_pod = 0;
        config.policy.soak_data_grace_minutes = u32::MAX;
        config.rollback.require_manual_approval = false;
        let fields: Vec<&str> = config.problems().iter().map(|p| p.field).collect();
        assert_eq!(
            fields,
            [
                "execution.max_parallel_clusters",
                "policy.soak_look_minutes",
                "policy.nodes_not_ready_percent_max",
                "policy.nodes_cordoned_percent_max",
                "policy.istiod_memory_left_percent_min",
                "policy.node_memory_left_percent_min",
                "policy.restart_seconds_per_pod",
                "policy.soak_data_grace_minutes",
                "validation.thresholds.error_rate_max",
                "rollback.require_manual_approval"
            ]
        );
    }
}
