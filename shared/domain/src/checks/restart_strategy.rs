//! Will a restart restart?

use super::{Check, Source, Subject, blocks, first};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does every workload replace its pods when its template changes?",
    because: "With the update strategy OnDelete a changed template replaces no pod: the restart would be waited for until \
              its time is over (Kubernetes, StatefulSet and DaemonSet update strategies).",
    reads: &[Source::Workloads],
    codes: &[blocks(
        "RESTART_ON_DELETE",
        "a StatefulSet or DaemonSet with proxies has the strategy OnDelete",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let stubborn: Vec<String> = workloads
        .iter()
        .filter(|one| one.template.is_on_delete)
        .map(|one| one.workload.to_string())
        .collect();
    let found = (!stubborn.is_empty()).then(|| {
        Finding::blocking(
            "RESTART_ON_DELETE",
            subject.name(),
            format!(
                "{} workloads replace pods only when they are deleted: {}",
                stubborn.len(),
                first(&stubborn)
            ),
            "set updateStrategy RollingUpdate for the time of the upgrade",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_workload_that_waits_for_deletion_blocks() {
        finds(&CHECK, "RESTART_ON_DELETE", |scene| {
            scene.facts.workloads.as_mut().unwrap()[0].template.is_on_delete = true;
        });
    }
}
