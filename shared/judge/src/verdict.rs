//! What the judge says.

use serde::{Deserialize, Serialize};

/// The answer for one cluster at one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoakVerdict {
    /// Pass, fail or not yet known.
    pub outcome: SoakOutcome,
    /// Why, as sentences with numbers.
    pub reasons: Vec<String>,
}

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoakOutcome {
    /// Nothing intolerable was seen, with enough data to see it.
    Pass,
    /// Something intolerable was seen.
    Fail,
    /// Nothing intolerable, but close to it.
    Marginal,
    /// Something intolerable was seen, and clusters that were not upgraded moved alike.
    External,
    /// Too little data for any of them.
    Insufficient,
}

impl SoakOutcome {
    /// As a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Marginal => "MARGINAL",
            Self::External => "EXTERNAL",
            Self::Insufficient => "INSUFFICIENT",
        }
    }
}
