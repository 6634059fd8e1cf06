//! Will Helm and istiod fight?

use super::{Check, Source, Subject, warns};
use crate::{Component, Finding};

pub(super) const CHECK: Check = Check {
    asks: "Does no release correct what istiod writes by itself?",
    because: "istiod writes the CA bundle into its webhooks. With drift detection enabled, Flux takes that for drift and \
              corrects it without end, and the release is never Ready (seen with helm-controller 1.5).",
    reads: &[Source::Flux],
    codes: &[warns("DRIFT_DETECTION", "spec.driftDetection.mode of the base or istiod release is enabled")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let releases = &subject.facts.flux.as_ref().ok()?.releases;
    let is_meant = |component| matches!(component, Component::Base | Component::Istiod);
    let correcting = releases.iter().filter(|one| is_meant(one.component) && one.corrects_drift);
    let found = correcting.map(|release| {
        Finding::warning(
            "DRIFT_DETECTION",
            format!("{}: HelmRelease {}", subject.name(), release.name),
            "driftDetection.mode is enabled",
            "set it to warn for this release",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_release_that_corrects_drift_is_told() {
        finds(&CHECK, "DRIFT_DETECTION", |scene| {
            scene.facts.flux.as_mut().unwrap().releases[0].corrects_drift = true;
        });
    }
}
