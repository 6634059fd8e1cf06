//! Where a task meets AWS Lambda: settings read once, telemetry, and [`run`], which turns a
//! [`TaskError`](guard_tasks::TaskError) into the `errorType` that state machines match.
//!
//! Never here: what a task does, and the clients of GitLab, Datadog and Kubernetes. A function brings those itself, so
//! that it links only what it needs. Start reading at [`run`], then [`Outside`].

mod about;
mod clock;
mod config_document;
mod function;
mod init_error;
mod log_line;
mod metrics;
mod outside;
mod refreshed;
mod run;
mod settings;
mod telemetry;
mod with_secret;

pub use clock::SystemClock;
pub use config_document::parse_config;
pub use init_error::InitError;
pub use outside::Outside;
pub use refreshed::Refreshed;
pub use run::{Fatal, run};
pub use settings::{ConfigPlace, EndpointOverrides, Settings, VARIABLES, Variable};
pub use with_secret::{Admission, WithSecret};
