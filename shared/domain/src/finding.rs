//! What a check has to say: coded, so that people can look it up and tests can assert on it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth reading; stops nothing.
    Warning,
    /// The question could not be answered. Never a pass.
    Unknown,
    /// Stops the upgrade.
    Blocking,
}

/// One thing a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code in capitals, for example `NODE_NOT_READY`.
    pub code: String,
    /// Its weight.
    pub severity: Severity,
    /// What it is about, for example `prod-eu-1: node ip-10-0-1-7`.
    pub subject: String,
    /// What was seen.
    pub message: String,
    /// What a person can do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding that stops the upgrade.
    pub fn blocking(
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Severity::Blocking, code, subject, message, remedy)
    }

    /// A question that found no answer.
    pub fn unknown(
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Severity::Unknown, code, subject, message, remedy)
    }

    /// A finding that stops nothing.
    pub fn warning(
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Severity::Warning, code, subject, message, remedy)
    }

    /// Code and subject, for a payload that has little room; at most [`Self::BRIEF_BYTES`].
    pub fn brief(&self) -> String {
        let mut words = format!("{} {}", self.code, self.subject);
        if words.len() > Self::BRIEF_BYTES {
            words.truncate(words.floor_char_boundary(Self::BRIEF_BYTES - "…".len()));
            words.push('…');
        }
        words
    }

    /// The longest [`Self::brief`], bytes. With 200 clusters in a batch that is 16 kB of a state's data.
    pub const BRIEF_BYTES: usize = 80;

    /// The finding that decides: the first of the heaviest, unless all of them stop nothing.
    pub fn decisive(findings: &[Self]) -> Option<&Self> {
        let heaviest = findings.iter().map(|finding| finding.severity).max()?;
        let mut decisive = findings.iter().filter(|finding| finding.severity == heaviest);
        decisive.next().filter(|finding| finding.severity > Severity::Warning)
    }

    fn of(
        severity: Severity,
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            severity,
            subject: subject.into(),
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}; {}", self.code, self.subject, self.message, self.remedy)
    }
}

/// The answer of a gate for one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Pass,
    /// A definite no.
    Fail,
    /// No answer was to be had. Never treated as a pass, and never as a reason to roll back.
    Unknown,
}

impl Verdict {
    /// The worst finding decides: one blocking finding is a no, even where other questions stay open.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Blocking) => Self::Fail,
            Some(Severity::Unknown) => Self::Unknown,
            Some(Severity::Warning) | None => Self::Pass,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_heaviest_is_told() {
        let warning = Finding::warning("A", "s", "m", "r");
        let first = Finding::unknown("B", "one", "m", "r");
        let second = Finding::unknown("C", "two", "m", "r");
        assert_eq!(Finding::decisive(std::slice::from_ref(&warning)), None);
        let found = [warning, first.clone(), second];
        assert_eq!(Finding::decisive(&found), Some(&first));
        assert_eq!(first.brief(), "B one");
    }

    #[test]
    fn what_is_brief_stays_brief_and_whole_characters() {
        for length in 60..90 {
            let subject = format!("{}{}", "x".repeat(length), "ü".repeat(20));
            let brief = Finding::blocking("CODE", subject, "m", "r").brief();
            assert!(brief.len() <= Finding::BRIEF_BYTES && brief.ends_with('…'), "{brief}");
        }
    }

    #[test]
    fn the_worst_finding_decides() {
        let warning = Finding::warning("A", "s", "m", "r");
        let unknown = Finding::unknown("B", "s", "m", "r");
        let blocking = Finding::blocking("C", "s", "m", "r");
        assert_eq!(Verdict::of(&[]), Verdict::Pass);
        assert_eq!(Verdict::of(std::slice::from_ref(&warning)), Verdict::Pass);
        assert_eq!(Verdict::of(&[warning.clone(), unknown.clone()]), Verdict::Unknown);
        assert_eq!(Verdict::of(&[blocking, unknown, warning]), Verdict::Fail);
    }
}
