//! Hosts of charts and images that go away: data with a date, never code.

use jiff::Timestamp;
use serde::Deserialize;

/// Who goes away, and when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// Day the dates were checked.
    pub as_of: String,
    /// From here on nothing is to be relied on.
    pub unsure_from: Timestamp,
    /// From here on there is nothing.
    pub gone_by: Timestamp,
    charts: Vec<String>,
    images: Vec<String>,
}

impl Retirement {
    /// The dates that are built in.
    ///
    /// # Errors
    /// Only if the data file is broken, which a test rules out.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("retirement.toml"))
    }

    /// Does this address of charts go away?
    pub fn has_charts(&self, url: &str) -> bool {
        self.charts.iter().any(|host| begins(url, host))
    }

    /// Does this registry of images go away?
    pub fn has_images(&self, hub: &str) -> bool {
        self.images.iter().any(|host| begins(hub, host))
    }
}

/// The address itself, or one below it; never one that only begins like it.
fn begins(address: &str, host: &str) -> bool {
    address.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_dates_are_in_order_and_know_what_the_edit_moves() {
        let found = Retirement::built_in().unwrap();
        assert!(found.unsure_from < found.gone_by);
        for host in crate::manifest::retired_charts() {
            assert!(found.has_charts(host) && found.has_charts(&format!("{host}/base")), "{host}");
        }
        for hub in crate::manifest::retired_hubs() {
            assert!(found.has_images(hub), "{hub}");
        }
    }

    #[test]
    fn mirrors_and_longer_names_stay() {
        let found = Retirement::built_in().unwrap();
        for url in [
            "https://blob.istio.io/istio-release/charts",
            "oci://ghcr.io/istio/release/charts/base",
            "oci://gcr.io/istio-release/charts-mirror/base",
            "oci://mirror.example.com/gcr.io/istio-release/charts",
            "",
        ] {
            assert!(!found.has_charts(url), "{url}");
        }
        for hub in
            ["docker.io/istio", "gcr.io/istio-release-mirror", "mirror.example.com/gcr.io/istio-release", ""]
        {
            assert!(!found.has_images(hub), "{hub}");
        }
    }
}
