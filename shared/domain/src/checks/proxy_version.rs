//! Are the proxies what the registry says?

use super::{Check, Source, Subject, first, warns};
use crate::skew::Distance;
use crate::{Direction, Finding, IstioVersion};

pub(super) const CHECK: Check = Check {
    asks: "Do all proxies run the version that the registry says?",
    because: "Proxies that were never restarted after an earlier upgrade may be too far behind the new control plane. They \
              are restarted with all others.",
    reads: &[Source::Workloads],
    codes: &[warns(
        "PROXY_VERSION",
        "pods of a workload run another version, which the target's istiod serves all the same",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let expected = subject.planned.from(Direction::Upgrade);
    // What istiod will not serve, or nobody can tell, is found by the check of the skew.
    let is_other = |version: &Option<IstioVersion>| {
        let target = subject.planned.to(Direction::Upgrade);
        version.as_ref().is_some_and(|version| {
            version != expected && subject.skew.between(version, target) == Distance::Fits
        })
    };
    let strange: Vec<String> = workloads
        .iter()
        .filter(|workload| workload.proxies.iter().any(|(version, _)| is_other(version)))
        .map(|workload| workload.workload.to_string())
        .collect();
    let found = (!strange.is_empty()).then(|| {
        Finding::warning(
            "PROXY_VERSION",
            subject.name(),
            format!("{} workloads do not run proxies {expected}: {}", strange.len(), first(&strange)),
            "they are restarted with the others",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_proxy_of_another_version_is_told() {
        let found = finds(&CHECK, "PROXY_VERSION", |scene| {
            scene.facts.workloads.as_mut().unwrap()[0].proxies[0].0 = Some("1.29.5".parse().unwrap());
        });
        assert!(found[0].message.ends_with("shop/Deployment/web"), "{}", found[0]);
    }
}
