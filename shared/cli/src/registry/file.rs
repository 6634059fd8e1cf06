//! A file of clusters: every row is read and checked before any is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use guard_domain::{ClusterId, ClusterRecord, MAX_CLUSTERS};
use guard_tasks::task;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// The keys of a row, so that a misspelt one is refused with the nearest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "decoded for the sake of its errors; the values are decoded as a cluster")]
struct Keys {
    cluster_id: ClusterId,
    batch_id: Option<Value>,
    environment: Option<Value>,
    region: Option<Value>,
    gitlab_repo: Option<Value>,
    flux_config_path: Option<Value>,
    aws_role_arn: Option<Value>,
    current_istio_version: Option<Value>,
    target_istio_version: Option<Value>,
    datadog_tags: Option<TagKeys>,
    owner_team: Option<Value>,
    owner_handle: Option<Value>,
    status: Option<Value>,
    last_updated: Option<Value>,
    upgrade_history: Option<Value>,
    metadata: Option<MetadataKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Keys")]
struct TagKeys {
    cluster: Option<Value>,
    service: Option<Value>,
    env: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Keys")]
struct MetadataKeys {
    mesh_id: Option<Value>,
    multi_cluster: Option<Value>,
    mr_url: Option<Value>,
    mr_created_at: Option<Value>,
    mr_merged_at: Option<Value>,
}

/// The rows of a file: a list, or a list below `clusters`. YAML holds JSON too.
pub(super) fn rows(path: &Path) -> Result<Vec<Value>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| Failure::error(format!("{shown}: {error}")))?;
    let document: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let first = error.to_string();
        let first = first.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        Failure::error(format!("{shown} is neither YAML nor JSON: {first}"))
    })?;
    let rows = document.get("clusters").unwrap_or(&document);
    rows.as_array().cloned().ok_or_else(|| {
        Failure::error(format!("{shown} holds no list of clusters"))
            .next("look at how one is written: guard registry export")
    })
}

/// What a row leads to: the cluster before, and after. `there` is the whole registry.
pub(super) type Edit = (Option<ClusterRecord>, ClusterRecord);

