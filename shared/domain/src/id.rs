//! Names that people and AWS give to things: parsed once at the edge, trusted afterwards.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that does not have the shape its type asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` is not valid: {rule}")]
pub struct InvalidName {
    /// What was being named, for example `batch_id`.
    pub kind: &'static str,
    /// The value as it came.
    pub value: String,
    /// The rule it breaks, as a sentence that says what to write instead.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $max:literal, $rule:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks the shape and keeps the name as written.
            pub fn parse(raw: &str) -> Result<Self, InvalidName> {
                let is_allowed: fn(char) -> bool = $ok;
                let fits = !raw.is_empty() && raw.chars().count() <= $max && raw.chars().all(is_allowed);
                let starts_well = raw.starts_with(|c: char| c.is_ascii_alphanumeric());
                if fits && starts_well {
                    Ok(Self(raw.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, value: raw.chars().take(200).collect(), rule: $rule })
                }
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(raw: String) -> Result<Self, InvalidName> {
                Self::parse(&raw)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An EKS cluster's name, the registry's key. The shape is EKS's own rule for cluster names.
    ClusterId,
    "cluster_id",
    100,
    "1 to 100 letters, digits, `-` or `_`, starting with a letter or digit",
    |c| c.is_ascii_alphanumeric() || c == '-' || c == '_'
);

name!(
    /// A group of clusters that is upgraded together, in one merge request.
    BatchId,
    "batch_id",
    60,
    "1 to 60 letters, digits, `-` or `_`, starting with a letter or digit",
    |c| c.is_ascii_alphanumeric() || c == '-' || c == '_'
);

name!(
    /// One run of a state machine that people start: the execution's name.
    /// Step Functions allows 80 characters; those it refuses are refused here too.
    RunId,
    "run_id",
    80,
    "1 to 80 letters, digits, `-`, `_` or `.`, starting with a letter or digit",
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

name!(
    /// What a caller names its request, so that a start that is delivered twice happens once: a pipeline's number, or a
    /// schedule's time such as `2026-11-28T03:00:00Z`.
    RequestId,
    "request_id",
    80,
    "1 to 80 letters, digits, `-`, `_`, `.` or `:`, starting with a letter or digit",
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_spelling() {
        assert_eq!(BatchId::parse("prod-wave-1").unwrap().as_str(), "prod-wave-1");
    }

    #[test]
    fn bad_names_are_refused_with_kind_and_rule() {
        for bad in ["", "-x", "a b", "a/b", "é", &"x".repeat(101)] {
            let error = ClusterId::parse(bad).unwrap_err();
            assert!(error.to_string().starts_with("cluster_id `"), "{error}");
            assert!(error.to_string().contains("1 to 100"), "{error}");
        }
    }

    #[test]
    fn a_schedules_time_names_a_request() {
        for fine in ["2026-11-28T03:00:00Z", "pipeline.4711_2", &"x".repeat(80)] {
            assert_eq!(RequestId::parse(fine).unwrap().as_str(), fine);
        }
        for bad in ["", ":", "a#b", "a b", "<aws.scheduler.scheduled-time>", &"x".repeat(81)] {
            assert!(RequestId::parse(bad).unwrap_err().to_string().contains("1 to 80"), "{bad}");
        }
    }

    #[test]
    fn decoding_json_goes_through_the_same_check() {
        assert!(serde_json::from_str::<RunId>("\"a$b\"").is_err());
        assert_eq!(serde_json::from_str::<RunId>("\"run-1\"").unwrap().as_str(), "run-1");
    }
}
