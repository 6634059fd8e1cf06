//! What stands where a version should.

use crate::IstioVersion;

/// A version, or what is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// One version.
    Exact(IstioVersion),
    /// One version of images in a variant: `1.30.5-distroless`.
    Variant(IstioVersion, &'static str),
    /// Many versions: Flux takes the newest of them by itself.
    Range,
    /// `${name}`: Flux puts something there.
    Variable(String),
    /// None of these, with what is wrong.
    Other(String),
}

impl Written {
    pub(crate) fn of(text: &str) -> Self {
        if let Some((_, rest)) = text.split_once("${") {
            let name = rest.split(['}', ':', '=', '-', '/', '#', '^', ',']).next().unwrap_or_default();
            return Self::Variable(name.trim().to_owned());
        }
        for variant in ["-distroless", "-debug"] {
            if let Some(version) = text.strip_suffix(variant).and_then(|bare| IstioVersion::parse(bare).ok())
            {
                return Self::Variant(version, variant);
            }
        }
        match IstioVersion::parse(text) {
            Ok(version) => Self::Exact(version),
            Err(_) if is_range(text) => Self::Range,
            Err(error) => Self::Other(error.to_string()),
        }
    }
}

/// What Helm reads as a range: operators, wildcards, several parts, or less than three numbers.
fn is_range(text: &str) -> bool {
    let is_number = |part: &str| matches!(part, "x" | "X" | "*") || part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('.').collect();
    let is_short = !text.is_empty() && parts.len() <= 3 && parts.iter().all(|part| is_number(part));
    let is_wild = parts.len() == 3 && parts.iter().any(|part| matches!(*part, "x" | "X" | "*"));
    text.contains(['>', '<', '~', '^', '=', '|', ',', ' ']) || (is_short && (parts.len() < 3 || is_wild))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_variables_and_versions_are_told_apart() {
        let v = |text: &str| IstioVersion::parse(text).unwrap();
        assert_eq!(Written::of("1.30.5"), Written::Exact(v("1.30.5")));
        assert_eq!(Written::of("1.31.0-rc.0"), Written::Exact(v("1.31.0-rc.0")));
        assert_eq!(Written::of("1.30.5-distroless"), Written::Variant(v("1.30.5"), "-distroless"));
        for range in [
            "*",
            "x",
            "1",
            "1.x",
            "1.30",
            "1.30.x",
            "1.21.*",
            ">=1.19.0 <1.20.0",
            "~1.30.0",
            "^1.30.0",
            "=1.30.0",
            "1.29.0 - 1.30.0",
            "1.29.0 || 1.30.0",
        ] {
            assert_eq!(Written::of(range), Written::Range, "{range}");
        }
        for (text, name) in [
            ("${version}", "version"),
            ("1.30.${patch}", "patch"),
            ("${v:=1.30.5}", "v"),
            ("${ v }", "v"),
            ("${", ""),
        ] {
            assert_eq!(Written::of(text), Written::Variable(name.into()), "{text}");
        }
        for text in ["", "latest", "v1.30.5", "1.30.5+build", "1.2.3.4", "1..2"] {
            assert!(matches!(Written::of(text), Written::Other(_)), "{text}");
        }
    }
}
