//! `validation`: the soak, and what is tolerable in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MINUTES;

/// `validation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Soak after the restarts, minutes. The judge looks at its first 60, 120 and 240 minutes.
    pub soak_period_minutes: u32,
    /// How long Flux and istiod may take, minutes.
    pub flux_sync_timeout_minutes: u32,
    /// What is tolerable.
    pub thresholds: Thresholds,
    /// What is tolerable in one environment, by its name in the registry. What is not given there is as in `thresholds`.
    pub environments: BTreeMap<String, ThresholdOverrides>,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            soak_period_minutes: 60,
            flux_sync_timeout_minutes: 15,
            thresholds: Thresholds::default(),
            environments: BTreeMap::new(),
        }
    }
}

impl ValidationConfig {
    /// What is tolerable in an environment.
    pub fn thresholds_of(&self, environment: &str) -> Thresholds {
        let common = self.thresholds;
        self.environments.get(environment).map_or(common, |own| own.over(common))
    }

    /// What types alone cannot check.
    pub(super) fn check(&self, check: &mut dyn FnMut(bool, &'static str, String)) {
        for (field, value) in [
            ("validation.soak_period_minutes", self.soak_period_minutes),
            ("validation.flux_sync_timeout_minutes", self.flux_sync_timeout_minutes),
        ] {
            check(MINUTES.contains(&value), field, format!("{value} is not between 1 and 43200"));
        }
        self.thresholds.check("", check);
        for name in self.environments.keys() {
            // Faults of the common ones are told once.
            let own = self.environments.get(name).map(|own| own.over(Thresholds::default()));
            own.unwrap_or_default().check(&format!(" (validation.environments.{name})"), check);
        }
    }
}

/// `validation.thresholds`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Rise of p95 and p99 latency over the baseline that is not tolerable, percent.
    pub latency_increase_percent: f64,
    /// Share of 5xx answers that is not tolerable, 0 to 1.
    pub error_rate_max: f64,
    /// Rise of the share of 5xx answers over the baseline that is not tolerable, 0 to 1.
    pub error_rate_increase_max: f64,
    /// Share of 5xx answers over five minutes that ends the soak at once, 0 to 1.
    pub error_rate_limit: f64,
    /// Rise of the processor time and memory of the proxies that is not tolerable, percent.
    pub resource_increase_percent: f64,
    /// Loss of requests that is not tolerable, percent.
    pub throughput_decrease_percent: f64,
    /// Requests below which a window says nothing.
    pub min_request_volume: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            latency_increase_percent: 10.0,
            error_rate_max: 0.001,
            error_rate_increase_max: 0.0005,
            error_rate_limit: 0.05,
            resource_increase_percent: 50.0,
            throughput_decrease_percent: 20.0,
            min_request_volume: 1000,
        }
    }
}

impl Thresholds {
    fn check(&self, of: &str, check: &mut dyn FnMut(bool, &'static str, String)) {
        let shares = [
            ("validation.thresholds.error_rate_max", self.error_rate_max),
            ("validation.thresholds.error_rate_increase_max", self.error_rate_increase_max),
            ("validation.thresholds.error_rate_limit", self.error_rate_limit),
        ];
        for (field, value) in shares {
            check((0.0..=1.0).contains(&value), field, format!("{value}{of} is not a share between 0 and 1"));
        }
        let rises = [
            ("validation.thresholds.latency_increase_percent", self.latency_increase_percent),
            ("validation.thresholds.resource_increase_percent", self.resource_increase_percent),
        ];
        for (field, value) in rises {
            let is_fine = value.is_finite() && value > 0.0;
            check(is_fine, field, format!("{value}{of} is not a positive number of percent"));
        }
        let loss = self.throughput_decrease_percent;
        check(
            loss > 0.0 && loss < 50.0,
            "validation.thresholds.throughput_decrease_percent",
            format!("{loss}{of} is not between 0 and 50 percent: twice as much must not pass"),
        );
    }
}

/// Thresholds of one environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdOverrides {
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_increase_percent: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate_max: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate_increase_max: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate_limit: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_increase_percent: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_decrease_percent: Option<f64>,
    /// See `validation.thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_request_volume: Option<u64>,
}

impl ThresholdOverrides {
    fn over(&self, common: Thresholds) -> Thresholds {
        Thresholds {
            latency_increase_percent: self
                .latency_increase_percent
                .unwrap_or(common.latency_increase_percent),
            error_rate_max: self.error_rate_max.unwrap_or(common.error_rate_max),
            error_rate_increase_max: self.error_rate_increase_max.unwrap_or(common.error_rate_increase_max),
            error_rate_limit: self.error_rate_limit.unwrap_or(common.error_rate_limit),
            resource_increase_percent: self
                .resource_increase_percent
                .unwrap_or(common.resource_increase_percent),
            throughput_decrease_percent: self
                .throughput_decrease_percent
                .unwrap_or(common.throughput_decrease_percent),
            min_request_volume: self.min_request_volume.unwrap_or(common.min_request_volume),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_overrides_what_it_names_and_nothing_else() {
        let config: ValidationConfig = serde_json::from_str(
            r#"{"thresholds": {"error_rate_max": 0.002},
                "environments": {"dev": {"latency_increase_percent": 50, "min_request_volume": 10}}}"#,
        )
        .unwrap();
        let dev = config.thresholds_of("dev");
        assert_eq!((dev.latency_increase_percent, dev.min_request_volume), (50.0, 10));
        assert!((dev.error_rate_max - 0.002).abs() < 1e-12);
        assert_eq!(config.thresholds_of("prod"), config.thresholds);
    }

    #[test]
    fn what_cannot_work_is_told_with_its_environment() {
        let config: ValidationConfig = serde_json::from_str(
            r#"{"environments": {"dev": {"throughput_decrease_percent": 50, "error_rate_max": 5}}}"#,
        )
        .unwrap();
        let mut told = Vec::new();
        config.check(&mut |is_fine, field, problem| {
            if !is_fine {
                told.push(format!("{field}: {problem}"));
            }
        });
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|line| line.contains("validation.environments.dev")), "{told:?}");
        assert!(
            serde_json::from_str::<ValidationConfig>(r#"{"environments": {"dev": {"latency": 1}}}"#).is_err()
        );
    }
}
