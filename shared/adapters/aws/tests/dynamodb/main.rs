//! DynamoDB as no server on a desk behaves: throttled, garbled, silent, half done. What needs its state is in
//! `guard-tests`, test `stores`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod editing;
mod people;
mod reading;
mod refusals;
mod server;
mod transactions;
