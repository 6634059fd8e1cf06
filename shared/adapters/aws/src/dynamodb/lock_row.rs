//! A row of the lock table.

use guard_domain::{BatchId, ClusterId, RunId};
use guard_tasks::{Lease, LockOutcome, TaskError};
use jiff::Timestamp;

use super::attributes::{Item, item, map, str_of, text, u64_of};
use aws_sdk_dynamodb::types::AttributeValue;

/// Begins the resource name of a batch's lock.
pub(super) const BATCH: &str = "batch#";

/// Resource name of a batch's lock.
pub(super) fn batch_lock(id: &BatchId) -> String {
    format!("{BATCH}{id}")
}

/// Resource name of a cluster's lock.
pub(super) fn cluster_lock(id: &ClusterId) -> String {
    format!("cluster#{id}")
}

/// The key of a row.
pub(super) fn key(resource: &str) -> Item {
    item([("resource", text(resource))])
}

/// One row, as it was read. A row that was never written is free and has fence 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LockRow {
    pub(super) resource: String,
    pub(super) fence: u64,
    pub(super) holder: Option<Holder>,
    /// On a batch's row: the locks of the clusters that were taken with it.
    pub(super) clusters: Vec<String>,
    /// The row as DynamoDB has it, for conditions on what was read.
    pub(super) read: Item,
}

/// Who holds a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) run_id: String,
    pub(super) execution_arn: String,
    pub(super) since: Timestamp,
}

impl Holder {
    pub(super) fn attribute(&self) -> AttributeValue {
        map([
            ("run_id", text(&self.run_id)),
            ("execution_arn", text(&self.execution_arn)),
            ("since", text(self.since.to_string())),
        ])
    }

    fn decode(item: &Item) -> Option<Self> {
        Some(Self {
            run_id: str_of(item, "run_id")?.to_owned(),
            execution_arn: str_of(item, "execution_arn")?.to_owned(),
            since: str_of(item, "since")?.parse().ok()?,
        })
    }
}

impl LockRow {
    /// A row that is not there yet.
    pub(super) fn never_written(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            fence: 0,
            holder: None,
            clusters: Vec::new(),
            read: Item::new(),
        }
    }

    /// Nobody but GUARD writes these rows: one that does not decode is `Internal`, and is not worked around.
    pub(super) fn decode(resource: &str, row: &Item) -> Result<Self, TaskError> {
        if row.is_empty() {
            return Ok(Self::never_written(resource));
        }
        let wrong = |attribute: &str| {
            TaskError::internal(format!("lock {resource} has no readable {attribute}: mend the row by hand"))
        };
        let holder = match row.get("holder") {
            None => None,
            Some(AttributeValue::M(holder)) => Some(Holder::decode(holder).ok_or_else(|| wrong("holder"))?),
            Some(_) => return Err(wrong("holder")),
        };
        let clusters = match row.get("clusters") {
            None => Vec::new(),
            Some(AttributeValue::L(names)) => names
                .iter()
                .map(|name| name.as_s().cloned().map_err(|_| wrong("clusters")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(wrong("clusters")),
        };
        Ok(Self {
            resource: resource.to_owned(),
            fence: u64_of(row, "fence").ok_or_else(|| wrong("fence"))?,
            holder,
            clusters,
            read: row.clone(),
        })
    }

    pub(super) fn is_of(&self, run_id: &RunId) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.run_id == run_id.as_str())
    }

    pub(super) fn is_held_by(&self, lease: &Lease) -> bool {
        self.fence == lease.fence.0 && self.is_of(&lease.run_id)
    }

    /// The answer when somebody else holds the row, who is not the one to be replaced.
    pub(super) fn taken_from(&self, run_id: &RunId, replacing: Option<&str>) -> Option<LockOutcome> {
        let holder = self.holder.as_ref()?;
        if self.is_of(run_id) || replacing == Some(holder.execution_arn.as_str()) {
            return None;
        }
        Some(LockOutcome::Taken {
            resource: self.resource.clone(),
            holder_arn: holder.execution_arn.clone(),
            since: holder.since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::number;
    use super::*;

    #[test]
    fn a_row_that_does_not_decode_is_named_with_its_attribute() {
        let holder = |since: &str| {
            map([("run_id", text("a")), ("execution_arn", text("arn:a")), ("since", text(since))])
        };
        let sound = item([("fence", number(3)), ("holder", holder("2026-11-23T08:00:00Z"))]);
        assert_eq!(LockRow::decode("batch#b", &sound).unwrap().fence, 3);
        for (attribute, value) in [
            ("fence", text("3")),
            ("fence", number(-1)),
            ("holder", text("a")),
            ("holder", holder("yesterday")),
            ("clusters", text("c1")),
            ("clusters", AttributeValue::L(vec![number(1)])),
        ] {
            let mut row = sound.clone();
            row.insert(attribute.to_owned(), value);
            let error = LockRow::decode("batch#b", &row).unwrap_err().to_string();
            assert!(error.starts_with(&format!("lock batch#b has no readable {attribute}")), "{error}");
        }
    }
}
