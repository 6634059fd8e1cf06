//! Everything that crosses crates. Here is only what several packages' tests share.

pub mod fails_once;
pub mod runtime_api;
