//! Whether the tables are there and have the keys that everything here relies on.

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, IndexStatus, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
    TableStatus,
};
use guard_tasks::TaskError;

use super::DynamoDb;
use crate::error;

/// What was found of one table.
#[derive(Debug, Clone)]
pub struct TableCheck {
    /// The table's name.
    pub table: String,
    /// What is wrong with it, or why that could not be found out.
    pub problems: Result<Vec<String>, TaskError>,
}

/// What a table or an index must have as its keys.
struct Keys {
    partition: &'static str,
    sort: Option<&'static str>,
}

impl DynamoDb {
    /// Looks at the three tables: there, active, and with the keys and indexes of [`super::TableNames`].
    pub async fn check_tables(&self) -> Vec<TableCheck> {
        let one = |partition| Keys { partition, sort: None };
        let wanted = [
            (&self.tables.registry, one("cluster_id"), Some(("batch-index", one("batch_id")))),
            (
                &self.tables.runs,
                Keys { partition: "run_id", sort: Some("entry") },
                Some(("open-tokens", one("token_state"))),
            ),
            (&self.tables.locks, one("resource"), None),
        ];
        let mut checks = Vec::with_capacity(wanted.len());
        for (table, keys, index) in wanted {
            let problems = self.check_table(table, &keys, index.as_ref()).await;
            checks.push(TableCheck { table: table.clone(), problems });
        }
        checks
    }

    async fn check_table(
        &self,
        table: &str,
        keys: &Keys,
        index: Option<&(&str, Keys)>,
    ) -> Result<Vec<String>, TaskError> {
        let answer = match self.client.describe_table().table_name(table).send().await {
            Ok(answer) => answer,
            Err(refused)
                if refused
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                return Ok(vec!["it does not exist in this account and region".to_owned()]);
            }
            Err(refused) => {
                return Err(error::classify(&format!("DynamoDB DescribeTable {table}"), &refused));
            }
        };
        let found =
            answer.table.ok_or_else(|| TaskError::internal(format!("DynamoDB tells nothing of {table}")))?;
        Ok(problems(&found, keys, index))
    }
}

fn problems(found: &TableDescription, keys: &Keys, index: Option<&(&str, Keys)>) -> Vec<String> {
    let mut problems = Vec::new();
    if !matches!(found.table_status(), Some(TableStatus::Active | TableStatus::Updating)) {
        let status = found.table_status().map_or("unknown", TableStatus::as_str);
        problems.push(format!("its status is {status}, not ACTIVE"));
    }
    let attributes = found.attribute_definitions();
    if !keys.fit(found.key_schema(), attributes) {
        problems.push(format!("its key must be {}, of strings", keys.names()));
    }
    if let Some((name, keys)) = index {
        let there = found.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name));
        match there {
            None => problems.push(format!("it has no index {name} on {}", keys.names())),
            Some(index) if !keys.fit(index.key_schema(), attributes) => {
                problems.push(format!("the key of its index {name} must be {}, a string", keys.names()));
            }
            Some(index) => {
                if let Some(IndexStatus::Creating | IndexStatus::Deleting) = index.index_status() {
                    problems.push(format!("its index {name} is not ACTIVE"));
                }
            }
        }
    }
    problems
}

impl Keys {
    fn names(&self) -> String {
        self.sort.map_or_else(|| self.partition.to_owned(), |sort| format!("{} + {sort}", self.partition))
    }

    fn fit(&self, schema: &[KeySchemaElement], attributes: &[AttributeDefinition]) -> bool {
        let named = |kind: &KeyType| {
            schema.iter().find(|key| key.key_type() == kind).map(KeySchemaElement::attribute_name)
        };
        let is_text = |name: &str| {
            attributes.iter().any(|attribute| {
                attribute.attribute_name() == name && *attribute.attribute_type() == ScalarAttributeType::S
            })
        };
        named(&KeyType::Hash) == Some(self.partition)
            && named(&KeyType::Range) == self.sort
            && is_text(self.partition)
            && self.sort.is_none_or(is_text)
    }
}
