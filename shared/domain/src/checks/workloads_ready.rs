//! Are the workloads of the mesh ready?

use super::{Check, Source, Subject, blocks, first};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is every workload with proxies rolled out and ready?",
    because: "A rolling restart of a workload that is not complete makes it worse, and hides what the upgrade did to it.",
    reads: &[Source::Workloads],
    codes: &[blocks("WORKLOAD_NOT_READY", "a workload is not rolled out and ready")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let unready: Vec<String> = workloads
        .iter()
        .filter(|workload| !workload.counts.is_complete())
        .map(|workload| workload.workload.to_string())
        .collect();
    let found = (!unready.is_empty()).then(|| {
        Finding::blocking(
            "WORKLOAD_NOT_READY",
            subject.name(),
            format!("{} workloads are not ready: {}", unready.len(), first(&unready)),
            "a restart would add to it: bring them up first",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{finds, passes};

    #[test]
    fn a_workload_with_a_pod_too_few_blocks() {
        finds(&CHECK, "WORKLOAD_NOT_READY", |scene| {
            scene.facts.workloads.as_mut().unwrap()[0].counts.ready = 1;
        });
    }

    #[test]
    fn a_mesh_without_workloads_is_ready() {
        passes(|scene| scene.facts.workloads.as_mut().unwrap().clear());
    }
}
