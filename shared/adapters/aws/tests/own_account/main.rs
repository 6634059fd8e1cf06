//! Secrets Manager, Parameter Store, Step Functions and Lambda, answered by a closure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod executions;
mod functions;
mod keys;
mod parameters;
mod secrets;
mod step_functions;
