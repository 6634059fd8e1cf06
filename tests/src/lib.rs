//! Everything that crosses crates. Here is only what several packages' tests share.

pub mod fails_once;
pub mod fixed_answer;
pub mod runtime_api;
