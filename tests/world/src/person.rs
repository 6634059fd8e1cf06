//! The person who looks at merge requests.

use crate::gitlab::MergeState;
use crate::spec::Answer;
use crate::state::{Event, State};

impl State {
    /// A merge request was opened, or opened again: the person may answer it later.
    pub(crate) fn ask_person(&mut self, iid: u64) {
        let Some(request) = self.merge_requests.iter().find(|request| request.iid == iid) else { return };
        let opening = request.opening;
        let after = match self.script(&request.title) {
            Answer::Merge { after } | Answer::Close { after } => after,
            Answer::Ignore => return,
        };
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        self.after(seconds, Event::Answer { iid, opening });
    }

    fn script(&self, title: &str) -> Answer {
        let title = title.trim_start_matches("Draft: ");
        if title.starts_with("[ROLLBACK]") { self.spec.person.rollback } else { self.spec.person.upgrade }
    }

    pub(crate) fn answer(&mut self, iid: u64, opening: u32) {
        let Some(at) = self.merge_requests.iter().position(|request| request.iid == iid) else { return };
        let Some(request) = self.merge_requests.get(at) else { return };
        if request.opening != opening || request.state != MergeState::Opened {
            return;
        }
        match self.script(&request.title) {
            // A conflict is left for the author; nobody merges it by hand here.
            Answer::Merge { .. } => _ = self.merge(at, "Robin Reviewer"),
            Answer::Close { .. } => self.close(at),
            Answer::Ignore => {}
        }
    }
}
