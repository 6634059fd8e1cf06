//! The command against an account that answers on loopback: what it prints, what it does there, and its exit code.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its case should stop there"
)]

mod access;
mod aws;
mod deciding;
mod following;
mod going_back;
mod keeping;
mod looking_back;
mod reading;
mod running;
mod server;
mod tables;
mod validating;
