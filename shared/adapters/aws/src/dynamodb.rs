//! DynamoDB: the registry, the run record, the locks, the task tokens and the starts, in three tables.
//!
//! Every write is one conditional request, or is undone by one. Nothing is retried here: a state machine does that,
//! and every port's caller looks before it acts.

mod attributes;
mod budget;
mod expression;
mod fleet;
mod lock_row;
mod locks;
mod read;
mod records;
mod registry;
mod registry_edit;
mod schema;
mod starts;
mod status;
mod table_check;
mod tokens;
mod transaction;

use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use guard_http::{System, Transport};
use guard_tasks::Clock;

use crate::sdk::Sdk;

pub use fleet::{FleetRow, HeldLock};
pub use table_check::TableCheck;

/// Names of the three tables. Their keys and indexes:
///
/// | table | partition key | sort key | index |
/// |---|---|---|---|
/// | registry | `cluster_id` | | `batch-index` on `batch_id`, any projection |
/// | runs | `run_id` | `entry` | `open-tokens` on `token_state`, keys only; sparse. TTL on `expires_at` |
/// | locks | `resource` | | |
///
/// All keys are strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// One row a cluster; the table of the tool that was here before has the same attributes.
    pub registry: String,
    /// What each run knows: records, audit log, task tokens. And which request was started by which execution.
    pub runs: String,
    /// One row a batch and a cluster. A row outlives its holder, so that its fence only grows.
    pub locks: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            registry: "guard-cluster-registry".to_owned(),
            runs: "guard-runs".to_owned(),
            locks: "guard-locks".to_owned(),
        }
    }
}

/// The tables of GUARD's own account and region.
pub struct DynamoDb {
    client: aws_sdk_dynamodb::Client,
    tables: TableNames,
    clock: Arc<dyn Clock>,
}

impl DynamoDb {
    /// `endpoint` is a base URL, when the service is not where AWS has it.
    pub fn new(
        transport: Arc<dyn Transport>,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        region: &str,
        endpoint: Option<&String>,
        tables: TableNames,
    ) -> Self {
        let sdk = Sdk::new(transport, Arc::clone(&clock));
        let config = sdk.config(System::DynamoDb, region, endpoint, credentials);
        Self { client: aws_sdk_dynamodb::Client::new(&config), tables, clock }
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").field("tables", &self.tables).finish_non_exhaustive()
    }
}
