//! May every component go to the target?

use super::{Check, Source, Subject, blocks, warns};
use crate::upgrade_path::{PathRefusal, step};
use crate::{Direction, Finding, HelmReleaseFacts, IstioVersion};

pub(super) const CHECK: Check = Check {
    asks: "May every component go from its own version to the target?",
    because: "The edit takes base, istiod, cni, ztunnel and gateways to one version, each from where it is: one minor at \
              most, and never down (istio.io, in-place upgrades). A robot had moved base alone by four minors in a public \
              repository, and nobody saw it in istiod's version.",
    reads: &[Source::Flux],
    codes: &[
        blocks(
            "COMPONENT_TOO_FAR",
            "a release has deployed a version from which the target is no allowed step",
        ),
        blocks("COMPONENT_AHEAD", "a release has deployed a newer version than the target"),
        warns(
            "COMPONENT_VERSION",
            "a release has deployed another version than the registry says, from which the step is allowed",
        ),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let releases = &subject.facts.flux.as_ref().ok()?.releases;
    Some(releases.iter().filter_map(|release| one(subject, release)).collect())
}

/// A release without a deployed chart is told by its condition, and one that runs the registry's version by the plan.
fn one(subject: &Subject<'_>, release: &HelmReleaseFacts) -> Option<Finding> {
    let deployed = IstioVersion::from_chart_version(release.deployed_version.as_deref()?)?;
    let (from, to) = (subject.planned.from(Direction::Upgrade), subject.planned.to(Direction::Upgrade));
    if deployed == *from {
        return None;
    }
    let named = format!("{}: HelmRelease {}", subject.name(), release.name);
    let seen =
        format!("chart {} is deployed at {deployed}, the registry says {from}", release.component.chart());
    Some(match step(&deployed, to, true) {
        Ok(_) => Finding::warning("COMPONENT_VERSION", named, seen, "the upgrade brings it to the others"),
        Err(refusal @ PathRefusal::Downgrade { .. }) => Finding::blocking(
            "COMPONENT_AHEAD",
            named,
            format!("{seen}; {refusal}"),
            "choose a target that no component is ahead of",
        ),
        Err(refusal) => Finding::blocking(
            "COMPONENT_TOO_FAR",
            named,
            format!("{seen}; {refusal}"),
            "bring this component to the others first",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds};
    use crate::facts::fixtures::release;
    use crate::{Component, HelmReleaseFacts};

    /// A base of another version, beside the istiod that all is measured by.
    fn base(version: &str) -> impl FnOnce(&mut Scene) {
        let version = version.parse().unwrap();
        move |scene| {
            let helm_chart = scene.facts.flux.as_ref().unwrap().releases[0].helm_chart.clone();
            let base = release("istio-system/istio-base", Component::Base, &version);
            let base = HelmReleaseFacts { helm_chart, ..base };
            scene.facts.flux.as_mut().unwrap().releases.push(base);
        }
    }

    #[test]
    fn a_component_that_was_left_behind_or_ran_ahead_blocks() {
        let found = finds(&CHECK, "COMPONENT_TOO_FAR", base("1.26.4"));
        assert!(found[0].message.contains("chart base is deployed at 1.26.4"), "{}", found[0]);
        finds(&CHECK, "COMPONENT_AHEAD", base("1.31.0"));
    }

    #[test]
    fn a_component_within_one_step_is_told() {
        for version in ["1.29.1", "1.30.5", "1.30.5+0123456789ab"] {
            let bare = version.split('+').next().unwrap();
            finds(&CHECK, "COMPONENT_VERSION", base(bare));
        }
    }
}
