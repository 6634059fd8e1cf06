//! Is the cluster ACTIVE?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does EKS call the cluster ACTIVE?",
    because: "A cluster that is being created, updated or deleted changes under whoever works on it (EKS API, DescribeCluster).",
    reads: &[Source::Eks],
    codes: &[blocks("EKS_NOT_ACTIVE", "EKS says anything else")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let eks = subject.facts.eks.as_ref().ok()?;
    let found = (eks.status != "ACTIVE").then(|| {
        Finding::blocking(
            "EKS_NOT_ACTIVE",
            subject.name(),
            format!("EKS says {}", eks.status),
            "wait until the cluster is ACTIVE",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn anything_but_active_blocks() {
        for status in ["CREATING", "UPDATING", "FAILED", "DELETING", ""] {
            finds(&CHECK, "EKS_NOT_ACTIVE", |scene| scene.facts.eks.as_mut().unwrap().status = status.into());
        }
    }
}
