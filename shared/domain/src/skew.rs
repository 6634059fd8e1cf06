//! Whether a proxy understands an istiod, by exact version: data with a date, never code.

use serde::Deserialize;

use crate::IstioVersion;

/// The rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// Day the rules were checked.
    pub as_of: String,
    minors_behind: u64,
    minors_ahead: u64,
    rejects: Vec<Rejection>,
}

/// Proxies that reject what some istiod sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    proxies_below: IstioVersion,
    /// First version of each range, and the first after it.
    istiod: Vec<[IstioVersion; 2]>,
    /// What happens.
    pub what: String,
    /// Where it is known from.
    pub source: String,
}

/// How a proxy stands to an istiod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distance<'a> {
    /// They work together.
    Fits,
    /// The proxy is too many minors behind.
    Behind,
    /// The proxy is too many minors ahead.
    Ahead,
    /// The proxy rejects what istiod sends.
    Rejects(&'a Rejection),
}

impl Skew {
    /// The rules that are built in.
    ///
    /// # Errors
    /// Only if the data file is broken, which a test rules out.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("skew.toml"))
    }

    /// How far a proxy is from an istiod. Another major is always too far.
    pub fn between(&self, proxy: &IstioVersion, istiod: &IstioVersion) -> Distance<'_> {
        let line = |version: &IstioVersion| (version.major(), version.minor());
        if proxy.major() == istiod.major() {
            if proxy.minor().saturating_add(self.minors_behind) < istiod.minor() {
                return Distance::Behind;
            }
            if proxy.minor() > istiod.minor().saturating_add(self.minors_ahead) {
                return Distance::Ahead;
            }
        } else {
            return if line(proxy) < line(istiod) { Distance::Behind } else { Distance::Ahead };
        }
        let rule = self.rejects.iter().find(|rule| rule.covers(proxy, istiod));
        rule.map_or(Distance::Fits, Distance::Rejects)
    }
}

impl Rejection {
    fn covers(&self, proxy: &IstioVersion, istiod: &IstioVersion) -> bool {
        *proxy < self.proxies_below
            && self.istiod.iter().any(|[from, below]| istiod >= from && istiod < below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(proxy: &str, istiod: &str) -> String {
        let v = |text: &str| IstioVersion::parse(text).unwrap();
        match Skew::built_in().unwrap().between(&v(proxy), &v(istiod)) {
            Distance::Rejects(rule) => rule.source.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn one_minor_behind_and_none_ahead() {
        assert_eq!(distance("1.29.8", "1.30.5"), "Fits");
        assert_eq!(distance("1.30.6", "1.30.5"), "Fits", "patches have no order of rank");
        assert_eq!(distance("1.28.10", "1.30.5"), "Behind");
        assert_eq!(distance("1.31.0", "1.30.5"), "Ahead");
        assert_eq!(distance("1.30.5", "2.0.0"), "Behind");
        assert_eq!(distance("2.0.0", "1.30.5"), "Ahead");
    }

    /// istio#60486, with both edges of both ranges.
    #[test]
    fn exact_patches_decide_where_minors_would_let_pass() {
        for (proxy, istiod, is_rejected) in [
            ("1.29.1", "1.29.1", false),
            ("1.29.1", "1.29.2", true),
            ("1.29.1", "1.29.4", true),
            ("1.29.1", "1.29.5", false),
            ("1.28.10", "1.29.4", true),
            ("1.29.1", "1.30.0", true),
            ("1.29.1", "1.30.1", true),
            ("1.29.1", "1.30.2", false),
            ("1.29.2", "1.30.1", false),
        ] {
            assert_eq!(distance(proxy, istiod).contains("60486"), is_rejected, "{proxy} under {istiod}");
        }
    }

    #[test]
    fn the_built_in_rules_have_ranges_that_are_some() {
        let skew = Skew::built_in().unwrap();
        assert!(skew.rejects.iter().flat_map(|rule| &rule.istiod).all(|[from, below]| from < below));
    }
}
