//! Retry, Catch, and what happens when neither helps.

use super::core::{Activity, BranchId, Core};
use super::data::Sources;
use super::flow::Called;
use super::queue::Event;
use super::transition::TransitionKind;
use crate::error::Failure;
use crate::machine::{EdgeKind, Jitter, Retrier};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

impl Core {
    /// The state failed: try again, or go where a Catcher leads, or fail the branch.
    pub(super) fn fail(&mut self, id: BranchId, failure: Failure) -> Called {
        if self.plan_retry(id, &failure) {
            return None;
        }
        let branch = self.branches.get(&id)?;
        let state = Arc::clone(&branch.state);
        let matching = state
            .catch()
            .iter()
            .enumerate()
            .find(|(_, catcher)| catcher.error_equals.iter().any(|name| failure.is_matched_by(name)));
        let Some((index, catcher)) = matching else { return self.branch_failed(id, failure) };
        let context = self.context(branch, None);
        let sources = Sources { state: &state.name, context: &context };
        let told = json!({"Error": failure.error, "Cause": failure.cause});
        let output = sources
            .place(&catcher.result_path, branch.input.clone(), told)
            .and_then(|output| sources.weigh("output", &output).map(|size| (output, size)));
        match output {
            Ok((output, size)) => {
                self.note_size(id, size);
                self.exit(id, output, Some((&catcher.next, EdgeKind::Catch(index))))
            }
            // The Catcher's own trouble has no Catcher.
            Err(failure) => self.branch_failed(id, failure),
        }
    }

    /// Plans the next attempt and says so, if the first Retrier that matches has one left. An exhausted Retrier ends the
    /// search: later ones are not asked.
    fn plan_retry(&mut self, id: BranchId, failure: &Failure) -> bool {
        let Some(branch) = self.branches.get_mut(&id) else { return false };
        let state = Arc::clone(&branch.state);
        let matching = state
            .retry()
            .iter()
            .zip(&mut branch.retries)
            .find(|(retrier, _)| retrier.error_equals.iter().any(|name| failure.is_matched_by(name)));
        let Some((retrier, used)) = matching else { return false };
        if *used >= retrier.max_attempts {
            return false;
        }
        let delay = delay(retrier, *used, &mut self.random);
        *used += 1;
        self.bill_transition(id);
        let Some(visit) = self.revisit(id, Activity::Waiting) else { return false };
        let next = self.now().saturating_add(delay).unwrap_or(jiff::Timestamp::MAX);
        self.tell(id, TransitionKind::Retried { error: failure.error.clone(), next });
        self.plan(next, Event::Attempt(visit));
        true
    }

    /// Nothing caught it: the error goes up to the Map around the branch, or ends the execution.
    pub(super) fn branch_failed(&mut self, id: BranchId, failure: Failure) -> Called {
        self.tell(id, TransitionKind::Failed { error: failure.error.clone(), cause: failure.cause.clone() });
        let branch = self.branches.get(&id)?;
        let execution = branch.execution.clone();
        if let Some((map, index)) = branch.parent {
            return self.iteration_failed(id, map, index, failure);
        }
        let last_event = branch.last_event;
        self.branches.remove(&id);
        self.fail_execution(&execution, last_event, failure);
        None
    }
}

/// `IntervalSeconds * BackoffRate ^ used`, at most `MaxDelaySeconds`, then the jitter.
fn delay(retrier: &Retrier, used: u64, random: &mut ChaCha8Rng) -> Duration {
    let most = retrier.max_delay_seconds.unwrap_or(99_999_999);
    let power = i32::try_from(used).unwrap_or(i32::MAX);
    #[expect(clippy::cast_precision_loss, reason = "both are below 100,000,000")]
    let seconds = (retrier.interval_seconds as f64 * retrier.backoff_rate.powi(power)).min(most as f64);
    let seconds = match retrier.jitter {
        Jitter::None => seconds,
        Jitter::Full => random.random_range(0.0..=seconds),
    };
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
