//! The configuration document. Its keys are those of the first GUARD plus `policy`; unknown keys are refused.

mod policy;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BatchId;

pub use policy::{AcceptedMessage, KubernetesOverride, OnUnknown, PolicyConfig, RollbackScope};

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

/// A value of the configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config {field}: {problem}")]
pub struct ConfigProblem {
    /// Dotted path.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A month of minutes: beyond it a unit was mixed up.
const MINUTES: std::ops::RangeInclusive<u32> = 1..=43_200;

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
        for (field, value) in [
            ("validation.soak_period_minutes", self.validation.soak_period_minutes),
            ("validation.flux_sync_timeout_minutes", self.validation.flux_sync_timeout_minutes),
        ] {
            check(MINUTES.contains(&value), field, format!("{value} is not between 1 and 43200"));
        }
        let requests = self.gitlab.requests_per_minute;
        check(
            (6..=6_000).contains(&requests),
            "gitlab.requests_per_minute",
            format!("{requests} is not between 6 and 6000"),
        );
        self.policy.check(&mut check);
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
