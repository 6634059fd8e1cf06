//! Who will be missed while pods are replaced?

use super::{Check, Source, Subject, first, warns};
use crate::Finding;
use crate::restart_plan::RestartPlan;

pub(super) const CHECK: Check = Check {
    asks: "Does every workload keep a pod while the others are replaced?",
    because: "A StatefulSet of one and a Deployment with strategy Recreate have no pod for a moment. A Deployment of one \
              gets its second pod first, which has to fit beside it (Kubernetes, update strategies).",
    reads: &[Source::Workloads],
    codes: &[
        warns("RESTART_GAP", "workloads have no pod at all while they restart"),
        warns("RESTART_SINGLE", "workloads have one pod only, and a second one while they restart"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let plan = RestartPlan::of(workloads, &[], &subject.config.policy);
    let tell = |names: &[String], code: &str, what: &str, remedy: &str| {
        (!names.is_empty()).then(|| {
            let seen = format!("{} workloads {what}: {}", names.len(), first(names));
            Finding::warning(code, subject.name(), seen, remedy)
        })
    };
    let gaps = tell(
        &plan.without_pods,
        "RESTART_GAP",
        "have no pod for a moment while they restart",
        "tell their owners, or give them a second replica or a rolling strategy",
    );
    let single = tell(
        &plan.single,
        "RESTART_SINGLE",
        "have one pod only",
        "a second replica is what keeps them up when the new pod does not start",
    );
    Some(gaps.into_iter().chain(single).collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};
    use crate::facts::fixtures::complete;
    use crate::{Rolling, WorkloadFacts, WorkloadKind};

    fn workload(bend: fn(&mut WorkloadFacts)) -> impl FnOnce(&mut Scene) {
        move |scene| bend(&mut scene.facts.workloads.as_mut().unwrap()[0])
    }

    #[test]
    fn a_workload_that_is_gone_for_a_moment_is_told() {
        finds(
            &CHECK,
            "RESTART_GAP",
            workload(|one| one.template.rolling = Rolling { unavailable: 3, surge: 0 }),
        );
        let found = finds(
            &CHECK,
            "RESTART_GAP",
            workload(|one| {
                (one.workload.kind, one.counts) = (WorkloadKind::StatefulSet, complete(1));
                one.template.rolling = Rolling { unavailable: 1, surge: 0 };
            }),
        );
        assert!(found[0].message.ends_with("shop/StatefulSet/web"), "{}", found[0]);
    }

    #[test]
    fn one_pod_alone_is_told_and_several_are_not() {
        finds(&CHECK, "RESTART_SINGLE", workload(|one| one.counts = complete(1)));
        passes(workload(|one| one.counts = complete(2)));
    }
}
