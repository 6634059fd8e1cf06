//! Secrets Manager and Step Functions, answered by a closure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod secrets;
mod step_functions;
