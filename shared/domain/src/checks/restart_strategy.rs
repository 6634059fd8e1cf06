//! Will a restart restart?

use super::{Check, Source, Subject, first, warns};
use crate::restart::Obstacle;
use crate::{Finding, WorkloadFacts};

pub(super) const CHECK: Check = Check {
    asks: "Does every workload replace its pods when its template changes?",
    because: "With the update strategy OnDelete a changed template replaces no pod: GUARD evicts them, one at a time. A paused \
              Deployment and a StatefulSet with a partition keep old pods, and Recreate takes all of them away at once, \
              which policy.max_unavailable_pods may not allow: these keep their old proxies, and are named at the end \
              (Kubernetes, Deployment, StatefulSet and DaemonSet update strategies).",
    reads: &[Source::Workloads, Source::Namespaces],
    codes: &[
        warns("RESTART_ON_DELETE", "a StatefulSet or DaemonSet with proxies has the strategy OnDelete"),
        warns("RESTART_NOT_DONE", "a workload with proxies is not restarted, for what it says of itself"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let namespaces = subject.facts.namespaces.as_ref().ok()?;
    let names = |is_meant: &dyn Fn(&&WorkloadFacts) -> bool| -> Vec<String> {
        workloads.iter().filter(is_meant).map(|one| one.workload.to_string()).collect()
    };
    let on_delete = names(&|one| one.template.is_on_delete);
    // What is never injected again blocks, in a check of its own.
    let left = names(&|one| {
        let why = Obstacle::of(one, namespaces, &subject.config.policy);
        why.is_some_and(|why| !matches!(why, Obstacle::InjectionLost | Obstacle::ProxyByHand))
    });
    let mut found = Vec::new();
    if !on_delete.is_empty() {
        found.push(Finding::warning(
            "RESTART_ON_DELETE",
            subject.name(),
            format!(
                "{} workloads replace pods only when these are deleted: {}",
                on_delete.len(),
                first(&on_delete)
            ),
            "GUARD evicts their pods one at a time, which their budgets must allow",
        ));
    }
    if !left.is_empty() {
        found.push(Finding::warning(
            "RESTART_NOT_DONE",
            subject.name(),
            format!(
                "{} workloads are paused, partitioned, or take more pods away at once than policy allows: {}",
                left.len(),
                first(&left)
            ),
            "resume them, set their partition to 0, give them a rolling strategy, or restart them by hand afterwards",
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_workload_that_waits_for_deletion_is_told() {
        finds(&CHECK, "RESTART_ON_DELETE", |scene| {
            scene.facts.workloads.as_mut().unwrap()[0].template.is_on_delete = true;
        });
    }

    #[test]
    fn what_keeps_old_pods_is_told() {
        let bends: [fn(&mut crate::WorkloadFacts); 3] = [
            |one| one.template.is_paused = true,
            |one| one.template.partition = 1,
            |one| {
                one.counts = crate::facts::fixtures::complete(30);
                one.template.rolling = crate::Rolling { unavailable: 29, surge: 0 };
            },
        ];
        for bend in bends {
            finds(&CHECK, "RESTART_NOT_DONE", |scene| bend(&mut scene.facts.workloads.as_mut().unwrap()[0]));
        }
    }
}
