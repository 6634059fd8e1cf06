//! Does EKS know of anything wrong?

use super::{Check, Source, Subject, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does EKS know of health issues?",
    because: "An issue such as a missing subnet or key breaks things later, new nodes first (EKS API, ClusterHealth).",
    reads: &[Source::Eks],
    codes: &[warns("EKS_HEALTH_ISSUE", "EKS lists an issue")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let eks = subject.facts.eks.as_ref().ok()?;
    let found = (!eks.health_issues.is_empty()).then(|| {
        Finding::warning(
            "EKS_HEALTH_ISSUE",
            subject.name(),
            eks.health_issues.join(", "),
            "look at the cluster's health issues in EKS",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn issues_are_told_by_their_codes() {
        let found = finds(&CHECK, "EKS_HEALTH_ISSUE", |scene| {
            scene.facts.eks.as_mut().unwrap().health_issues = vec!["Ec2SubnetNotFound".into()];
        });
        assert_eq!(found[0].message, "Ec2SubnetNotFound");
    }
}