/// Every row as an edit of the registry; or every problem of every row.
pub(super) fn edits(
    rows: &[Value],
    there: &[ClusterRecord],
    now: Timestamp,
) -> Result<Vec<Edit>, Vec<String>> {
    let known: BTreeMap<&str, &ClusterRecord> =
        there.iter().map(|record| (record.cluster_id.as_str(), record)).collect();
    let (mut edits, mut problems) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let number = index + 1;
        let id = row.get("cluster_id").and_then(Value::as_str);
        let name = id.map_or_else(|| format!("row {number}"), |id| format!("row {number} ({id})"));
        if let Some(id) = id
            && let Some(first) = seen.insert(id.to_owned(), number)
        {
            problems.push(format!("{name}: row {first} is the same cluster"));
            continue;
        }
        let before = id.and_then(|id| known.get(id)).copied();
        match edit(&name, row, before, now) {
            Ok(after) => {
                problems.extend(doubts(&after).into_iter().map(|doubt| format!("{name}{doubt}")));
                edits.push((before.cloned(), after));
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(too_large(&edits, there));
    if problems.is_empty() { Ok(edits) } else { Err(problems) }
}

/// A row laid over what is there.
fn edit(
    name: &str,
    row: &Value,
    before: Option<&ClusterRecord>,
    now: Timestamp,
) -> Result<ClusterRecord, String> {
    task::decode::<Keys>(name, row.clone()).map_err(|error| error.chain())?;
    let base = match before {
        Some(before) => serde_json::to_value(before).map_err(|error| format!("{name}: {error}"))?,
        None => json!({"last_updated": now}),
    };
    let merged = laid_over(base, row);
    let after: ClusterRecord = task::decode(name, merged).map_err(|error| error.chain())?;
    let is_same = before.is_some_and(|before| *before == after);
    // A row that says when it was updated means it; otherwise this is the update.
    let is_dated = row.get("last_updated").is_some();
    Ok(if is_same || is_dated { after } else { ClusterRecord { last_updated: now, ..after } })
}

/// Objects are merged, everything else is replaced; null takes an attribute away.
fn laid_over(base: Value, row: &Value) -> Value {
    match (base, row) {
        (Value::Object(mut base), Value::Object(row)) => {
            for (name, value) in row {
                if value.is_null() {
                    base.remove(name);
                } else {
                    let old = base.remove(name).unwrap_or_else(|| Value::Object(Map::new()));
                    base.insert(name.clone(), laid_over(old, value));
                }
            }
            Value::Object(base)
        }
        (_, row) => row.clone(),
    }
}

/// What types alone cannot see.
fn doubts(row: &ClusterRecord) -> Vec<String> {
    let texts = [
        ("environment", &row.environment),
        ("region", &row.region),
        ("gitlab_repo", &row.gitlab_repo),
        ("flux_config_path", &row.flux_config_path),
        ("aws_role_arn", &row.aws_role_arn),
        ("owner_team", &row.owner_team),
        ("owner_handle", &row.owner_handle),
        ("datadog_tags.cluster", &row.datadog_tags.cluster),
        ("datadog_tags.env", &row.datadog_tags.env),
    ];
    let mut doubts: Vec<String> = texts
        .iter()
        .filter(|(_, text)| text.trim().is_empty() || text.trim() != text.as_str())
        .map(|(name, _)| format!(".{name}: is empty, or has spaces around it"))
        .collect();
    let arn: Vec<&str> = row.aws_role_arn.split(':').collect();
    let is_role = matches!(arn[..], ["arn", _, "iam", "", account, role]
        if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && role.starts_with("role/"));
    if !is_role {
        doubts.push(format!(
            ".aws_role_arn: `{}` is no role; it looks like arn:aws:iam::123456789012:role/guard",
            row.aws_role_arn
        ));
    }
    let path = row.flux_config_path.as_str();
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        doubts.push(format!(".flux_config_path: `{path}` is not a path from the root of its project"));
    }
    if !row.gitlab_repo.contains('/') || row.gitlab_repo.contains("://") {
        doubts.push(format!(".gitlab_repo: `{}` is no project path such as platform/fleet", row.gitlab_repo));
    }
    doubts
}

/// Batches that would have more clusters than one run takes.
fn too_large(edits: &[Edit], there: &[ClusterRecord]) -> Vec<String> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    let edited = |row: &&ClusterRecord| edits.iter().any(|(_, after)| after.cluster_id == row.cluster_id);
    let untouched = there.iter().filter(|row| !edited(row));
    for row in untouched.chain(edits.iter().map(|(_, after)| after)) {
        *sizes.entry(row.batch_id.as_str()).or_default() += 1;
    }
    let over = sizes.into_iter().filter(|(_, size)| *size > MAX_CLUSTERS);
    over.map(|(batch, size)| format!("batch {batch} would have {size} clusters; at most {MAX_CLUSTERS} fit"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> Value {
        json!({
            "cluster_id": id, "batch_id": "test", "environment": "test", "region": "eu-west-1",
            "gitlab_repo": "platform/fleet", "flux_config_path": "clusters/x", "current_istio_version": "1.29.3",
            "aws_role_arn": "arn:aws:iam::111111111111:role/guard", "datadog_tags": {"cluster": id, "env": "test"},
            "owner_team": "mesh", "owner_handle": "mesh-team"
        })
    }

    fn now() -> Timestamp {
        "2026-11-28T03:00:00Z".parse().unwrap()
    }

    fn bent(pointer: &str, value: Value) -> Value {
        let mut row = row("eks-1");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        row.pointer_mut(parent).unwrap()[name] = value;
        row
    }

    #[test]
    fn every_problem_of_every_row_is_told_at_once() {
        let rows = [
            bent("/batch", json!("test")),
            bent("/current_istio_version", json!("1.29")),
            json!({"cluster_id": "eks-3", "batch_id": "test"}),
            json!("eks-4"),
            row("eks-5"),
            row("eks-5"),
        ];
        let problems = edits(&rows, &[], now()).unwrap_err();
        let expected = [
            "row 1 (eks-1).batch: unknown field `batch`",
            "row 2 (eks-1): row 1 is the same cluster",
            "row 3 (eks-3): missing field",
            "row 4: expected a JSON object, got a string",
            "row 6 (eks-5): row 5 is the same cluster",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert!(problems[0].ends_with("did you mean `batch_id`?"), "{}", problems[0]);
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        for (pointer, value, expected) in [
            ("/current_istio_version", json!("1.29"), "row 1 (eks-1).current_istio_version: "),
            ("/aws_role_arn", json!("guard"), "row 1 (eks-1).aws_role_arn: `guard` is no role"),
            ("/aws_role_arn", json!("arn:aws:iam::1:role/x"), "row 1 (eks-1).aws_role_arn: "),
            ("/flux_config_path", json!("../x"), "row 1 (eks-1).flux_config_path: `../x`"),
            ("/gitlab_repo", json!("https://g/p"), "row 1 (eks-1).gitlab_repo: "),
            ("/owner_team", json!(" "), "row 1 (eks-1).owner_team: is empty"),
            ("/datadog_tags/enw", json!("x"), "row 1 (eks-1).datadog_tags.enw: unknown field"),
            ("/status", json!("fine"), "row 1 (eks-1).status: unknown variant"),
        ] {
            let problems = edits(&[bent(pointer, value)], &[], now()).unwrap_err();
            assert!(problems[0].starts_with(expected), "{problems:?}");
        }
    }

    #[test]
    fn a_row_says_only_what_it_changes() {
        let first = edits(&[row("eks-1")], &[], now()).unwrap().remove(0).1;
        assert_eq!(first.last_updated, now());
        let there = [ClusterRecord { last_updated: Timestamp::UNIX_EPOCH, ..first }];
        let same = edits(&[row("eks-1")], &there, now()).unwrap().remove(0);
        assert_eq!(same, (Some(there[0].clone()), there[0].clone()), "the same row is no update");
        let moved = json!({"cluster_id": "eks-1", "batch_id": "dev", "datadog_tags": {"env": "dev"}});
        let (_, after) = edits(&[moved], &there, now()).unwrap().remove(0);
        assert_eq!((after.batch_id.as_str(), after.last_updated), ("dev", now()));
        assert_eq!((after.datadog_tags.cluster.as_str(), after.datadog_tags.env.as_str()), ("eks-1", "dev"));
    }

    #[test]
    fn a_batch_that_is_too_large_is_refused() {
        let rows: Vec<Value> = (0..=MAX_CLUSTERS).map(|number| row(&format!("eks-{number}"))).collect();
        assert_eq!(
            edits(&rows, &[], now()).unwrap_err(),
            ["batch test would have 201 clusters; at most 200 fit"]
        );
    }
}
