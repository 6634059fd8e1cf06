//! How a workload replaces its pods.

use guard_domain::{Rolling, WorkloadKind};
use serde::Deserialize;

use crate::list::or_default;

/// `spec.strategy` of a Deployment, `spec.updateStrategy` of the others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Strategy {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(deserialize_with = "or_default")]
    rolling_update: RollingUpdate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    partition: u32,
    max_unavailable: Option<Amount>,
    max_surge: Option<Amount>,
}

/// Pods, or a share such as `25%`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Pods(u32),
    Share(String),
}

#[derive(Debug, Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

impl Strategy {
    pub(crate) fn is_on_delete(&self) -> bool {
        self.kind.as_deref() == Some("OnDelete")
    }

    /// Ordinals below this keep the old template.
    pub(crate) fn partition(&self) -> u32 {
        self.rolling_update.partition
    }

    /// Defaults and roundings are those that Kubernetes documents for each kind.
    pub(crate) fn rolling(&self, kind: WorkloadKind, desired: u32) -> Rolling {
        let RollingUpdate { max_unavailable, max_surge, .. } = &self.rolling_update;
        let or = |amount: &Option<Amount>, rounding, default: u32| {
            amount.as_ref().and_then(|amount| amount.of(desired, rounding)).unwrap_or(default)
        };
        match kind {
            WorkloadKind::Deployment if self.kind.as_deref() == Some("Recreate") => {
                Rolling { unavailable: desired, surge: 0 }
            }
            WorkloadKind::Deployment => {
                let quarter = share(25, desired, Rounding::Down);
                let unavailable = or(max_unavailable, Rounding::Down, quarter);
                let surge = or(max_surge, Rounding::Up, share(25, desired, Rounding::Up));
                // With both at zero nothing would go on: Kubernetes takes one.
                if unavailable == 0 && surge == 0 {
                    Rolling { unavailable: 1, surge }
                } else {
                    Rolling { unavailable, surge }
                }
            }
            WorkloadKind::StatefulSet => {
                Rolling { unavailable: or(max_unavailable, Rounding::Up, 1).max(1), surge: 0 }
            }
            WorkloadKind::DaemonSet => {
                let surge = or(max_surge, Rounding::Up, 0);
                let unavailable = or(max_unavailable, Rounding::Up, 1);
                Rolling { unavailable, surge }
            }
        }
    }
}

impl Amount {
    fn of(&self, desired: u32, rounding: Rounding) -> Option<u32> {
        match self {
            Self::Pods(pods) => Some(*pods),
            Self::Share(text) => Some(share(text.strip_suffix('%')?.trim().parse().ok()?, desired, rounding)),
        }
    }
}

fn share(percent: u32, of: u32, rounding: Rounding) -> u32 {
    let hundredths = percent.saturating_mul(of);
    match rounding {
        Rounding::Up => hundredths.div_ceil(100),
        Rounding::Down => hundredths / 100,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rolling(kind: WorkloadKind, strategy: Value, desired: u32) -> (u32, u32) {
        let strategy: Strategy = serde_json::from_value(strategy).unwrap();
        let Rolling { unavailable, surge } = strategy.rolling(kind, desired);
        (unavailable, surge)
    }

    #[test]
    fn shares_are_rounded_as_each_kind_does() {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let of = |unavailable: Value, surge: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}});
        for (kind, strategy, desired, expected) in [
            (Deployment, json!({}), 10, (2, 3)),
            (Deployment, json!({}), 1, (0, 1)),
            (Deployment, of(json!(0), json!(0)), 3, (1, 0)),
            (Deployment, of(json!("50%"), json!("10%")), 5, (2, 1)),
            (Deployment, of(json!(2), json!(0)), 5, (2, 0)),
            (Deployment, json!({"type": "Recreate"}), 4, (4, 0)),
            (StatefulSet, json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}), 3, (1, 0)),
            (StatefulSet, of(json!("34%"), Value::Null), 3, (2, 0)),
            (DaemonSet, json!({"type": "RollingUpdate"}), 30, (1, 0)),
            (DaemonSet, of(json!("10%"), json!(0)), 25, (3, 0)),
            (DaemonSet, of(json!(0), json!("10%")), 25, (0, 3)),
            (Deployment, of(json!("many"), Value::Null), 10, (2, 3)),
        ] {
            assert_eq!(rolling(kind, strategy.clone(), desired), expected, "{kind:?} {strategy}");
        }
    }
}
