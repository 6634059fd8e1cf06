//! World, stores, functions and state machines together, with one clock.

use std::sync::Arc;

use guard_asl::{ApiError, Step, StepFunctions, TaskRunner, Transition};
use guard_memory::MemoryStore;
use guard_world::World;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::functions::{Functions, function_arn};
use crate::machines::{MachineError, machines};

/// Everything of one simulation.
pub struct House {
    /// The outside world.
    pub world: World,
    /// Registry, run records, locks and tokens.
    pub store: MemoryStore,
    /// Step Functions.
    pub service: StepFunctions,
    functions: Box<dyn TaskRunner>,
}

impl House {
    /// A house around a fleet.
    pub fn new(fleet: &Fleet) -> Result<Self, MachineError> {
        Self::wrapped(fleet, |functions| functions)
    }

    /// The same, with every invocation of a function going through what `wrap` makes of the functions.
    pub fn wrapped(
        fleet: &Fleet,
        wrap: impl FnOnce(Box<dyn TaskRunner>) -> Box<dyn TaskRunner>,
    ) -> Result<Self, MachineError> {
        let world = World::new(fleet.world.clone());
        let service = StepFunctions::new(fleet.world.seed, fleet.world.start);
        for machine in machines()? {
            // A definition that parses and has no dangling transition is accepted; the names are apart.
            let name = machine.name.clone();
            service
                .create_state_machine(machine)
                .map_err(|error| MachineError::Refused { machine: name, error })?;
        }
        let store = MemoryStore::with_clusters(fleet.rows.clone());
        let functions = Functions::new(&world, &fleet.world, &store, fleet.config.clone(), &service);
        Ok(Self { world, store, service, functions: wrap(Box::new(functions)) })
    }

    /// Tells `observer` of every state that is entered and left.
    pub fn observe(&self, observer: impl Fn(&Transition) + Send + Sync + 'static) {
        self.service.set_observer(Arc::new(observer));
    }

    /// Starts an execution, as a person, a schedule or a pipeline would.
    pub fn start(&self, machine: &str, name: &str, input: Value) -> Result<String, ApiError> {
        self.service.start_execution(machine, Some(name), input)
    }

    /// Runs until no execution is running: events in the order of time, `watch-merges` every minute as EventBridge calls
    /// it, the world in step.
    pub async fn run(&self) {
        let watcher = function_arn("watch-merges");
        let minute = SignedDuration::from_mins(1);
        self.service.schedule_invocation(self.service.now() + minute, &watcher, json!({}));
        while self.service.is_busy() {
            match self.service.step(self.functions.as_ref()).await {
                Step::Idle => break,
                Step::Invoked { at, .. } => {
                    if self.service.is_busy() {
                        self.service.schedule_invocation(at + minute, &watcher, json!({}));
                    }
                }
                Step::Progress { .. } => {}
            }
        }
        self.world.advance_to(self.service.now());
    }

    /// Starts an execution and runs it to its end.
    pub async fn run_one(&self, machine: &str, name: &str, input: Value) -> Result<String, ApiError> {
        let arn = self.start(machine, name, input)?;
        self.run().await;
        Ok(arn)
    }
}
