//! Are Istio's releases well?

use super::{Check, Source, Subject, blocks, is_open};
use crate::{Finding, HelmReleaseFacts};

pub(super) const CHECK: Check = Check {
    asks: "Is every HelmRelease of an Istio chart Ready?",
    because: "A release that failed stays failed, whatever version is written into it, until somebody resets it (flux2#1878, \
              flux2#5592, helm-controller#297, helm-controller#454). After a remediation Helm has gone back and the old \
              chart runs. Helm refuses objects that carry no release's name or another's (istio#43204, istio#39646), and \
              with server-side apply, which Flux 2.8 uses for new releases, fields that another manager owns, such as \
              istiod its webhooks' failurePolicy (istio#59367, istio#61613, istio#45204). Each has its own way out.",
    reads: &[Source::Flux],
    codes: &[
        blocks(
            "HELM_RELEASE_NOT_READY",
            "a release is not Ready at its newest generation, and says nothing that is told apart below",
        ),
        is_open("HELM_RELEASE_PROGRESSING", "Helm is at work on a release just now; asked again first"),
        blocks("NO_HELM_RELEASES", "no HelmRelease installs a chart of Istio"),
        blocks("HELM_OWNERSHIP", "Helm met an object that is not this release's: invalid ownership metadata"),
        blocks("HELM_FIELD_CONFLICT", "Helm met a field that another manager owns"),
        blocks("HELM_REMEDIATED", "an action failed, and Helm went back to the chart before"),
        blocks(
            "HELM_RETRIES_EXHAUSTED",
            "the helm-controller has given up and waits for a change or a reset",
        ),
        blocks("HELM_ACTION_FAILED", "Helm's last action failed; the helm-controller tries again"),
    ],
    find,
};

/// Reasons of the Ready condition after which nothing was installed as asked.
const FAILED: [&str; 5] =
    ["UpgradeFailed", "InstallFailed", "TestFailed", "RollbackFailed", "UninstallFailed"];

const RESET: &str = "`flux reconcile helmrelease <name> --reset`, which counts the attempts anew";

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
    let found = releases.iter().filter_map(|release| {
        let subject = format!("{}: HelmRelease {}", subject.name(), release.name);
        if release.ready.is_progressing() {
            let remedy = "wait until Helm is done";
            return Some(Finding::unknown(
                "HELM_RELEASE_PROGRESSING",
                subject,
                &release.ready.message,
                remedy,
            ));
        }
        let trouble = Trouble::of(release)?;
        let (code, remedy) = trouble.told(release);
        Some(Finding::blocking(code, subject, said(release), remedy))
    });
    Some(found.collect())
}

/// What ails a release, by the way out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Ownership,
    FieldConflict,
    Remediated,
    RetriesExhausted,
    ActionFailed,
    NotReady,
}

impl Trouble {
    /// The cause goes before its consequences: Helm's own words, then what the helm-controller made of them.
    pub(crate) fn of(release: &HelmReleaseFacts) -> Option<Self> {
        if release.ready.status == Some(true) && release.is_observed && release.deployed_version.is_some() {
            return None;
        }
        let says = |words: &str| {
            [&release.ready, &release.released, &release.stalled]
                .iter()
                .any(|one| one.message.contains(words))
        };
        Some(if says("invalid ownership metadata") {
            Self::Ownership
        } else if says("Apply failed with") || says("conflict occurred while applying") {
            Self::FieldConflict
        } else if release.remediated.status == Some(true) {
            Self::Remediated
        } else if release.stalled.status == Some(true) || says("retries exhausted") {
            Self::RetriesExhausted
        } else if FAILED.contains(&release.ready.reason.as_str()) {
            Self::ActionFailed
        } else {
            Self::NotReady
        })
    }

    /// Code and remedy.
    pub(crate) fn told(self, release: &HelmReleaseFacts) -> (&'static str, String) {
        let (code, remedy) = match self {
            Self::Ownership => (
                "HELM_OWNERSHIP",
                "label the object app.kubernetes.io/managed-by=Helm and annotate it with meta.helm.sh/release-name and \
                 -namespace of this release",
            ),
            Self::FieldConflict => (
                "HELM_FIELD_CONFLICT",
                "the charts of 1.28.6, 1.29.2 and later leave failurePolicy to istiod; fields of others (admissionsenforcer, \
                 kubectl) must be given up by their manager, or spec.upgrade.force taken knowingly",
            ),
            Self::Remediated => (
                "HELM_REMEDIATED",
                "the chart before runs: find out from Helm's history why the action failed",
            ),
            Self::RetriesExhausted => ("HELM_RETRIES_EXHAUSTED", "remove the cause"),
            Self::ActionFailed => ("HELM_ACTION_FAILED", "remove the cause, and wait for the next attempt"),
            Self::NotReady => ("HELM_RELEASE_NOT_READY", "bring the release to Ready before upgrading it"),
        };
        let is_given_up = release.stalled.status == Some(true) || self == Self::RetriesExhausted;
        (code, if is_given_up { format!("{remedy}; then {RESET}") } else { remedy.to_owned() })
    }
}

