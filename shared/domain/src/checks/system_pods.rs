//! Are the cluster's own pods well?

use super::{Check, Source, Subject, blocks, first};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is every pod of kube-system and istio-system Ready?",
    because: "DNS, networking and the control plane carry every restart that follows. Pods that have done their work \
              (completed Jobs) are no pods that should be Ready.",
    reads: &[Source::SystemPods],
    codes: &[blocks("SYSTEM_POD_NOT_READY", "a pod there is not Ready and not done")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let pods = subject.facts.system_pods.as_ref().ok()?;
    let unready: Vec<String> = pods.iter().filter(|pod| !pod.is_ready).map(|pod| pod.name.clone()).collect();
    let found = (!unready.is_empty()).then(|| {
        Finding::blocking(
            "SYSTEM_POD_NOT_READY",
            subject.name(),
            format!("{} pods are not Ready: {}", unready.len(), first(&unready)),
            "look at the pods and their events",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_pod_that_is_not_ready_blocks_and_is_named() {
        let found = finds(&CHECK, "SYSTEM_POD_NOT_READY", |scene| {
            scene.facts.system_pods.as_mut().unwrap()[0].is_ready = false;
        });
        assert!(found[0].message.ends_with("kube-system/coredns-1"), "{}", found[0]);
    }
}
