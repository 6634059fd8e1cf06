//! The cluster registry, written: one move of one cluster.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};
use guard_domain::{ClusterRecord, ClusterStatus};
use guard_tasks::{Context as _, Lease, StatusMove, StatusWriter, TaskError, VersionChange};

use super::DynamoDb;
use super::attributes::{Item, item, map, str_of, text};
use super::expression::Expression;
use super::lock_row::cluster_lock;
use super::registry::decode;
use super::transaction::Written;

#[async_trait]
impl StatusWriter for DynamoDb {
    /// The row is read first, for what the history has to say; the write is conditioned on all of that that it uses.
    /// Attributes that are not ours stay as they are.
    async fn move_status(&self, lease: &Lease, change: &StatusMove) -> Result<(), TaskError> {
        let StatusMove { cluster_id, from, to, .. } = change;
        if !from.may_become(*to) {
            return Err(TaskError::internal(format!("{from} may not become {to}")));
        }
        let unknown = || TaskError::rejected(format!("cluster {cluster_id} is not in the registry"));
        let row = self.registry_row(cluster_id).await?.ok_or_else(unknown)?;
        let write = self.registry_update(change, &update(&row, &decode(&row)?, lease, change))?;
        let written =
            self.write_under_lock(lease, &cluster_lock(cluster_id), &self.tables.registry, write).await;
        match written.context(format!("cluster {cluster_id}"))? {
            Written::Yes => Ok(()),
            Written::No(None) => Err(unknown()),
            Written::No(Some(found)) => Err(TaskError::conflict(unlike(change, &found))),
        }
    }
}

impl DynamoDb {
    fn registry_update(
        &self,
        change: &StatusMove,
        update: &Expression,
    ) -> Result<TransactWriteItem, TaskError> {
        let update = Update::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(item([("cluster_id", text(change.cluster_id.as_str()))])))
            .update_expression(update.update())
            .set_condition_expression(update.condition())
            .set_expression_attribute_names(update.names())
            .set_expression_attribute_values(update.values())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .map_err(|wrong| TaskError::internal(wrong.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// What was found instead of what the move expects.
fn unlike(change: &StatusMove, found: &Item) -> String {
    let status = str_of(found, "status").unwrap_or(ClusterStatus::Pending.as_str());
    if status == change.from.as_str() {
        format!("the row of cluster {} was changed while its status was moved", change.cluster_id)
    } else {
        format!("cluster {} is {status}, expected {}", change.cluster_id, change.from)
    }
}

fn update(read: &Item, row: &ClusterRecord, lease: &Lease, change: &StatusMove) -> Expression {
    let expression = Expression::default()
        .when_there("cluster_id")
        .set("status", text(change.to.as_str()))
        .set("last_updated", text(change.at.to_string()));
    // A row without a status is pending: the registry's default.
    let from = text(change.from.as_str());
    let expression = if change.from == ClusterStatus::Pending {
        expression.when_is_or_absent("status", from)
    } else {
        expression.when_is("status", from)
    };
    links(versions(expression, read, row, lease, change), read, change)
}

fn versions(
    expression: Expression,
    read: &Item,
    row: &ClusterRecord,
    lease: &Lease,
    change: &StatusMove,
) -> Expression {
    let at = || text(change.at.to_string());
    let entry = |version: String| {
        map([
            ("version", text(version)),
            ("date", at()),
            ("status", text(change.to.as_str())),
            ("run_id", text(lease.run_id.as_str())),
        ])
    };
    match &change.version {
        None => expression,
        Some(VersionChange::Aim(version)) => {
            expression.set("target_istio_version", text(version.to_string()))
        }
        Some(VersionChange::Forget) => expression.remove("target_istio_version"),
        Some(VersionChange::Reached(version)) => {
            let reached = entry(version.to_string());
            let expression = expression
                .set("current_istio_version", text(version.to_string()))
                .remove("target_istio_version");
            if !row.upgrade_history.is_empty() {
                return expression.append("upgrade_history", vec![reached]);
            }
            // A row that never had a history gets the version it leaves, or nothing could ever lead back to it.
            let left = map([
                ("version", text(row.current_istio_version.to_string())),
                ("date", at()),
                ("status", text(ClusterStatus::Healthy.as_str())),
            ]);
            expression
                .append("upgrade_history", vec![left, reached])
                .when_still("current_istio_version", read.get("current_istio_version"))
                .when_still("upgrade_history", read.get("upgrade_history"))
        }
        Some(VersionChange::WentBack(version)) => {
            // The history names the version that failed; inside an upgrade it never became the current one.
            let failed = row.target_istio_version.as_ref().unwrap_or(&row.current_istio_version);
            expression
                .set("current_istio_version", text(version.to_string()))
                .remove("target_istio_version")
                .append("upgrade_history", vec![entry(failed.to_string())])
                .when_still("current_istio_version", read.get("current_istio_version"))
                .when_still("target_istio_version", read.get("target_istio_version"))
        }
    }
}

/// Links of the change. Attributes below `metadata` are set one by one, for it may hold more than we know; where it is
/// not there at all, there is nothing to keep.
fn links(expression: Expression, read: &Item, change: &StatusMove) -> Expression {
    let at = || text(change.at.to_string());
    let is_merged = change.to == ClusterStatus::Upgrading;
    let url = change.merge_request_url.as_ref();
    if url.is_none() && !is_merged {
        return expression;
    }
    if !matches!(read.get("metadata"), Some(AttributeValue::M(_))) {
        let mut links = Item::new();
        if let Some(url) = url {
            links.extend(item([("mr_url", text(url)), ("mr_created_at", at())]));
        }
        if is_merged {
            links.insert("mr_merged_at".to_owned(), at());
        }
        return expression
            .set("metadata", AttributeValue::M(links))
            .when_still("metadata", read.get("metadata"));
    }
    let expression = expression.when_there("metadata");
    let expression = match url {
        Some(url) => expression.set("metadata.mr_url", text(url)).set("metadata.mr_created_at", at()),
        None => expression,
    };
    if is_merged {
        expression.set("metadata.mr_merged_at", at())
    } else {
        expression.remove("metadata.mr_merged_at")
    }
}
