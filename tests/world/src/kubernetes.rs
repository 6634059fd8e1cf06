//! stub
use crate::call::{self, Answer, Call};
use crate::state::State;
pub(crate) fn handle(_state: &mut State, _call: &Call, _cluster: &str) -> Answer {
    call::text(404, "404 page not found\n")
}
