//! World, stores, functions and state machines together, with one clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use guard_asl::{ApiError, FunctionError, Step, StepFunctions, Transition};
use guard_domain::{ClusterId, ClusterRecord, Config, last_end};
use guard_memory::MemoryStore;
use guard_world::{World, WorldSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::analyzer::Analyzer;
use crate::faults::{FaultHook, Faults};
use crate::fleet::Fleet;
use crate::functions::{Functions, function_arn};
use crate::history::{History, Written};
use crate::machines::{MachineError, machines};
#[cfg(feature = "planted-bugs")]
use crate::planted::Bug;
use crate::planted::Planted;
use crate::ports::Clocks;
use crate::transport::Older;
use crate::webhook::Webhook;

/// What a house is made of.
pub(crate) struct Parts {
    pub(crate) world: World,
    pub(crate) store: MemoryStore,
    pub(crate) service: StepFunctions,
    pub(crate) analyzer: Analyzer,
    pub(crate) faults: Arc<Faults>,
    pub(crate) history: History,
    pub(crate) planted: Planted,
    pub(crate) older: Arc<Older>,
    pub(crate) clocks: Clocks,
    pub(crate) spec: Arc<WorldSpec>,
    pub(crate) config: Arc<Config>,
}

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
    pub(crate) parts: Parts,
    pub(crate) functions: Functions,
    webhook: OnceLock<Webhook>,
    /// When EventBridge calls the watcher next, while somebody runs.
    tick: Mutex<Option<Timestamp>>,
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
        let service = StepFunctions::new(fleet.world.seed, fleet.world.start);
        for machine in machines()? {
            // A definition that parses and has no dangling transition is accepted; the names are apart.
            let name = machine.name.clone();
            service
                .create_state_machine(machine)
                .map_err(|error| MachineError::Refused { machine: name, error })?;
        }
        Ok(Self::of(Parts {
            world: World::new(fleet.world.clone()),
            store: MemoryStore::with_clusters(fleet.rows.clone()),
            service,
            analyzer: Analyzer::default(),
            faults: Arc::new(Faults::new(hook)),
            history: History::default(),
            planted: Planted::default(),
            older: Arc::default(),
            clocks: Clocks::default(),
            spec: Arc::new(fleet.world.clone()),
            config: Arc::new(fleet.config.clone()),
        }))
    }

    fn of(parts: Parts) -> Self {
        let hook = Arc::clone(&parts.faults);
        parts.service.set_faults(Arc::new(move |attempt| hook.at_state(attempt)));
        Self {
            world: parts.world.clone(),
            store: parts.store.clone(),
            service: parts.service.clone(),
            analyzer: parts.analyzer.clone(),
            functions: Functions::new(&parts),
            parts,
            webhook: OnceLock::new(),
            tick: Mutex::default(),
        }
    }

    /// Another house that stands where this one does, between two of its steps, and goes on by itself; from there on things
    /// go wrong where the hook says so. Its functions start cold, and nobody observes it.
    #[must_use]
    pub fn fork(&self, hook: impl FaultHook + 'static) -> Self {
        let parts = &self.parts;
        let fork = Self::of(Parts {
            world: parts.world.fork(),
            store: parts.store.fork(),
            service: parts.service.fork(),
            analyzer: parts.analyzer.fork(),
            faults: Arc::new(Faults::new(Some(Arc::new(hook)))),
            history: parts.history.fork(),
            planted: parts.planted.clone(),
            older: Arc::new(parts.older.fork()),
            clocks: parts.clocks.fork(),
            spec: Arc::clone(&parts.spec),
            config: Arc::clone(&parts.config),
        });
        if let Some(webhook) = self.webhook.get() {
            fork.webhook.get_or_init(|| webhook.fork());
        }
        *lock(&fork.tick) = *lock(&self.tick);
        fork
    }

    /// Gives GitLab the webhook: the end of a merge request is told when it happens, beside the watcher's minutes.
    pub fn set_webhook(&self) {
        self.webhook.get_or_init(Webhook::default);
    }

    /// A person writes into the registry, past GUARD; or takes the row away.
    pub fn edit_by_hand(&self, id: &ClusterId, edit: Option<impl FnOnce(&mut ClusterRecord)>) {
        match edit {
            Some(edit) => self.store.edit_cluster(id, edit),
            None => self.store.remove_cluster(id),
        }
        let rows = self.store.clusters();
        let row = rows.into_iter().find(|row| row.cluster_id == *id);
        let row = row.map(|row| (row.status, row.current_istio_version));
        self.parts.history.add(Written::ByHand { cluster_id: id.clone(), row });
    }

    /// From now on a function's clock is off by so much. Those of AWS are not, nor those of everybody else.
    pub fn set_clock_off(&self, function: &str, by: SignedDuration) {
        self.parts.clocks.set_off(function, by);
    }

    /// From now on this goes wrong, for tests of the invariants.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&self, bug: Bug) {
        self.parts.planted.plant(bug);
    }

    /// Everything that the stores took.
    pub fn history(&self) -> Vec<Written> {
        self.parts.history.all()
    }

    /// Outward calls so far, by system.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.parts.faults.totals()
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
        while let Some(step) = self.step().await {
            tell(&step);
        }
    }

    /// One step of it; `None` once no execution is running.
    pub async fn step(&self) -> Option<Step> {
        let watcher = function_arn("watch-merges");
        let minute = SignedDuration::from_mins(1);
        let call_at = |at: Timestamp| {
            *lock(&self.tick) = Some(at);
            self.service.schedule_invocation(at, &watcher, json!({}));
        };
        let tick = *lock(&self.tick);
        let tick = tick.unwrap_or_else(|| {
            let first = self.service.now() + minute;
            call_at(first);
            first
        });
        let step = if self.service.is_busy() {
            self.deliver();
            self.service.step(&self.functions).await
        } else {
            Step::Idle
        };
        match &step {
            Step::Idle => {
                *lock(&self.tick) = None;
                self.world.advance_to(self.service.now());
                return None;
            }
            Step::Invoked { at, function, .. } => {
                // A watcher that was woken is one more; the next minute follows from the minute before.
                if *function == watcher && *at >= tick && self.service.is_busy() {
                    call_at(*at + minute);
                }
            }
            Step::Progress { .. } => {}
        }
        Some(step)
    }

    /// What happens in the world before the machines' next event is told when it happens.
    fn deliver(&self) {
        let Some(webhook) = self.webhook.get() else { return };
        let is_before = |at: &Timestamp| self.service.next_event_at().is_none_or(|next| *at < next);
        while let Some(at) = self.world.next_event().filter(is_before) {
            self.world.advance_to(at);
            for delivery in webhook.deliveries(&self.world) {
                self.service.schedule_invocation(at, &function_arn("merge-webhook"), delivery);
            }
        }
    }

    /// Runs what is due up to a time, and lets it come.
    pub async fn wait_until(&self, at: Timestamp) {
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
    pub async fn sweep_at(&self, at: Timestamp) -> Result<Value, FunctionError> {
        let sweeper = function_arn("sweep");
        self.service.schedule_invocation(at, &sweeper, json!({}));
        loop {
            self.deliver();
            match self.service.step(&self.functions).await {
                // One that was planned for before is another one.
                Step::Invoked { at: now, function, outcome } if function == sweeper && now >= at => {
                    return outcome;
                }
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
