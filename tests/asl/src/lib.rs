//! The local Step Functions: reads hand-written Amazon States Language, refuses what is outside of the
//! subset in use, lints it, draws it, and runs it in virtual time with the real service's event names.
//!
//! It must never know what the tasks do: a task is a name, a payload and a reply, given by a [`TaskRunner`].
//! Nothing here sleeps, reads a wall clock or uses an async runtime of its own.
//!
//! Start reading at [`Machine::parse`], then [`StepFunctions`].
//!
//! ```
//! use guard_asl::{Invocation, Machine, Reply, Status, StepFunctions, TaskRunner};
//! use serde_json::json;
//!
//! struct Echo;
//!
//! #[async_trait::async_trait]
//! impl TaskRunner for Echo {
//!     async fn invoke(&self, invocation: Invocation) -> Reply {
//!         Reply { outcome: Ok(invocation.payload), took: std::time::Duration::from_secs(1) }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let machine = Machine::parse("soak", r#"{"StartAt": "Soak", "States": {
//!     "Soak": {"Type": "Wait", "Seconds": 86400, "Next": "Judge"},
//!     "Judge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "OutputPath": "$.Payload",
//!               "Parameters": {"FunctionName": "judge", "Payload": {"run.$": "$$.Execution.Name"}}, "End": true}
//! }}"#)?;
//! let service = StepFunctions::new(7, "2026-01-05T08:00:00Z".parse()?);
//! service.create_state_machine(machine)?;
//! let arn = service.start_execution("soak", Some("run-1"), json!({}))?;
//! service.run_until_idle(&Echo).await;
//! let end = service.describe_execution(&arn).ok_or("not started")?;
//! assert_eq!((end.status, end.output), (Status::Succeeded, Some(json!({"run": "run-1"}))));
//! assert_eq!(service.now().to_string(), "2026-01-06T08:00:01Z");
//! # Ok(())
//! # }
//! ```
//!
//! Two rules of the real service shape this crate:
//! - `States.Runtime` (a path that selects nothing, above all) and `States.DataLimitExceeded` are not matched
//!   by `States.ALL`: the execution is lost, which is why the lint and the tests must find them first.
//! - A Standard execution keeps at most 25,000 history events and 262,144 bytes of state data
//!   (docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).

mod bill;
mod choice;
mod clock;
mod cycles;
mod draw;
mod error;
mod history;
mod interpreter;
mod lint;
mod machine;
mod names;
mod parse;
mod path;
mod substitute;
mod template;
mod types;

pub use bill::Bill;
pub use choice::{Comparison, Condition, Operand, Ordering, Scalar, TypeTest};
pub use clock::VirtualClock;
pub use draw::{Drawing, draw_mermaid};
pub use error::{ApiError, FunctionError, ParseError};
pub use history::HistoryEvent;
pub use interpreter::{
    Attempt, AttemptFault, AttemptFaults, ExecutionDescription, Invocation, Order, Reply, Status, Step,
    StepFunctions, TaskRunner, Transition, TransitionKind,
};
pub use lint::{LintProblem, LintRule, LintRules, RetryPolicy, lint};
pub use machine::{
    After, Catcher, Choice, ChoiceRule, Edge, EdgeKind, Fail, Filter, Graph, Jitter, Machine, MapState, Pass,
    Quantity, Resource, ResultPath, Retrier, State, StateKind, Task, Text, Wait, WaitSpan,
};
pub use names::{ACCOUNT, REGION, execution_arn, machine_arn};
pub use path::{Path, PathStep, Root};
pub use substitute::{SubstituteError, substitute};
pub use template::Template;
pub use types::{Contracts, FunctionContract, SchemaError, Type, TypeReport, lint_types};

/// Most events one execution's history may hold; the service fails the execution when it gets there.
pub const MAX_EVENTS: usize = 25_000;
/// Most bytes of one state's input, result or output, counted in UTF-8 (`States.DataLimitExceeded` above).
pub const MAX_STATE_BYTES: usize = 262_144;
/// Most iterations of one inline Map that run at the same time, whatever `MaxConcurrency` says.
pub const MAX_MAP_CONCURRENCY: usize = 40;
