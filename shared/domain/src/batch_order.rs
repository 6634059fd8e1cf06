//! In which order batches go: each names the batches that must be healthy first (`batch_order`).

use std::collections::{BTreeMap, BTreeSet};

use crate::BatchId;

/// An order that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A prerequisite nobody defined.
    #[error("batch_order.{batch}: prerequisite `{unknown}` is not a batch; known are {known}")]
    Unknown {
        /// Whose prerequisite it is.
        batch: BatchId,
        /// The unknown name.
        unknown: BatchId,
        /// The known names, for the reader.
        known: String,
    },
    /// Batches that wait for each other.
    #[error("batch_order: {cycle} wait for each other; take one prerequisite out")]
    Cycle {
        /// The cycle, in order, with its first name repeated at the end.
        cycle: String,
    },
    /// A batch without clusters.
    #[error("batch `{batch}` has no clusters in the registry; add some or take it out of batch_order")]
    Empty {
        /// The batch.
        batch: BatchId,
    },
}

/// The order in which batches are upgraded.
///
/// `prerequisites` is the config's `batch_order`; `sizes` gives every known batch and its number of clusters.
/// Among batches that are free to go, the alphabet decides, so that two runs take the same order.
pub fn in_order(
    prerequisites: &BTreeMap<BatchId, Vec<BatchId>>,
    sizes: &BTreeMap<BatchId, usize>,
) -> Result<Vec<BatchId>, OrderError> {
    let known = || sizes.keys().map(BatchId::as_str).collect::<Vec<_>>().join(", ");
    for (batch, needs) in prerequisites {
        for name in std::iter::once(batch).chain(needs) {
            if !sizes.contains_key(name) {
                return Err(OrderError::Unknown {
                    batch: batch.clone(),
                    unknown: name.clone(),
                    known: known(),
                });
            }
        }
    }
    if let Some((batch, _)) = sizes.iter().find(|(_, size)| **size == 0) {
        return Err(OrderError::Empty { batch: batch.clone() });
    }

    let mut order = Vec::new();
    let mut waiting: BTreeSet<&BatchId> = sizes.keys().collect();
    while !waiting.is_empty() {
        let free = waiting.iter().find(|batch| {
            prerequisites.get(**batch).is_none_or(|needs| needs.iter().all(|need| !waiting.contains(need)))
        });
        let Some(next) = free.copied() else {
            return Err(OrderError::Cycle { cycle: cycle(prerequisites, &waiting) });
        };
        waiting.remove(next);
        order.push(next.clone());
    }
    Ok(order)
}

/// Follows waiting prerequisites until a batch comes round again.
fn cycle(prerequisites: &BTreeMap<BatchId, Vec<BatchId>>, waiting: &BTreeSet<&BatchId>) -> String {
    let mut path: Vec<&BatchId> = Vec::new();
    let mut at = waiting.iter().next().copied();
    while let Some(batch) = at {
        if let Some(start) = path.iter().position(|seen| *seen == batch) {
            let names: Vec<&str> = path[start..].iter().chain([&batch]).map(|b| b.as_str()).collect();
            return names.join(" -> ");
        }
        path.push(batch);
        at = prerequisites.get(batch).and_then(|needs| needs.iter().find(|need| waiting.contains(need)));
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(name: &str) -> BatchId {
        BatchId::parse(name).unwrap()
    }

    fn order(pairs: &[(&str, &[&str])], batches: &[(&str, usize)]) -> Result<Vec<String>, OrderError> {
        let prerequisites = pairs.iter().map(|(k, v)| (b(k), v.iter().map(|n| b(n)).collect())).collect();
        let sizes = batches.iter().map(|(k, n)| (b(k), *n)).collect();
        in_order(&prerequisites, &sizes).map(|o| o.into_iter().map(String::from).collect())
    }

    #[test]
    fn prerequisites_come_first() {
        let got = order(
            &[("dev", &["test"]), ("prod", &["staging"]), ("staging", &["dev"])],
            &[("dev", 1), ("prod", 1), ("staging", 1), ("test", 1)],
        );
        assert_eq!(got.unwrap(), ["test", "dev", "staging", "prod"]);
    }

    #[test]
    fn a_cycle_is_told_by_its_names() {
        let got = order(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])], &[("a", 1), ("b", 1), ("c", 1)]);
        assert_eq!(
            got.unwrap_err().to_string(),
            "batch_order: b -> c -> b wait for each other; take one prerequisite out"
        );
    }

    #[test]
    fn unknown_and_empty_batches_are_named() {
        let unknown = order(&[("a", &["tset"])], &[("a", 1), ("test", 1)]).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "batch_order.a: prerequisite `tset` is not a batch; known are a, test"
        );
        let owner = order(&[("zz", &["a"])], &[("a", 1)]).unwrap_err();
        assert!(owner.to_string().contains("`zz` is not a batch"), "{owner}");
        let empty = order(&[], &[("a", 0)]).unwrap_err();
        assert!(empty.to_string().starts_with("batch `a` has no clusters"), "{empty}");
    }
}
