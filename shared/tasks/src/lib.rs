//! Use cases of GUARD: one file a task, and the ports they need. A task fetches, lets the domain decide, and reports.
//!
//! No vendor is named here: Kubernetes, AWS, GitLab and Datadog clients live in adapters. Start reading at [`task`], then
//! take the tasks in the order of the workflow.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod entries;
pub mod ledger;
pub mod task;

pub mod plan_rollout;

pub mod plan_batch;

pub mod pre_check;

pub mod decide;

pub mod open_merge_request;

pub mod await_merge;

pub mod watch_merges;

pub mod merge_webhook;

pub mod watch_rollout;

pub mod gate_control_plane;

pub mod restart_proxies;

pub mod judge_soak;

pub mod await_decision;

pub mod answer_decision;

pub mod post_check;

pub mod settle;

pub mod sweep;

mod analysis;
mod contract;
mod draft;
mod error;
mod holder;
mod leftovers;
mod log;
mod merge;
mod notices;
mod ports;
mod schema;
mod start;

pub use contract::Contract;
pub use error::{Context, ErrorName, TaskError};
pub use notices::NotifiedEntry;
pub use ports::*;
pub use schema::{PayloadSchema, RECORD_SCHEMA, UnknownSchema, newer_row};
pub use task::{JsonTask, Meta, Task};
