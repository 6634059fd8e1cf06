//! Istio versions: strict reading, ordering, and what a chart or image calls them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An exact Istio release, for example `1.30.5` or `1.31.0-rc.0`. Charts and images use the bare
/// number without a leading `v` (domain fact: chart version == appVersion == Istio version).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct IstioVersion(semver::Version);

/// Text that is not one exact Istio version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not an exact Istio version: {reason}; write it like `1.30.5`")]
pub struct InvalidVersion {
    /// The text as it came.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl IstioVersion {
    /// Reads `MAJOR.MINOR.PATCH` with an optional pre-release. Ranges, wildcards, a leading `v` and build
    /// metadata are refused: each would let something other than the named version be installed.
    pub fn parse(raw: &str) -> Result<Self, InvalidVersion> {
        let refuse = |reason| Err(InvalidVersion { value: raw.chars().take(80).collect(), reason });
        if raw.starts_with(['v', 'V']) {
            return refuse("chart versions have no leading `v`");
        }
        if raw.contains(['*', 'x', 'X', '>', '<', '~', '^', ' ', ',']) && semver::Version::parse(raw).is_err()
        {
            return refuse("ranges and wildcards are not a version");
        }
        match semver::Version::parse(raw) {
            Ok(version) if !version.build.is_empty() => {
                refuse("build metadata is not part of an Istio version")
            }
            Ok(version) => Ok(Self(version)),
            Err(_) => refuse("it needs three numbers"),
        }
    }

    /// The major number.
    pub fn major(&self) -> u64 {
        self.0.major
    }

    /// The minor number.
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The patch number.
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    /// True for alpha, beta and release-candidate versions.
    pub fn is_pre_release(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// `1.30`, the key of the Kubernetes compatibility table.
    pub fn minor_line(&self) -> String {
        format!("{}.{}", self.0.major, self.0.minor)
    }

    /// The version in an image tag such as `1.30.5`, `1.30.5-distroless` or `1.30.5-debug`: image variants are
    /// suffixes. `None` when the tag names no exact version.
    pub fn from_image_tag(tag: &str) -> Option<Self> {
        let bare = tag.strip_suffix("-distroless").or_else(|| tag.strip_suffix("-debug")).unwrap_or(tag);
        Self::parse(bare).ok()
    }

    /// The version in an image reference such as `docker.io/istio/proxyv2:1.30.5`. An image by digest has no
    /// version; that is `None`, never "equal".
    pub fn from_image(image: &str) -> Option<Self> {
        if image.contains('@') {
            return None;
        }
        let (name, tag) = image.rsplit_once(':')?;
        // `registry:5000/istio/pilot` has a port, not a tag.
        if name.is_empty() || tag.contains('/') {
            return None;
        }
        Self::from_image_tag(tag)
    }

    /// The version of a deployed chart as Flux's history shows it. With an OCIRepository source Flux appends
    /// `+<digest>`, which is not part of the version.
    pub fn from_chart_version(chart: &str) -> Option<Self> {
        Self::parse(chart.split('+').next().unwrap_or(chart)).ok()
    }
}

impl FromStr for IstioVersion {
    type Err = InvalidVersion;
    fn from_str(raw: &str) -> Result<Self, InvalidVersion> {
        Self::parse(raw)
    }
}

impl TryFrom<String> for IstioVersion {
    type Error = InvalidVersion;
    fn try_from(raw: String) -> Result<Self, InvalidVersion> {
        Self::parse(&raw)
    }
}

impl From<IstioVersion> for String {
    fn from(version: IstioVersion) -> Self {
        version.0.to_string()
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_versions_are_read_and_ordered() {
        let older = IstioVersion::parse("1.9.10").unwrap();
        let newer = IstioVersion::parse("1.10.0").unwrap();
        assert!(older < newer);
        assert_eq!(newer.to_string(), "1.10.0");
        assert!(IstioVersion::parse("1.31.0-rc.0").unwrap().is_pre_release());
        assert!(IstioVersion::parse("1.31.0-rc.0").unwrap() < IstioVersion::parse("1.31.0").unwrap());
    }

    #[test]
    fn everything_that_is_not_one_version_is_refused_with_a_remedy() {
        for bad in [
            "1.2.x",
            "1.30",
            "v1.30.5",
            "1.30.*",
            "*",
            "",
            ">=1.19.0 <1.20.0",
            "1.30.5+abc",
            "1.30.5 ",
            "latest",
        ] {
            let error = IstioVersion::parse(bad).unwrap_err().to_string();
            assert!(error.contains("write it like `1.30.5`"), "{bad}: {error}");
        }
    }

    #[test]
    fn image_variants_and_registries_are_understood() {
        let v = |s| IstioVersion::parse(s).unwrap();
        assert_eq!(IstioVersion::from_image("docker.io/istio/proxyv2:1.30.5-distroless"), Some(v("1.30.5")));
        assert_eq!(IstioVersion::from_image("mirror:5000/istio/pilot:1.30.5"), Some(v("1.30.5")));
        assert_eq!(IstioVersion::from_image("mirror:5000/istio/pilot"), None);
        assert_eq!(IstioVersion::from_image("istio/pilot@sha256:abcd"), None);
        assert_eq!(IstioVersion::from_image("istio/pilot:latest"), None);
        assert_eq!(IstioVersion::from_chart_version("1.30.5+0123456789ab"), Some(v("1.30.5")));
    }
}
