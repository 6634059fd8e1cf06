//! Ports that AWS serves in production and the interpreter serves here.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use guard_asl::{ApiError, StepFunctions, VirtualClock};
use guard_tasks::{Answered, Clock, ExecutionReader, Liveness, TaskError, TokenAnswerer, WatcherWaker};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::functions::function_arn;

/// How far the clocks of functions are off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clocks(Arc<Mutex<Off>>);

#[derive(Debug, Clone, Default)]
struct Off {
    functions: BTreeMap<String, SignedDuration>,
    /// Of the function that runs.
    now: SignedDuration,
}

impl Clocks {
    /// Others that are off as much.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.off().clone())))
    }

    pub(crate) fn set_off(&self, function: &str, by: SignedDuration) {
        self.off().functions.insert(function_arn(function), by);
    }

    /// This function begins to run.
    pub(crate) fn begin(&self, function: &str) {
        let mut off = self.off();
        off.now = off.functions.get(function).copied().unwrap_or_default();
    }

    fn off(&self) -> MutexGuard<'_, Off> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interpreter's time, as the function that runs sees it.
pub(crate) struct VirtualTime {
    pub(crate) clock: VirtualClock,
    pub(crate) clocks: Clocks,
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        let off = self.clocks.off().now;
        self.clock.now().saturating_add(off).unwrap_or(Timestamp::MAX)
    }
}

/// The interpreter as Step Functions' API, called as AWS is called.
pub(crate) struct LocalStepFunctions {
    pub(crate) service: StepFunctions,
    pub(crate) faults: Arc<Faults>,
}

/// As the real adapter waits.
const TIMEOUT: Duration = Duration::from_secs(10);

#[async_trait]
impl ExecutionReader for LocalStepFunctions {
    async fn liveness(&self, execution_arn: &str) -> Result<Liveness, TaskError> {
        let look = || -> BoxFuture<'_, Liveness> {
            let execution = self.service.describe_execution(execution_arn);
            Box::pin(ready(execution.map_or(Liveness::Unknown, |execution| match execution.stop {
                None => Liveness::Running,
                Some(at) => Liveness::Ended(at),
            })))
        };
        let operation = "DescribeExecution".to_owned();
        Ok(self.faults.call("Step Functions", operation, TIMEOUT, look).await?)
    }
}

#[async_trait]
impl TokenAnswerer for LocalStepFunctions {
    async fn answer(&self, token: &str, output: &Value) -> Result<Answered, TaskError> {
        let send = || -> BoxFuture<'_, Result<(), ApiError>> {
            self.faults.recorder.answered(token, output);
            Box::pin(ready(self.service.send_task_success(token, output.clone())))
        };
        let operation = "SendTaskSuccess".to_owned();
        match self.faults.call("Step Functions", operation, TIMEOUT, send).await? {
            Ok(()) => Ok(Answered::InTime),
            // Answered before, timed out or stopped: nobody waits any more.
            Err(ApiError::TaskDoesNotExist(_) | ApiError::TaskTimedOut(_)) => Ok(Answered::TooLate),
            Err(error) => Err(TaskError::internal(format!("SendTaskSuccess: {error}"))),
        }
    }
}

/// Lambda, asked to start the watcher.
#[async_trait]
impl WatcherWaker for LocalStepFunctions {
    async fn wake(&self) -> Result<(), TaskError> {
        let watcher = function_arn("watch-merges");
        let start = || -> BoxFuture<'_, ()> {
            self.service.schedule_invocation(self.service.now(), &watcher, json!({}));
            Box::pin(ready(()))
        };
        Ok(self.faults.call("Lambda", "Invoke watch-merges".to_owned(), TIMEOUT, start).await?)
    }
}
