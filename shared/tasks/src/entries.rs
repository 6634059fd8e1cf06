//! What a run's record holds, by the names of its entries: the one list of them.
//!
//! A record is read by releases that did not write it. Whoever has entries of another release asks here whether they still
//! say what they said.

use std::collections::BTreeMap;

use guard_domain::restart::Canaries;
use guard_domain::soak::Prospect;
use guard_domain::{ClusterId, Finding, Plan, Progress};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::judge_soak::LookEntry;
use crate::ledger::{LandedEntry, MergeRequestEntry, OutcomeEntry, QuestionEntry, RollbackEntry, SoakEntry};
use crate::notices::NotifiedEntry;
use crate::pre_check::PreCheckEntry;
use crate::{TaskError, task};

type Again = fn(&str, Value) -> Result<Value, TaskError>;

/// Every entry by what its name begins with, up to a `#`; and what it is read as.
const ENTRIES: [(&str, Again); 18] = [
    ("plan", again::<Plan>),
    ("progress", again::<Progress>),
    ("pre-check", again::<PreCheckEntry>),
    ("prospects", again::<BTreeMap<ClusterId, Prospect>>),
    ("merge-request", again::<MergeRequestEntry>),
    ("findings-of-merge-request", again::<Vec<Finding>>),
    ("landed", again::<LandedEntry>),
    ("unmerged", again::<String>),
    ("changed-at", again::<Timestamp>),
    ("drift", again::<u32>),
    ("canaries", again::<Canaries>),
    ("findings", again::<Vec<Finding>>),
    // Of a batch; of a cluster it is a look: `soak#<cluster>`.
    ("soak", again::<SoakEntry>),
    ("soak#", again::<LookEntry>),
    ("question", again::<QuestionEntry>),
    ("rollback", again::<RollbackEntry>),
    ("outcome", again::<OutcomeEntry>),
    ("notified", again::<NotifiedEntry>),
];

/// The entry as this release reads it, written again. Of the same release it is the same; of another one it lacks what is
/// not read any more, and has what came since.
pub fn read_again(name: &str, value: Value) -> Result<Value, TaskError> {
    let kind = if name.starts_with("soak#") { "soak#" } else { name.split('#').next().unwrap_or(name) };
    match ENTRIES.iter().find(|(known, _)| *known == kind) {
        Some((_, again)) => again(name, value),
        None => Err(TaskError::rejected(format!("no entry of a run's record is called {name}"))),
    }
}

fn again<T: DeserializeOwned + Serialize>(name: &str, value: Value) -> Result<Value, TaskError> {
    let read: T = task::decode_any(name, value)?;
    serde_json::to_value(read).map_err(|error| TaskError::internal(format!("encode {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_what_its_name_says() {
        assert_eq!(read_again("unmerged#upgrade", json!("closed")).unwrap(), json!("closed"));
        let soak = json!({"from": "2026-11-23T08:00:00Z", "until": "2026-11-23T09:00:00Z",
            "changed_at": "2026-11-23T07:00:00Z"});
        assert_eq!(read_again("soak", soak.clone()).unwrap()["extensions"], 0);
        let refused = read_again("soak#test-euw1-1", soak).unwrap_err().to_string();
        assert!(refused.contains("missing field"), "{refused}");
        let refused = read_again("outcome", json!({"outcome": 5})).unwrap_err().to_string();
        assert!(refused.starts_with("outcome.outcome: invalid type"), "{refused}");
        assert!(read_again("plans", json!({})).unwrap_err().to_string().ends_with("is called plans"));
    }
}
