//! A function that panics: how that reaches a state machine is seen by starting a process.

use guard_lambda::Settings;
use guard_tasks::{Task, TaskError};
use serde_json::{Map, Value};

struct Panics;

impl Task for Panics {
    const NAME: &'static str = "panics";
    type Input = Map<String, Value>;
    type Output = Value;

    #[expect(clippy::panic, reason = "this is what it is for")]
    async fn run(&self, input: Self::Input) -> Result<Value, TaskError> {
        panic!("{} keys are too many", input.len());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), guard_lambda::Fatal> {
    guard_lambda::run(|_: Settings| Panics).await
}
