//! The cluster registry, read.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, ClusterRecord};
use guard_tasks::{BatchReader, ClusterReader, TaskError, task};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;

use super::DynamoDb;
use super::attributes::{Item, item, str_of, text, to_json};
use crate::error;

/// The index on `batch_id`.
const BATCH_INDEX: &str = "batch-index";

#[async_trait]
impl ClusterReader for DynamoDb {
    async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, TaskError> {
        self.registry_row(id).await?.as_ref().map(decode).transpose()
    }
}

#[async_trait]
impl BatchReader for DynamoDb {
    /// An index cannot be read consistently, and shows a row some time after the table has it. So it only tells which
    /// rows to look at; one that is gone or moved to another batch meanwhile is left out.
    async fn batch(&self, id: &BatchId) -> Result<Vec<ClusterRecord>, TaskError> {
        let mut keys = Vec::new();
        for entry in self.index_entries(id).await? {
            let cluster_id = str_of(&entry, "cluster_id").unwrap_or_default();
            keys.push(item([("cluster_id", text(cluster_id))]));
        }
        let rows = self.rows(&self.tables.registry, &keys).await?;
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| str_of(row, "batch_id") == Some(id.as_str())) {
            batch.push(decode(row)?);
        }
        batch.sort_unstable_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
        Ok(batch)
    }

    async fn batches(&self) -> Result<BTreeMap<BatchId, usize>, TaskError> {
        let label = format!("DynamoDB Scan {}", self.tables.registry);
        let rows: Result<Vec<Item>, _> = self
            .client
            .scan()
            .table_name(&self.tables.registry)
            .consistent_read(true)
            .projection_expression("cluster_id, batch_id")
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let mut sizes = BTreeMap::new();
        for row in rows.map_err(|refused| error::classify(&label, &refused))? {
            let batch_id = BatchId::parse(str_of(&row, "batch_id").unwrap_or_default())
                .map_err(|wrong| TaskError::rejected(format!("{}.batch_id: {wrong}", name(&row))))?;
            *sizes.entry(batch_id).or_insert(0) += 1;
        }
        Ok(sizes)
    }
}

impl DynamoDb {
    pub(super) async fn registry_row(&self, id: &ClusterId) -> Result<Option<Item>, TaskError> {
        self.row(&self.tables.registry, item([("cluster_id", text(id.as_str()))])).await
    }

    async fn index_entries(&self, id: &BatchId) -> Result<Vec<Item>, TaskError> {
        let label = format!("DynamoDB Query {} {BATCH_INDEX}", self.tables.registry);
        let entries: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .index_name(BATCH_INDEX)
            .key_condition_expression("batch_id = :batch")
            .expression_attribute_values(":batch", text(id.as_str()))
            .projection_expression("cluster_id")
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        entries.map_err(|refused| error::classify(&label, &refused))
    }
}

/// A row as the domain knows it. What does not decode is `Rejected` with the cluster and the attribute's path: a
/// person wrote it and has to mend it.
pub(super) fn decode(row: &Item) -> Result<ClusterRecord, TaskError> {
    let mut json = to_json(row);
    zone_times(&mut json);
    task::decode(&name(row), json)
}

fn name(row: &Item) -> String {
    format!("registry row {}", str_of(row, "cluster_id").unwrap_or("without cluster_id"))
}

/// The tool that was here before wrote times in UTC without saying so: `2025-10-18T09:30:00.123456`.
fn zone_times(row: &mut Value) {
    for path in ["/last_updated", "/metadata/mr_created_at", "/metadata/mr_merged_at"] {
        row.pointer_mut(path).into_iter().for_each(zone);
    }
    let history = row.pointer_mut("/upgrade_history").and_then(Value::as_array_mut);
    history.into_iter().flatten().filter_map(|entry| entry.pointer_mut("/date")).for_each(zone);
}

fn zone(time: &mut Value) {
    if let Some(text) = time.as_str()
        && text.parse::<Timestamp>().is_err()
        && let Ok(local) = text.parse::<DateTime>()
    {
        *time = Value::String(format!("{local}Z"));
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use guard_domain::ClusterStatus;
    use guard_tasks::ErrorName;

    use super::super::attributes::{map, number};
    use super::*;

    /// As the first tool writes it: no zones, nulls for what is not there, a number of its own.
    fn row() -> Item {
        item([
            ("cluster_id", text("eks-1")),
            ("batch_id", text("test")),
            ("environment", text("test")),
            ("region", text("eu-west-1")),
            ("gitlab_repo", text("g/p")),
            ("flux_config_path", text("clusters/eks-1")),
            ("aws_role_arn", text("arn:aws:iam::1:role/x")),
            ("current_istio_version", text("1.29.3")),
            ("target_istio_version", AttributeValue::Null(true)),
            ("datadog_tags", map([("cluster", text("eks-1")), ("env", text("test"))])),
            ("owner_team", text("t")),
            ("owner_handle", text("h")),
            ("status", text("healthy")),
            ("last_updated", text("2025-10-18T09:30:00.123456")),
            ("upgrade_history", AttributeValue::L(vec![])),
            (
                "metadata",
                map([
                    ("mesh_id", AttributeValue::Null(true)),
                    ("multi_cluster", AttributeValue::Bool(false)),
                    ("mr_created_at", text("2025-10-18T09:00:00")),
                ]),
            ),
            ("version", number(7)),
        ])
    }

    #[test]
    fn a_row_of_the_first_tool_is_read() {
        let read = decode(&row()).unwrap();
        assert_eq!(read.status, ClusterStatus::Healthy);
        assert_eq!(read.last_updated.to_string(), "2025-10-18T09:30:00.123456Z");
        assert_eq!(read.metadata.mr_created_at.unwrap().to_string(), "2025-10-18T09:00:00Z");
        assert_eq!(read.target_istio_version, None);
    }

    #[test]
    fn what_does_not_decode_is_named_with_its_cluster_and_path() {
        let history = |date: &str| {
            let entry = map([("version", text("1.29.3")), ("date", text(date)), ("status", text("healthy"))]);
            AttributeValue::L(vec![entry])
        };
        for (attribute, value, path) in [
            ("status", text("completed"), "status: unknown variant `completed`"),
            ("current_istio_version", text("1.29"), "current_istio_version: `1.29` is not"),
            ("datadog_tags", map([("cluster", text("x"))]), "datadog_tags: missing field `env`"),
            ("last_updated", text("yesterday"), "last_updated: "),
            ("upgrade_history", history("then"), "upgrade_history[0].date: "),
        ] {
            let mut bent = row();
            bent.insert(attribute.to_owned(), value);
            let error = decode(&bent).unwrap_err();
            assert_eq!(error.name, ErrorName::Rejected);
            assert!(error.to_string().starts_with(&format!("registry row eks-1.{path}")), "{error}");
        }
    }
}
