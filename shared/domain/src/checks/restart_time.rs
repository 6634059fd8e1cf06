//! Will the restart be over in time?

use super::{Check, Source, Subject, warns};
use crate::Finding;
use crate::restart_plan::RestartPlan;

pub(super) const CHECK: Check = Check {
    asks: "Will the restart of all proxies be over within policy.restart_timeout_minutes?",
    because: "A restart that runs out of time is taken back, as one that failed is. The prediction counts pods and rounds, \
              and policy.restart_seconds_per_pod for each; it is stored with the pre-check.",
    reads: &[Source::Workloads],
    codes: &[warns("RESTART_TOO_LONG", "the prediction is longer than the policy's time")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let policy = &subject.config.policy;
    let plan = RestartPlan::of(workloads, &[], policy);
    let found = (plan.minutes > policy.restart_timeout_minutes).then(|| {
        Finding::warning(
            "RESTART_TOO_LONG",
            subject.name(),
            format!(
                "{}; policy.restart_timeout_minutes is {}",
                plan.in_words(),
                policy.restart_timeout_minutes
            ),
            "raise policy.restart_timeout_minutes or policy.max_unavailable_workloads, or correct \
             policy.restart_seconds_per_pod",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};

    /// Three pods, one after the other.
    fn takes(minutes: u32, allowed: u32) -> impl FnOnce(&mut Scene) {
        move |scene| {
            scene.config.policy.restart_seconds_per_pod = minutes * 20;
            scene.config.policy.restart_timeout_minutes = allowed;
        }
    }

    #[test]
    fn a_restart_that_will_not_be_over_is_told() {
        let found = finds(&CHECK, "RESTART_TOO_LONG", takes(31, 30));
        assert!(
            found[0].message.starts_with("to restart: 1 workloads, 3 pods, about 31 minutes;"),
            "{}",
            found[0]
        );
        passes(takes(30, 30));
    }
}
