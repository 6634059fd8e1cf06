//! Task tokens: SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.

use super::core::{Activity, Core, Visit};
use super::data::size;
use super::fault::AttemptFault;
use super::flow::Called;
use super::queue::Event;
use crate::MAX_STATE_BYTES;
use crate::error::{ApiError, Failure};
use crate::names::random_name;
use serde_json::Value;

const PREFIX: &str = "token-";

impl Core {
    pub(super) fn new_token(&mut self) -> String {
        format!("{PREFIX}{}", random_name(&mut self.random))
    }

    /// The attempt a token belongs to, if it still waits.
    fn open_token(&mut self, token: &str) -> Result<Visit, ApiError> {
        if !token.starts_with(PREFIX) {
            return Err(ApiError::InvalidToken(token.to_owned()));
        }
        let visit = *self.tokens.get(token).ok_or_else(|| ApiError::TaskDoesNotExist(token.to_owned()))?;
        match self.visited(visit).map(|branch| &branch.activity) {
            // What a test lets time out does not hear the answer.
            Some(Activity::Calling(call)) if call.fault != Some(AttemptFault::TimeOut) => Ok(visit),
            _ => Err(ApiError::TaskTimedOut(token.to_owned())),
        }
    }

    pub(super) fn send_success(&mut self, token: &str, output: Value) -> Result<(), ApiError> {
        let visit = self.open_token(token)?;
        let bytes = size(&output);
        if bytes > MAX_STATE_BYTES {
            return Err(ApiError::InvalidOutput(bytes));
        }
        self.answer(visit, |core| core.call_succeeded(visit, output));
        Ok(())
    }

    pub(super) fn send_failure(&mut self, token: &str, error: &str, cause: &str) -> Result<(), ApiError> {
        let visit = self.open_token(token)?;
        self.answer(visit, |core| core.call_failed(visit, Failure::new(error, cause)));
        Ok(())
    }

    pub(super) fn send_heartbeat(&mut self, token: &str) -> Result<(), ApiError> {
        let visit = self.open_token(token)?;
        let planned = match self.visited(visit).map(|branch| &mut branch.activity) {
            Some(Activity::Calling(call)) => {
                call.beats += 1;
                call.heartbeat.map(|heartbeat| (heartbeat, call.beats))
            }
            _ => None,
        };
        if let Some((heartbeat, beats)) = planned {
            self.plan_after(heartbeat, Event::HeartbeatMissed(visit, beats));
        }
        Ok(())
    }

    /// An answer never leads straight to a Lambda call: the next state is entered by its own event.
    fn answer(&mut self, visit: Visit, act: impl FnOnce(&mut Self) -> Called) {
        let execution = self.branches.get(&visit.branch).map(|branch| branch.execution.clone());
        act(self);
        if let Some(execution) = execution {
            self.end_if_full(&execution);
        }
    }
}
