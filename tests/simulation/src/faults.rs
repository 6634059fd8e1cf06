//! The one place that every attempt at a state, every invocation of a function and every outward call of an adapter
//! passes, and where a test makes them go wrong.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use guard_asl::{Attempt, AttemptFault, Invocation};
use guard_tasks::{ErrorName, TaskError};
use jiff::Timestamp;

use crate::recorder::Recorder;

/// Something about to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion {
    /// What.
    pub what: What,
    /// Machine of the execution it happens in; `None` outside of any.
    pub machine: Option<String>,
    /// Name of that execution.
    pub execution: Option<String>,
    /// State it happens in.
    pub state: Option<String>,
    /// How often it was tried again before: 0 the first time.
    pub attempt: u32,
    /// Virtual time.
    pub at: Timestamp,
}

/// What is about to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An attempt at the state.
    State,
    /// An invocation of this function.
    Invocation(String),
    /// An outward call of an adapter.
    Call {
        /// Who is called, as people name it.
        system: &'static str,
        /// What for: method, host and path, or the store's operation.
        operation: String,
    },
}

/// How it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error name before it acts.
    Fails(&'static str),
    /// It acts, and its reply is lost on the way.
    LosesReply,
    /// It acts twice; the second reply counts.
    ActsTwice,
    /// It acts, and its reply comes after the time-out.
    IsSlow,
    /// A read over HTTP brings what the same read brought before: a cache, or a replica that lags behind. Without an
    /// earlier one it is as without a fault. The stores' reads are consistent, and never stale.
    IsStale,
    /// Whoever does it dies before it acts: the function that calls, the function invoked, the execution.
    Dies,
}

impl Fault {
    /// Fails with one of GUARD's own names.
    pub fn fails(name: ErrorName) -> Self {
        Self::Fails(name.as_str())
    }
}

/// Decides for each occasion. It runs in the middle of things and must not call Step Functions or the stores.
pub trait FaultHook: Send + Sync {
    /// What goes wrong, if anything.
    fn fault(&self, occasion: &Occasion) -> Option<Fault>;
}

impl<F: Fn(&Occasion) -> Option<Fault> + Send + Sync> FaultHook for F {
    fn fault(&self, occasion: &Occasion) -> Option<Fault> {
        self(occasion)
    }
}

/// A call that brought no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// It never acted; the error's name.
    Refused(&'static str),
    /// It acted.
    Lost,
    /// It acted, too late to be heard.
    TimedOut,
    /// It was not asked: an older answer came instead.
    Stale,
}

impl From<NoReply> for TaskError {
    fn from(reply: NoReply) -> Self {
        match reply {
            NoReply::Refused(name) => {
                let known = ErrorName::ALL.into_iter().find(|known| known.as_str() == name);
                Self::new(known.unwrap_or(ErrorName::Internal), "injected")
            }
            NoReply::Lost => Self::new(ErrorName::Transient, "the reply was lost"),
            NoReply::TimedOut => Self::new(ErrorName::Transient, "timed out"),
            NoReply::Stale => Self::new(ErrorName::Internal, "only a read over HTTP can be stale"),
        }
    }
}

/// The hook, and what it needs to know of the moment.
pub(crate) struct Faults {
    hook: Option<Arc<dyn FaultHook>>,
    /// Told of everything that changes something.
    pub(crate) recorder: Recorder,
    invocation: Mutex<Option<Invocation>>,
    calls: AtomicU64,
    /// Calls of all invocations, by system.
    totals: Mutex<BTreeMap<&'static str, u64>>,
    /// Virtual time that slow calls of this invocation took.
    waited: Mutex<Duration>,
    is_dead: AtomicBool,
}

impl Faults {
    pub(crate) fn new(hook: Option<Arc<dyn FaultHook>>) -> Self {
        Self {
            hook,
            recorder: Recorder::default(),
            invocation: Mutex::default(),
            calls: AtomicU64::new(0),
            totals: Mutex::default(),
            waited: Mutex::default(),
            is_dead: AtomicBool::new(false),
        }
    }

