//! The numbers of what outlives a release: payloads and the rows of the run record.
//!
//! A machine calls the functions and children of its own release, and a run record is read by whatever is deployed: by
//! `sweep`, by `watch-merges`, by the next run of the batch. So both carry the number of their shape, and whoever meets a
//! higher number than it knows says so and touches nothing, where it would otherwise misread.
//!
//! A number is raised only when older code would misread what newer code writes: a field that gets another meaning or
//! another unit, a field that older code needs and that is gone, a variant that it does not know. A new field with a default
//! raises nothing. It is raised in two releases: the first reads both shapes and writes the old one, the second writes the
//! new one. Then the first can still be gone back to. `tests/replay` holds each release against what older ones left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TaskError;

/// The shape of the rows of a run's record that this release writes, and the newest that it reads. A row without a number
/// is of the first shape: it was written before there were numbers.
pub const RECORD_SCHEMA: u32 = 1;

/// Says that a row is newer than this release, which then must not read it.
pub fn newer_row(row: &str, found: &str) -> TaskError {
    TaskError::rejected(format!(
        "{row} has schema {found}, and this release reads up to {RECORD_SCHEMA}: {REMEDY}"
    ))
}

const REMEDY: &str = "a newer GUARD wrote it; deploy that release again, or a later one";

/// The shape of a payload, in `run`, which every function and every child execution is given. Without a number it is the
/// first: its execution was started before there were numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
pub struct PayloadSchema(u32);

/// A payload of a shape that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSchema {
    /// Of a later release.
    #[error("the payload has schema {0}, and this release reads up to {newest}: {REMEDY}", newest = PayloadSchema::CURRENT.0)]
    Newer(u32),
    /// Of none.
    #[error("there is no schema 0: the first is 1")]
    Zero,
}

impl PayloadSchema {
    /// What this release writes, and the newest that it reads.
    pub const CURRENT: Self = Self(1);

    /// The shape of a payload that has no number.
    pub const FIRST: Self = Self(1);

    pub(crate) fn first() -> Self {
        Self::FIRST
    }

    /// Asked before a payload is decoded: a newer one may hold what this release has no name for, and that would be
    /// complained of first.
    pub(crate) fn check(what: &str, payload: &Value) -> Result<(), TaskError> {
        let Some(found) = payload.pointer("/run/schema") else { return Ok(()) };
        let decoded = serde_json::from_value::<Self>(found.clone());
        decoded.map(drop).map_err(|wrong| TaskError::rejected(format!("{what}.run.schema: {wrong}")))
    }
}

impl TryFrom<u32> for PayloadSchema {
    type Error = UnknownSchema;

    fn try_from(number: u32) -> Result<Self, UnknownSchema> {
        match number {
            0 => Err(UnknownSchema::Zero),
            number if number > Self::CURRENT.0 => Err(UnknownSchema::Newer(number)),
            number => Ok(Self(number)),
        }
    }
}

impl From<PayloadSchema> for u32 {
    fn from(schema: PayloadSchema) -> Self {
        schema.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ledger::RunRef;
    use crate::task::decode;

    fn run(schema: Option<Value>) -> Value {
        let mut run = json!({"run_id": "r", "batch_id": "test", "fence": 1, "dry_run": false});
        if let (Some(schema), Some(fields)) = (schema, run.as_object_mut()) {
            fields.insert("schema".to_owned(), schema);
        }
        run
    }

    #[test]
    fn a_payload_of_before_the_numbers_is_of_the_first_shape() {
        let old: RunRef = decode("payload.run", run(None)).unwrap();
        assert_eq!(old.schema, PayloadSchema::FIRST);
        assert_eq!(serde_json::to_value(&old).unwrap()["schema"], 1);
        let today: RunRef = decode("payload.run", run(Some(json!(1)))).unwrap();
        assert_eq!(today, old);
    }

    #[test]
    fn a_newer_payload_is_refused_with_both_numbers_and_the_way_out() {
        let newer = json!({"run": run(Some(json!(2))), "another": true});
        let said = "payload.run.schema: the payload has schema 2, and this release reads up to 1: a newer GUARD wrote it; \
                    deploy that release again, or a later one";
        assert_eq!(PayloadSchema::check("payload", &newer).unwrap_err().to_string(), said);
        let refused = decode::<RunRef>("payload.run", newer["run"].clone()).unwrap_err();
        assert_eq!(refused.to_string(), said);
        for wrong in [json!(0), json!(-1), json!("1"), json!(null)] {
            let payload = json!({"run": run(Some(wrong.clone()))});
            let refused = PayloadSchema::check("payload", &payload).unwrap_err().to_string();
            assert!(refused.starts_with("payload.run.schema: "), "{wrong}: {refused}");
        }
        assert!(PayloadSchema::check("payload", &json!({"batch_id": "test"})).is_ok());
    }

    #[test]
    fn a_newer_row_is_never_retried() {
        let refused = newer_row("entry plan of run r", "2");
        assert_eq!(refused.name, crate::ErrorName::Rejected);
        assert!(
            refused
                .to_string()
                .starts_with("entry plan of run r has schema 2, and this release reads up to 1")
        );
    }
}
