//! World, stores, functions and state machines together, with one clock.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use guard_asl::{ApiError, FunctionError, Step, StepFunctions, Transition};
use guard_domain::last_end;
use guard_memory::MemoryStore;
use guard_world::World;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::analyzer::Analyzer;
use crate::faults::{FaultHook, Faults};
use crate::fleet::Fleet;
use crate::functions::{Functions, function_arn};
use crate::history::{History, Written};
use crate::machines::{MachineError, machines};
use crate::planted::{Bug, Planted};
use crate::webhook::Webhook;

/// Everything of one simulation.
pub struct House {
    /// The outside world.
    pub world: World,
    /// Registry, run records, locks and tokens.
    pub store: MemoryStore,
    /// Step Functions.
    pub service: StepFunctions,
    /// istioctl, which is not there until somebody installs it.
    pub analyzer: Analyzer,
    pub(crate) functions: Functions,
    pub(crate) faults: Arc<Faults>,
    pub(crate) history: History,
    planted: Planted,
    webhook: OnceLock<Webhook>,
}

/// A person answers the judge's question of a run, after a while.
pub fn answer_later(
    service: &StepFunctions,
    after: SignedDuration,
    run_id: &str,
    answer: &str,
    reason: &str,
) {
    let payload = json!({"run_id": run_id, "answer": answer, "who": "robin", "reason": reason});
    service.schedule_invocation(service.now() + after, &function_arn("answer-decision"), payload);
}

impl House {
    /// A house around a fleet.
    pub fn new(fleet: &Fleet) -> Result<Self, MachineError> {
        Self::build(fleet, None)
    }

    /// The same, in which things go wrong where the hook says so.
    pub fn with_faults(fleet: &Fleet, hook: impl FaultHook + 'static) -> Result<Self, MachineError> {
        Self::build(fleet, Some(Arc::new(hook)))
    }

    fn build(fleet: &Fleet, hook: Option<Arc<dyn FaultHook>>) -> Result<Self, MachineError> {
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
        let faults = Arc::new(Faults::new(hook));
        let analyzer = Analyzer::default();
        let (history, planted) = (History::default(), Planted::default());
        let functions = Functions::new(
            &world,
            &fleet.world,
            &store,
            fleet.config.clone(),
            &service,
            &analyzer,
            &faults,
            &history,
            &planted,
        );
        let hook = Arc::clone(&faults);
        service.set_faults(Arc::new(move |attempt| hook.at_state(attempt)));
        Ok(Self {
            world,
            store,
            service,
            analyzer,
            functions,
            faults,
            history,
            planted,
            webhook: OnceLock::new(),
        })
    }

    /// Gives GitLab the webhook: the end of a merge request is told when it happens, beside the watcher's minutes.
    pub fn set_webhook(&self) {
        self.webhook.get_or_init(Webhook::default);
    }

    /// From now on this goes wrong, for tests of the invariants.
    pub fn plant(&self, bug: Bug) {
        self.planted.plant(bug);
    }

    /// Everything that the stores took.
    pub fn history(&self) -> Vec<Written> {
        self.history.all()
    }

    /// Outward calls so far, by system.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.faults.totals()
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
        self.run_watching(|_| {}).await;
    }

    /// The same, telling of every step.
    pub async fn run_watching(&self, tell: impl Fn(&Step) + Send + Sync) {
        let watcher = function_arn("watch-merges");
        let minute = SignedDuration::from_mins(1);
        let mut tick = self.service.now() + minute;
        self.service.schedule_invocation(tick, &watcher, json!({}));
        while self.service.is_busy() {
            self.deliver();
            let step = self.service.step(&self.functions).await;
            tell(&step);
            match step {
                Step::Idle => break,
                Step::Invoked { at, function, .. } => {
                    // A watcher that was woken is one more; the next minute follows from the minute before.
                    if function == watcher && at >= tick && self.service.is_busy() {
                        tick = at + minute;
                        self.service.schedule_invocation(tick, &watcher, json!({}));
                    }
                }
                Step::Progress { .. } => {}
            }
        }
        self.world.advance_to(self.service.now());
    }

    /// What happens in the world before the machines' next event is told when it happens.
    fn deliver(&self) {
        let Some(webhook) = self.webhook.get() else { return };
        let is_before = |at: &jiff::Timestamp| self.service.next_event_at().is_none_or(|next| *at < next);
        while let Some(at) = self.world.next_event().filter(is_before) {
            self.world.advance_to(at);
            for delivery in webhook.deliveries(&self.world) {
                self.service.schedule_invocation(at, &function_arn("merge-webhook"), delivery);
            }
        }
    }

    /// Runs what is due up to a time, and lets it come.
    pub async fn wait_until(&self, at: jiff::Timestamp) {
        self.service.run_until(at, &self.functions).await;
        self.world.advance_to(at);
    }

    /// Lets so much time pass that nothing of what has ended is at work any more, and sweeps, as EventBridge's rule does;
    /// what runs meanwhile runs on. The sweep's answer.
    pub async fn sweep(&self) -> Result<Value, FunctionError> {
        let at = last_end::quiet_from(self.service.now());
        self.sweep_at(at).await
    }

    /// Sweeps at a time.
    pub async fn sweep_at(&self, at: jiff::Timestamp) -> Result<Value, FunctionError> {
        let sweeper = function_arn("sweep");
        self.service.schedule_invocation(at, &sweeper, json!({}));
        loop {
            self.deliver();
            match self.service.step(&self.functions).await {
                Step::Invoked { function, outcome, .. } if function == sweeper => return outcome,
                // The planned invocation is an event: until it came, there is one.
                Step::Invoked { .. } | Step::Progress { .. } | Step::Idle => {}
            }
        }
    }

    /// Starts an execution and runs it to its end.
    pub async fn run_one(&self, machine: &str, name: &str, input: Value) -> Result<String, ApiError> {
        let arn = self.start(machine, name, input)?;
        self.run().await;
        Ok(arn)
    }
}