    /// An attempt at a state.
    pub(crate) fn at_state(&self, attempt: &Attempt) -> Option<AttemptFault> {
        let fault = self.hook.as_ref()?.fault(&Occasion {
            what: What::State,
            machine: Some(attempt.machine.clone()),
            execution: Some(attempt.execution.clone()),
            state: Some(attempt.state.clone()),
            attempt: attempt.number,
            at: attempt.at,
        })?;
        Some(match fault {
            Fault::Fails(name) => AttemptFault::Fail(name.to_owned()),
            // What AWS says when it does not know how a task ended.
            Fault::LosesReply => AttemptFault::LoseResult("States.TaskFailed".to_owned()),
            Fault::ActsTwice => AttemptFault::ActTwice,
            Fault::IsSlow => AttemptFault::TimeOut,
            Fault::Dies => AttemptFault::Stop,
            Fault::IsStale => return None,
        })
    }

    /// An invocation begins: its calls are told as its own.
    pub(crate) fn begin(&self, invocation: &Invocation) -> Option<Fault> {
        *lock(&self.invocation) = Some(invocation.clone());
        *lock(&self.waited) = Duration::ZERO;
        self.calls.store(0, Ordering::Relaxed);
        self.is_dead.store(false, Ordering::Relaxed);
        let name = invocation.function.rsplit_once(":guard-").map_or("", |(_, name)| name).to_owned();
        self.ask(What::Invocation(name))
    }

    /// Whether anybody makes anything go wrong.
    pub(crate) fn is_hooked(&self) -> bool {
        self.hook.is_some()
    }

    /// Calls of this invocation, and the time that slow ones took.
    pub(crate) fn spent(&self) -> (u64, Duration) {
        (self.calls.load(Ordering::Relaxed), *lock(&self.waited))
    }

    /// Calls of all invocations so far, by system.
    pub(crate) fn totals(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.totals).clone()
    }

    /// Whether the function that is running died at one of its calls.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// An outward call: `act` is what it does.
    pub(crate) async fn call<'a, T>(
        &self,
        system: &'static str,
        operation: String,
        timeout: Duration,
        act: impl Fn() -> BoxFuture<'a, T> + Send,
    ) -> Result<T, NoReply> {
        self.read(system, operation, timeout, false, act).await
    }

    /// The same, of which an older answer may be at hand.
    pub(crate) async fn read<'a, T>(
        &self,
        system: &'static str,
        operation: String,
        timeout: Duration,
        can_be_stale: bool,
        act: impl Fn() -> BoxFuture<'a, T> + Send,
    ) -> Result<T, NoReply> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        *lock(&self.totals).entry(system).or_insert(0) += 1;
        match self.ask(What::Call { system, operation }) {
            Some(Fault::IsStale) if can_be_stale => Err(NoReply::Stale),
            None | Some(Fault::IsStale) => Ok(act().await),
            Some(Fault::Fails(name)) => Err(NoReply::Refused(name)),
            Some(Fault::LosesReply) => {
                act().await;
                Err(NoReply::Lost)
            }
            Some(Fault::ActsTwice) => {
                act().await;
                Ok(act().await)
            }
            Some(Fault::IsSlow) => {
                act().await;
                *lock(&self.waited) += timeout;
                Err(NoReply::TimedOut)
            }
            Some(Fault::Dies) => {
                self.is_dead.store(true, Ordering::Relaxed);
                // The invocation is given up by whoever drives it.
                pending().await
            }
        }
    }

    fn ask(&self, what: What) -> Option<Fault> {
        let hook = self.hook.as_ref()?;
        let invocation = lock(&self.invocation).clone()?;
        // arn:aws:states:<region>:<account>:execution:<machine>:<name>
        let arn = invocation.execution_arn.as_deref();
        let part = |from_end: usize| Some(arn?.rsplit(':').nth(from_end)?.to_owned());
        hook.fault(&Occasion {
            what,
            machine: part(1),
            execution: part(0),
            state: invocation.state,
            attempt: invocation.attempt,
            at: invocation.at,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
