//! What people are told about how a run ended. What cannot be read for it is left out: the end itself is told anyway.

use guard_domain::notification::{Notification, NotificationKind};
use guard_domain::{Direction, Phase, Plan, Verdict};

use super::{Outcome, Settle};
use crate::TaskError;
use crate::judge_soak::LookEntry;
use crate::ledger::RunRef;
use crate::notices::{Notices, warn};
use crate::pre_check::PreCheckEntry;
use crate::task::Task as _;

/// What an end is told as: once.
const END: &str = "end";

impl Settle {
    /// Tells the end, and that nothing waits any more.
    pub(super) async fn tell(&self, run: &RunRef, plan: &Plan, outcome: Outcome, why: &str) {
        let notices = Notices::new(&self.notifier, &self.ledger, run, Self::NAME);
        if let Some(told) = self.notification(run, plan, outcome, why).await {
            notices.tell(END, &told).await;
        }
        let waiting: Vec<_> = NotificationKind::ALL.into_iter().filter(|kind| kind.is_waiting()).collect();
        notices.over(&waiting).await;
    }

    /// Tells an end that the record has, to those who could not be told when it came.
    pub(crate) async fn tell_again(
        &self,
        run: &RunRef,
        plan: &Plan,
        outcome: Outcome,
        why: &str,
    ) -> Result<(), TaskError> {
        let notices = Notices::new(&self.notifier, &self.ledger, run, Self::NAME);
        match self.notification(run, plan, outcome, why).await {
            Some(told) => notices.tell_late(END, &told).await,
            None => Ok(()),
        }
    }

    async fn notification(
        &self,
        run: &RunRef,
        plan: &Plan,
        outcome: Outcome,
        why: &str,
    ) -> Option<Notification> {
        match outcome {
            Outcome::GateFailed => Some(Notification::gate_failed(plan, why, self.findings(run).await)),
            Outcome::RolledBack => {
                let (evidence, urls) = (self.evidence(run).await, self.rollback_urls(run).await);
                Some(Notification::rolled_back(plan, why, evidence, &urls))
            }
            Outcome::RollbackFailed => {
                Some(Notification::rollback_failed(plan, why, &self.rollback_urls(run).await))
            }
            Outcome::Halted => Some(Notification::halted(plan, why, false)),
            Outcome::Stopped => Some(Notification::halted(plan, why, true)),
            // A person closed it, nobody wanted it, or all is well: the execution says so itself.
            Outcome::Healthy | Outcome::Closed | Outcome::Expired => None,
        }
    }

    /// What the pre-checks found, the clusters that did not pass.
    async fn findings(&self, run: &RunRef) -> Vec<String> {
        let all = self.ledger.read_all::<PreCheckEntry>(&run.run_id, "pre-check#").await;
        let all = all.unwrap_or_else(|error| {
            warn("read the findings", &error);
            Vec::new()
        });
        let failed = all.into_iter().filter(|(_, entry)| entry.verdict != Verdict::Pass);
        failed.flat_map(|(_, entry)| entry.findings).map(|finding| finding.to_string()).collect()
    }

    /// What the judge saw on the clusters that went back.
    async fn evidence(&self, run: &RunRef) -> Vec<String> {
        let back = match self.ledger.progress(run).await {
            Ok(progress) => progress.in_phase(Phase::RolledBack),
            Err(error) => {
                warn("read the progress", &error);
                return Vec::new();
            }
        };
        let mut lines = Vec::new();
        for id in back {
            match self.ledger.read::<LookEntry>(&run.run_id, &format!("soak#{id}")).await {
                Ok(Some(look)) => lines.push(format!("{id}: {}", look.verdict.reasons.join("; "))),
                // It failed before its soak.
                Ok(None) => {}
                Err(error) => warn("read the evidence", &error),
            }
        }
        lines
    }

    async fn rollback_urls(&self, run: &RunRef) -> Vec<String> {
        let requests = match self.ledger.change_name(run, Direction::Rollback).await {
            Ok(change) => self.ledger.merge_requests(&run.run_id, &change).await,
            Err(error) => Err(error),
        };
        let requests = requests.unwrap_or_else(|error| {
            warn("read the rollback requests", &error);
            Vec::new()
        });
        requests.into_iter().filter_map(|(_, entry)| Some(entry.opened?.web_url)).collect()
    }
}
