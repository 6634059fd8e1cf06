//! What is held against the contract, and the cases that all tests start from.

use std::ops::Deref;

use async_trait::async_trait;
use guard_domain::{BatchId, ClusterId, ClusterStatus, RunId};
use guard_memory::MemoryStore;
use guard_tasks::{
    BatchReader, ClusterReader, Lease, LeaseReader, LockOutcome, Locks, RequestBudget, RunRecords,
    StartRegister, StatusMove, StatusWriter, TokenStore, VersionChange,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// All ports of the stores.
pub(crate) trait Ports:
    ClusterReader
    + BatchReader
    + StatusWriter
    + Locks
    + LeaseReader
    + RunRecords
    + TokenStore
    + StartRegister
    + RequestBudget
{
}

impl<T> Ports for T where
    T: ClusterReader
        + BatchReader
        + StatusWriter
        + Locks
        + LeaseReader
        + RunRecords
        + TokenStore
        + StartRegister
        + RequestBudget
{
}

/// What another tool, or a person with the console, does to the registry.
#[async_trait]
pub(crate) trait OtherTool: Sync {
    /// Adds rows, or writes over them.
    async fn write_rows(&self, rows: &[Value]);
}

#[async_trait]
impl OtherTool for MemoryStore {
    async fn write_rows(&self, rows: &[Value]) {
        self.put_clusters(rows.iter().map(|row| serde_json::from_value(row.clone()).unwrap()));
    }
}

/// Empty stores of one kind.
pub(crate) struct Stores<'a> {
    ports: &'a dyn Ports,
    registry: &'a dyn OtherTool,
}

impl<'a> Stores<'a> {
    pub(crate) fn new(ports: &'a dyn Ports, registry: &'a dyn OtherTool) -> Self {
        Self { ports, registry }
    }

    pub(crate) async fn write_rows(&self, rows: &[Value]) {
        self.registry.write_rows(rows).await;
    }
}

impl<'a> Deref for Stores<'a> {
    type Target = dyn Ports + 'a;

    fn deref(&self) -> &Self::Target {
        self.ports
    }
}

/// Each test of the list, once over the memory and once over DynamoDB.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let memory = guard_memory::MemoryStore::default();
                super::$name(&crate::subject::Stores::new(&memory, &memory)).await;
            })+
        }
        mod dynamodb {
            $(#[tokio::test]
            async fn $name() {
                let test = concat!(module_path!(), "::", stringify!($name));
                if let Some(tables) = crate::dynamodb::Tables::create(test).await {
                    super::$name(&crate::subject::Stores::new(&*tables, &tables)).await;
                }
            })+
        }
    };
}
pub(crate) use contract;

/// A test of the tables alone.
macro_rules! over_tables {
    ($($name:ident),+ $(,)?) => {
        mod over {
            $(#[tokio::test]
            async fn $name() {
                let test = concat!(module_path!(), "::", stringify!($name));
                if let Some(tables) = crate::dynamodb::Tables::create(test).await {
                    super::$name(&tables).await;
                }
            })+
        }
    };
}
pub(crate) use over_tables;

pub(crate) fn row(id: &str) -> Value {
    row_of(id, "test")
}

pub(crate) fn row_of(id: &str, batch: &str) -> Value {
    json!({
        "cluster_id": id, "batch_id": batch, "environment": "test", "region": "eu-west-1", "gitlab_repo": "g/p",
        "flux_config_path": "c", "aws_role_arn": "arn:aws:iam::1:role/x", "current_istio_version": "1.29.3",
        "datadog_tags": {"cluster": id, "env": "test"}, "owner_team": "t", "owner_handle": "h",
        "last_updated": "2026-11-01T00:00:00Z"
    })
}

/// The row with one attribute replaced.
pub(crate) fn with(mut row: Value, attribute: &str, value: Value) -> Value {
    row[attribute] = value;
    row
}

pub(crate) fn run(id: &str) -> RunId {
    RunId::parse(id).unwrap()
}

pub(crate) fn batch(id: &str) -> BatchId {
    BatchId::parse(id).unwrap()
}

pub(crate) fn cluster(id: &str) -> ClusterId {
    ClusterId::parse(id).unwrap()
}

pub(crate) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Run `who`, in the execution `arn:<who>`, asks for batch `test` with these clusters.
pub(crate) async fn take(
    stores: &impl Deref<Target: Locks>,
    who: &str,
    clusters: &[&str],
    replacing: Option<&str>,
) -> LockOutcome {
    take_batch(stores, who, "test", clusters, replacing).await
}

pub(crate) async fn take_batch(
    stores: &impl Deref<Target: Locks>,
    who: &str,
    of: &str,
    clusters: &[&str],
    replacing: Option<&str>,
) -> LockOutcome {
    let ids: Vec<ClusterId> = clusters.iter().map(|id| cluster(id)).collect();
    let arn = format!("arn:{who}");
    stores.acquire(&run(who), &arn, &batch(of), &ids, replacing, second(7)).await.unwrap()
}

pub(crate) fn lease(outcome: LockOutcome) -> Lease {
    match outcome {
        LockOutcome::Held(lease) => lease,
        LockOutcome::Taken { resource, .. } => panic!("{resource} is taken"),
    }
}

/// What is taken, and by whom.
pub(crate) fn taken(outcome: LockOutcome) -> (String, String) {
    match outcome {
        LockOutcome::Taken { resource, holder_arn, since } => {
            assert_eq!(since, second(7));
            (resource, holder_arn)
        }
        LockOutcome::Held(lease) => panic!("held by {}", lease.run_id),
    }
}

pub(crate) fn by(resource: &str, holder: &str) -> (String, String) {
    (resource.to_owned(), holder.to_owned())
}

/// A move of `c1`.
pub(crate) fn step(from: ClusterStatus, to: ClusterStatus, version: Option<VersionChange>) -> StatusMove {
    StatusMove {
        cluster_id: cluster("c1"),
        from,
        to,
        version,
        merge_request_url: None,
        at: Timestamp::UNIX_EPOCH,
    }
}
