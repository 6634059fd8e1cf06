//! Settings that change together with the version: what a person writes beside the target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::yaml::{Path, Step};
use crate::{Component, IstioVersion};

/// Most settings of one upgrade: beyond it a change of its own is easier to read.
const MAX_UPDATES: usize = 50;

/// Longest text of a value: it travels through the run record and a merge request.
const MAX_VALUE: usize = 1_000;

/// An upgrade with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeSpec {
    /// The version; the same as the upgrade's target.
    pub version: IstioVersion,
    /// The settings; at least one.
    pub updates: Vec<SpecUpdate>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecUpdate {
    /// Where it is inside a HelmRelease: `spec.values.pilot.autoscaleMin`. docs/upgrade-spec.md has the whole syntax.
    pub path: String,
    /// The new value: text, a number, or true or false, of the type that is there.
    pub value: Value,
    /// The chart whose releases hold it; without it, the path must be in one release only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Component>,
}

impl UpgradeSpec {
    /// What cannot work, each with the field it is about.
    pub fn problems(&self, target: &IstioVersion) -> Vec<String> {
        let mut found = Vec::new();
        if self.version != *target {
            found.push(format!("version: {} is not the target version {target}", self.version));
        }
        if !(1..=MAX_UPDATES).contains(&self.updates.len()) {
            found.push(format!("updates: {} settings; it takes 1 to {MAX_UPDATES}", self.updates.len()));
        }
        for (index, update) in self.updates.iter().enumerate() {
            if let Err(problem) = update.path() {
                found.push(format!("updates[{index}].path: {problem}"));
            }
            let is_scalar = matches!(update.value, Value::String(_) | Value::Number(_) | Value::Bool(_));
            if !is_scalar {
                found.push(format!(
                    "updates[{index}].value: GUARD changes single values; name each by its own path"
                ));
            }
            if update.value.to_string().len() > MAX_VALUE {
                found.push(format!("updates[{index}].value: longer than {MAX_VALUE} characters"));
            }
            if self.updates[..index]
                .iter()
                .any(|other| other.path == update.path && other.chart == update.chart)
            {
                found.push(format!("updates[{index}].path: `{}` is there twice", update.path));
            }
        }
        found
    }
}

impl SpecUpdate {
    /// The path, if a spec may name it. Names, sources and revisions may not change: Flux would take the release out and
    /// install another one, with every proxy and every resource of the mesh between the two.
    fn path(&self) -> Result<Path, String> {
        let path = Path::parse(&self.path).map_err(|error| error.to_string())?;
        let keys: Vec<&str> = path
            .0
            .iter()
            .map(|step| match step {
                Step::Key(key) => key.as_str(),
                Step::Index(_) | Step::Where { .. } => "",
            })
            .collect();
        let is_allowed = match keys.as_slice() {
            ["spec", below @ ..] => match below {
                ["values", "revision" | "revisionTags" | "name" | "resourceName", ..]
                | ["values", "global", "istioNamespace", ..] => false,
                ["values" | "install" | "upgrade" | "rollback" | "driftDetection", _, ..]
                | ["chart", "spec", "version"]
                | ["interval" | "timeout" | "maxHistory"] => true,
                _ => false,
            },
            _ => false,
        };
        if is_allowed {
            Ok(path)
        } else {
            Err(format!(
                "`{}` may not change with an upgrade: only settings below spec.values, install, upgrade and the like, and no names",
                self.path
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(spec: Value) -> Vec<String> {
        let spec: UpgradeSpec = serde_json::from_value(spec).unwrap();
        spec.problems(&IstioVersion::parse("1.30.5").unwrap())
    }

    #[test]
    fn settings_below_values_are_fine() {
        let spec = json!({"version": "1.30.5", "updates": [
            {"path": "spec.values.pilot.autoscaleMin", "value": 3},
            {"path": "spec.values.pilot.env[name=A].value", "value": "x", "chart": "istiod"},
            {"path": "spec.chart.spec.version", "value": "1.30.5"},
            {"path": "spec.upgrade.remediation.retries", "value": 3},
        ]});
        assert_eq!(problems(spec), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let spec = json!({"version": "1.30.4", "updates": [
            {"path": "spec.values..x", "value": 3},
            {"path": "spec.values.a", "value": [1]},
            {"path": "spec.values.a", "value": "x".repeat(1_001)},
            {"path": "spec.releaseName", "value": "y"},
            {"path": "spec.values.revision", "value": "y"},
            {"path": "metadata.name", "value": "y"},
            {"path": "spec.chart.spec.sourceRef.name", "value": "y"},
        ]});
        let found = problems(spec);
        let starts = [
            "version: 1.30.4 is not the target version 1.30.5",
            "updates[0].path: `spec.values..x` is not a path: a part is empty",
            "updates[1].value: GUARD changes single values",
            "updates[2].value: longer than 1000",
            "updates[2].path: `spec.values.a` is there twice",
            "updates[3].path: `spec.releaseName` may not change",
            "updates[4].path: `spec.values.revision` may not change",
            "updates[5].path: `metadata.name` may not change",
            "updates[6].path: `spec.chart.spec.sourceRef.name` may not change",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (problem, start) in found.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem}");
        }
        assert!(problems(json!({"version": "1.30.5", "updates": []}))[0].starts_with("updates: 0 settings"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error =
            serde_json::from_value::<UpgradeSpec>(json!({"version": "1.30.5", "update": []})).unwrap_err();
        assert!(error.to_string().contains("unknown field `update`"), "{error}");
    }
}
