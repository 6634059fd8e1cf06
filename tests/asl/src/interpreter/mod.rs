//! Runs machines in virtual time: a queue of events, one popped at a time, and nothing that waits for real.

mod call;
mod context;
mod core;
mod data;
mod execution;
mod fan;
mod fault;
mod flow;
mod queue;
mod recover;
mod runner;
mod service;
mod tokens;
mod transition;

pub use execution::{ExecutionDescription, Status};
pub use fault::{Attempt, AttemptFault, AttemptFaults};
pub use queue::Order;
pub use runner::{Invocation, Reply, TaskRunner};
pub use service::{Step, StepFunctions};
pub use transition::{Transition, TransitionKind};
