//! The contract of the stores: one suite, held against the memory and against DynamoDB. What the ports promise stands
//! in `guard_tasks::ports::store`; here it is asked.
//!
//! The DynamoDB half wants a server on the loopback interface, named by GUARD_DYNAMODB_ENDPOINT; `scripts/ministack`
//! brings one. Without it, those tests say that they were skipped.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its case should stop there"
)]

mod audit;
mod budget;
mod dynamodb;
mod interrupted;
mod locks;
mod meanwhile;
mod network;
mod records;
mod registry;
mod schemas;
mod starts;
mod statuses;
mod subject;
mod tables_only;
mod tokens;
mod wire;
