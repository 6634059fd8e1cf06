//! One state fails once, whatever function it calls.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use guard_asl::{FunctionError, Invocation, Reply, Resource, StateKind, TaskRunner};
use guard_simulation::{MachineError, machines};
use guard_tasks::ErrorName;

/// Fails the first invocation from each of some states; everything else runs.
pub struct FailsOnce {
    functions: Box<dyn TaskRunner>,
    /// Machine and state of those that have not failed yet.
    waiting: Mutex<BTreeSet<(String, String)>>,
    error: ErrorName,
}

impl FailsOnce {
    /// Around the functions. A place is a machine and a state.
    pub fn new(functions: Box<dyn TaskRunner>, places: &[(&str, &str)], error: ErrorName) -> Self {
        let places = places.iter().map(|(machine, state)| ((*machine).to_owned(), (*state).to_owned()));
        Self { functions, waiting: Mutex::new(places.collect()), error }
    }
}

#[async_trait]
impl TaskRunner for FailsOnce {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        // arn:aws:states:<region>:<account>:execution:<machine>:<name>
        let machine =
            invocation.execution_arn.as_deref().and_then(|arn| arn.rsplit(':').nth(1)).unwrap_or_default();
        let place = (machine.to_owned(), invocation.state.clone().unwrap_or_default());
        let fails = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        if fails {
            let error = FunctionError {
                error_type: self.error.as_str().to_owned(),
                error_message: "injected".to_owned(),
            };
            return Reply { outcome: Err(error), took: Duration::from_millis(50) };
        }
        self.functions.invoke(invocation).await
    }
}

/// Machine and state of every function call of every machine.
pub fn places() -> Result<Vec<(String, String)>, MachineError> {
    let mut all = Vec::new();
    for machine in machines()? {
        for state in machine.states() {
            if let StateKind::Task(task) = &state.kind
                && matches!(task.resource, Resource::Invoke | Resource::InvokeWithToken)
            {
                all.push((machine.name.clone(), state.name.clone()));
            }
        }
    }
    Ok(all)
}
