//! Use cases of GUARD: one file a task, and the ports they need. A task fetches, lets the domain decide, and reports.
//!
//! No vendor is named here: kube, AWS, GitLab and Datadog live in adapters. Start reading at [`task`].

mod error;
mod ports;

pub use error::{Context, ErrorName, TaskError};
pub use ports::*;
