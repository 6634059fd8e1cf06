//! Are Istio's releases well?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is every HelmRelease of an Istio chart Ready?",
    because: "A release that failed stays failed, whatever version is written into it, until somebody resets it (flux2#1878, \
              helm-controller#297).",
    reads: &[Source::Flux],
    codes: &[
        blocks("HELM_RELEASE_NOT_READY", "a release is not Ready"),
        blocks("NO_HELM_RELEASES", "no HelmRelease installs a chart of Istio"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let releases = &subject.facts.flux.as_ref().ok()?.releases;
    if releases.is_empty() {
        return Some(vec![Finding::blocking(
            "NO_HELM_RELEASES",
            subject.name(),
            "no HelmRelease of an Istio chart",
            "GUARD upgrades Istio that Flux installs by HelmRelease",
        )]);
    }
    let unready = releases.iter().filter(|release| release.ready.status != Some(true));
    let found = unready.map(|release| {
        Finding::blocking(
            "HELM_RELEASE_NOT_READY",
            format!("{}: HelmRelease {}", subject.name(), release.name),
            format!("{} {}", release.ready.reason, release.ready.message),
            "bring the release to Ready before upgrading it",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_release_that_is_not_ready_or_does_not_say_blocks() {
        for ready in [None, Some(false)] {
            finds(&CHECK, "HELM_RELEASE_NOT_READY", |scene| {
                scene.facts.flux.as_mut().unwrap().releases[0].ready.status = ready;
            });
        }
    }

    #[test]
    fn no_release_blocks() {
        finds(&CHECK, "NO_HELM_RELEASES", |scene| scene.facts.flux.as_mut().unwrap().releases.clear());
    }
}
