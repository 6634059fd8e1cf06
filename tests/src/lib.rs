//! Everything that crosses crates. Here is only what several packages' tests share.

pub mod checks;
pub mod collected;
pub mod configuration;
pub mod fixed_answer;
pub mod hooks;
pub mod runtime_api;
