//! GUARD in one process and in virtual time: the real state machines, the real tasks and the real adapters, against the
//! simulated world. What the demonstration shows and what the journey tests assert on is this.
//!
//! Start reading at [`House`]; [`Story`] is a scripted run with a report.

mod analyzer;
mod chaos;
mod expectation;
mod faults;
mod fleet;
mod functions;
mod history;
mod house;
pub mod invariants;
mod machines;
mod planted;
mod ports;
mod recorder;
mod recording;
mod replay;
mod report;
mod scenario;
mod stores;
mod story;
mod transport;
mod webhook;

pub use analyzer::Analyzer;
pub use chaos::{Act, Chaos, Ended, FAULTS};
pub use faults::{Fault, FaultHook, Occasion, What};
pub use fleet::{Fleet, FleetError, FluxFile};
pub use functions::{FUNCTIONS, function_arn};
pub use history::Written;
pub use house::{House, answer_later};
pub use machines::{MACHINES, MachineError, STARTED_BY_PEOPLE, contracts, lint_rules, machine, machines};
pub use planted::Bug;
pub use recording::{Deed, Event, Held, Journey, Recording, Scene};
pub use replay::ReplayError;
pub use report::{
    BillLine, CallLine, ClusterLine, FileLine, MergeRequestLine, NotificationLine, Report, SoakLine,
};
pub use scenario::Scenario;
pub use story::{Story, StoryError};
pub use webhook::{TOKEN as WEBHOOK_TOKEN, delivery};
