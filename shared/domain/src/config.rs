//! The configuration document. Its keys are those of the first GUARD plus `policy`; unknown keys are refused.

mod policy;
mod validation;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BatchId;

pub use policy::{AcceptedMessage, KubernetesOverride, OnUnknown, PolicyConfig, RollbackScope};
pub use validation::{ThresholdOverrides, Thresholds, ValidationConfig};

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
        let requests = self.gitlab.requests_per_minute;
        check(
            (6..=6_000).contains(&requests),
            "gitlab.requests_per_minute",
            format!("{requests} is not between 6 and 6000"),
        );
        self.policy.check(&mut check);
        self.validation.check(&mut check);
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
