//! The Istio charts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An Istio chart that pins a version of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// CRDs and the default validator.
    Base,
    /// The control plane.
    Istiod,
    /// The CNI node agent.
    Cni,
    /// The ambient node proxy.
    Ztunnel,
    /// An ingress or egress gateway.
    Gateway,
}

impl Component {
    /// The component a chart installs, by the chart's name.
    pub fn of_chart(chart: &str) -> Option<Self> {
        match chart {
            "base" => Some(Self::Base),
            "istiod" => Some(Self::Istiod),
            "cni" => Some(Self::Cni),
            "ztunnel" => Some(Self::Ztunnel),
            "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }

    /// The chart's name.
    pub fn chart(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Istiod => "istiod",
            Self::Cni => "cni",
            Self::Ztunnel => "ztunnel",
            Self::Gateway => "gateway",
        }
    }
}
