//! Which Kubernetes versions an Istio version supports: data with a date, never code.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{IstioVersion, KubernetesOverride};

/// The table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compatibility {
    /// Day the table was checked.
    pub as_of: String,
    line: BTreeMap<String, Line>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Oldest and newest Kubernetes line, both included.
    kubernetes: [String; 2],
    newest: Option<String>,
}

/// Whether a pair fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// Documented.
    Supported,
    /// Allowed by the fleet's own override, with its reason.
    Overridden(String),
    /// Outside the documented range.
    Unsupported {
        /// Oldest supported line.
        oldest: String,
        /// Newest supported line.
        newest: String,
    },
    /// One of the two is not in the table.
    Unknown,
}

/// `1.32` or `1.32+` or `v1.32.4-eks-1` as major and minor.
fn line(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '+', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

impl Compatibility {
    /// The table that is built in.
    ///
    /// # Errors
    /// Only if the data file is broken, which a test rules out.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("compatibility.toml"))
    }

    /// Whether Istio `istio` runs on Kubernetes `kubernetes` (a version or a minor line).
    pub fn fit(&self, istio: &IstioVersion, kubernetes: &str, overrides: &[KubernetesOverride]) -> Fit {
        let wanted = line(kubernetes);
        let own = overrides.iter().find(|o| o.istio == istio.minor_line() && line(&o.kubernetes) == wanted);
        if let Some(own) = own {
            return Fit::Overridden(own.reason.clone());
        }
        let (Some(row), Some(wanted)) = (self.line.get(&istio.minor_line()), wanted) else {
            return Fit::Unknown;
        };
        let [oldest, newest] = &row.kubernetes;
        match (line(oldest), line(newest)) {
            (Some(low), Some(high)) if (low..=high).contains(&wanted) => Fit::Supported,
            _ => Fit::Unsupported { oldest: oldest.clone(), newest: newest.clone() },
        }
    }

    /// The newest Kubernetes line that supports both versions, if there is one.
    pub fn newest_kubernetes_for(&self, a: &IstioVersion, b: &IstioVersion) -> Option<String> {
        let row = |v: &IstioVersion| {
            let [low, high] = &self.line.get(&v.minor_line())?.kubernetes;
            Some((line(low)?, line(high)?))
        };
        let ((low_a, high_a), (low_b, high_b)) = (row(a)?, row(b)?);
        let (low, high) = (low_a.max(low_b), high_a.min(high_b));
        (low <= high).then(|| format!("{}.{}", high.0, high.1))
    }

    /// The newest known patch of a minor line.
    pub fn newest_patch(&self, major: u64, minor: u64) -> Option<IstioVersion> {
        IstioVersion::parse(self.line.get(&format!("{major}.{minor}"))?.newest.as_deref()?).ok()
    }

    /// True when the minor line is in the table.
    pub fn knows(&self, major: u64, minor: u64) -> bool {
        self.line.contains_key(&format!("{major}.{minor}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    #[test]
    fn the_built_in_table_reads_and_every_newest_patch_is_of_its_line() {
        let table = Compatibility::built_in().unwrap();
        for (name, row) in &table.line {
            assert!(row.kubernetes.iter().all(|k| line(k).is_some()), "{name}");
            if let Some(newest) = &row.newest {
                assert_eq!(v(newest).minor_line(), *name);
            }
        }
    }

    #[test]
    fn eks_spellings_fit_and_the_edges_are_inside() {
        let table = Compatibility::built_in().unwrap();
        assert_eq!(table.fit(&v("1.30.5"), "1.32", &[]), Fit::Supported);
        assert_eq!(table.fit(&v("1.30.5"), "v1.36.1-eks-12", &[]), Fit::Supported);
        assert!(matches!(table.fit(&v("1.30.5"), "1.31", &[]), Fit::Unsupported { .. }));
        assert_eq!(table.fit(&v("1.77.0"), "1.31", &[]), Fit::Unknown);
        assert_eq!(table.fit(&v("1.30.5"), "one", &[]), Fit::Unknown);
    }

    #[test]
    fn an_override_carries_its_reason() {
        let table = Compatibility::built_in().unwrap();
        let own = KubernetesOverride {
            istio: "1.30".into(),
            kubernetes: "1.31".into(),
            reason: "tested by us".into(),
        };
        assert_eq!(table.fit(&v("1.30.5"), "1.31", &[own]), Fit::Overridden("tested by us".into()));
    }

    #[test]
    fn a_common_kubernetes_line_is_found() {
        let table = Compatibility::built_in().unwrap();
        assert_eq!(table.newest_kubernetes_for(&v("1.24.3"), &v("1.25.0")).as_deref(), Some("1.31"));
        assert_eq!(table.newest_kubernetes_for(&v("1.18.0"), &v("1.30.0")), None);
    }
}