/// What the release says, for people.
pub(crate) fn said(release: &HelmReleaseFacts) -> String {
    if release.ready.status == Some(true) && !release.is_observed {
        return "its newest spec was not looked at yet".to_owned();
    }
    if release.ready.status == Some(true) {
        return "Ready, but the newest entry of its history is not deployed".to_owned();
    }
    let failures = match release.failures {
        0 => String::new(),
        failures => format!(" (failures: {failures})"),
    };
    format!("{} {}{failures}", release.ready.reason, release.ready.message)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;
    use crate::{Condition, Finding, HelmReleaseFacts};

    fn bent(code: &str, bend: impl FnOnce(&mut HelmReleaseFacts)) -> Finding {
        finds(&CHECK, code, |scene| bend(&mut scene.facts.flux.as_mut().unwrap().releases[0])).remove(0)
    }

    fn condition(status: bool, reason: &str, message: &str) -> Condition {
        Condition { status: Some(status), reason: reason.into(), message: message.into() }
    }

    /// As the helm-controller writes it when it has given up.
    fn gives_up(release: &mut HelmReleaseFacts, message: &str) {
        release.ready = condition(false, "UpgradeFailed", message);
        release.released = condition(false, "UpgradeFailed", message);
        release.stalled = condition(true, "RetriesExceeded", "Failed to upgrade after 1 attempt(s)");
        release.failures = 1;
        release.deployed_version = None;
    }

    #[test]
    fn a_release_that_is_not_ready_or_does_not_say_blocks() {
        for ready in [None, Some(false)] {
            bent("HELM_RELEASE_NOT_READY", |release| release.ready.status = ready);
        }
        let found = bent("HELM_RELEASE_NOT_READY", |release| release.is_observed = false);
        assert!(found.message.contains("newest spec"), "{found}");
        let found = bent("HELM_RELEASE_NOT_READY", |release| release.deployed_version = None);
        assert!(found.message.contains("not deployed"), "{found}");
    }

    #[test]
    fn a_release_that_helm_is_at_work_on_is_no_answer() {
        bent("HELM_RELEASE_PROGRESSING", |release| {
            (release.ready.status, release.ready.reason) = (None, "Progressing".into());
        });
    }

    #[test]
    fn helms_own_words_go_before_the_retries_that_followed() {
        let found = bent("HELM_OWNERSHIP", |release| {
            gives_up(
                release,
                "Helm upgrade failed for release istio-system/istio-base with chart base@1.30.5: Unable to continue with \
                 update: CustomResourceDefinition \"gateways.networking.istio.io\" in namespace \"\" exists and cannot be \
                 imported into the current release: invalid ownership metadata; label validation error: missing key \
                 \"app.kubernetes.io/managed-by\": must be set to \"Helm\"",
            );
        });
        assert!(found.remedy.contains("managed-by=Helm") && found.remedy.contains("--reset"), "{found}");
        for words in [
            "Apply failed with 1 conflict: conflict with \"pilot-discovery\" using admissionregistration.k8s.io/v1: \
             .webhooks[name=\"validation.istio.io\"].failurePolicy",
            "conflict occurred while applying object /istio-sidecar-injector admissionregistration.k8s.io/v1",
        ] {
            let found = bent("HELM_FIELD_CONFLICT", |release| gives_up(release, words));
            assert!(found.remedy.contains("1.29.2") && found.remedy.contains("--reset"), "{found}");
        }
    }

    #[test]
    fn giving_up_going_back_and_trying_again_are_told_apart() {
        let found = bent("HELM_RETRIES_EXHAUSTED", |release| gives_up(release, "timed out"));
        assert!(found.message.contains("failures: 1") && found.remedy.contains("--reset"), "{found}");
        bent("HELM_RETRIES_EXHAUSTED", |release| {
            release.ready = condition(false, "UpgradeFailed", "upgrade retries exhausted");
        });
        let found = bent("HELM_REMEDIATED", |release| {
            release.ready =
                condition(false, "RollbackSucceeded", "Helm rollback to previous release succeeded");
            release.remediated = condition(true, "RollbackSucceeded", "");
        });
        assert!(!found.remedy.contains("--reset"), "{found}");
        let found = bent("HELM_REMEDIATED", |release| {
            gives_up(release, "timed out");
            release.remediated = condition(true, "RollbackSucceeded", "");
        });
        assert!(found.remedy.contains("--reset"), "{found}");
        bent("HELM_ACTION_FAILED", |release| release.ready = condition(false, "UpgradeFailed", "timed out"));
    }

    #[test]
    fn no_release_blocks() {
        finds(&CHECK, "NO_HELM_RELEASES", |scene| scene.facts.flux.as_mut().unwrap().releases.clear());
    }
}
