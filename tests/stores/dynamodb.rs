//! DynamoDB's tables, made for one test.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_aws::{DynamoDb, TableNames};
use guard_http::Transport;
use guard_tasks::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::network::Network;
use crate::subject::{OtherTool, Ports};
use crate::wire::{ACCESS_KEY, Wire, item, plain};

pub(crate) struct Tables {
    pub(crate) store: Arc<DynamoDb>,
    pub(crate) network: Arc<Network>,
    pub(crate) names: TableNames,
    wire: Arc<Wire>,
}

pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }
}

impl Tables {
    /// Tables of this test alone; `None`, said aloud, without a server.
    pub(crate) async fn create(test: &str) -> Option<Self> {
        let Some(endpoint) = endpoint() else {
            say_skipped();
            return None;
        };
        let prefix = format!("{}-{}", test.replace("::", "."), std::process::id());
        let names = TableNames {
            registry: format!("{prefix}-registry"),
            runs: format!("{prefix}-runs"),
            locks: format!("{prefix}-locks"),
        };
        let wire = Arc::new(Wire::new(&endpoint));
        for definition in definitions(&names) {
            wire.call("CreateTable", definition).await;
        }
        let network = Arc::new(Network::default());
        let transport: Arc<dyn Transport> = Arc::<Network>::clone(&network);
        let credentials = SharedCredentialsProvider::new(Credentials::from_keys(ACCESS_KEY, "secret", None));
        let store = DynamoDb::new(
            transport,
            credentials,
            Arc::new(Stopped),
            "eu-west-1",
            Some(&endpoint),
            names.clone(),
        );
        Some(Self { store: Arc::new(store), network, names, wire })
    }

    /// A row as it is in its table.
    pub(crate) async fn read(&self, table: &str, key: Value) -> Option<Value> {
        let request = json!({"TableName": table, "Key": item(&key), "ConsistentRead": true});
        let answer = self.wire.call("GetItem", request).await;
        answer.get("Item").map(plain)
    }

    /// Writes a row past everything.
    pub(crate) async fn write(&self, table: &str, row: Value) {
        self.writing(table, row).await;
    }

    /// The same, to be done later.
    pub(crate) fn writing(
        &self,
        table: &str,
        row: Value,
    ) -> impl Future<Output = ()> + Send + use<> + 'static {
        let (wire, table) = (Arc::clone(&self.wire), table.to_owned());
        async move {
            wire.call("PutItem", json!({"TableName": table, "Item": item(&row)})).await;
        }
    }

    /// Fence and holder of a lock, as they are in the table.
    pub(crate) async fn lock(&self, resource: &str) -> (u64, Option<String>) {
        let row = self.read(&self.names.locks, json!({"resource": resource})).await;
        row.map_or((0, None), |row| {
            let holder = row.pointer("/holder/execution_arn").and_then(Value::as_str);
            (row["fence"].as_u64().unwrap(), holder.map(str::to_owned))
        })
    }

    /// Deletes a row, to be done later.
    pub(crate) fn deleting(
        &self,
        table: &str,
        key: Value,
    ) -> impl Future<Output = ()> + Send + use<> + 'static {
        let (wire, table) = (Arc::clone(&self.wire), table.to_owned());
        async move {
            wire.call("DeleteItem", json!({"TableName": table, "Key": item(&key)})).await;
        }
    }

    pub(crate) async fn drop_table(&self, table: &str) {
        self.wire.call("DeleteTable", json!({"TableName": table})).await;
    }

    /// Everything in a table.
    pub(crate) async fn all(&self, table: &str) -> Vec<Value> {
        let answer = self.wire.call("Scan", json!({"TableName": table, "ConsistentRead": true})).await;
        answer["Items"].as_array().unwrap().iter().map(plain).collect()
    }
}

#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
fn say_skipped() {
    eprintln!("skipped: GUARD_DYNAMODB_ENDPOINT is not set; `make test-stores` brings a server and sets it");
}

#[expect(clippy::disallowed_methods, reason = "where the server is, is not known when the test is compiled")]
fn endpoint() -> Option<String> {
    let endpoint = std::env::var("GUARD_DYNAMODB_ENDPOINT").ok().filter(|text| !text.is_empty())?;
    let uri: http::Uri = endpoint.parse().unwrap();
    let is_loopback = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    assert!(is_loopback, "GUARD_DYNAMODB_ENDPOINT is `{endpoint}`: tests write only to a server on loopback");
    Some(endpoint)
}

/// The tables as `TableNames` documents them. Indexes are declared with their table: DynamoDB Local breaks a table that
/// gets its first one later.
fn definitions(names: &TableNames) -> [Value; 3] {
    let strings = |attributes: &[&str]| -> Vec<Value> {
        attributes.iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect()
    };
    let hash = |name: &str| json!({"AttributeName": name, "KeyType": "HASH"});
    let range = |name: &str| json!({"AttributeName": name, "KeyType": "RANGE"});
    [
        json!({
            "TableName": names.registry, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": strings(&["cluster_id", "batch_id"]),
            "KeySchema": [hash("cluster_id")],
            "GlobalSecondaryIndexes": [{
                "IndexName": "batch-index", "KeySchema": [hash("batch_id")], "Projection": {"ProjectionType": "ALL"}
            }]
        }),
        json!({
            "TableName": names.runs, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": strings(&["run_id", "entry", "token_state"]),
            "KeySchema": [hash("run_id"), range("entry")],
            "GlobalSecondaryIndexes": [{
                "IndexName": "open-tokens", "KeySchema": [hash("token_state")],
                "Projection": {"ProjectionType": "KEYS_ONLY"}
            }]
        }),
        json!({
            "TableName": names.locks, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": strings(&["resource"]), "KeySchema": [hash("resource")]
        }),
    ]
}

impl Deref for Tables {
    type Target = dyn Ports;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

#[async_trait]
impl OtherTool for Tables {
    async fn write_rows(&self, rows: &[Value]) {
        for rows in rows.chunks(25) {
            let puts: Vec<Value> =
                rows.iter().map(|row| json!({"PutRequest": {"Item": item(row)}})).collect();
            self.wire.call("BatchWriteItem", json!({"RequestItems": {&*self.names.registry: puts}})).await;
        }
    }
}
