//! The simulated outside world as a process of its own: GitLab, Datadog, STS, EKS and every cluster's API server on
//! loopback sockets, and one more socket on which a test looks at the world and pulls its levers.
//!
//! Never here: what the world does (`guard-world`) and what a run comes to (the tests). Start reading at [`stage`].

pub mod control;
pub mod histories;
pub mod stage;
