//! How far one release has come.

use super::{Arrival, suspended};
use crate::checks::helm_releases::{Trouble, said};
use crate::{Finding, HelmReleaseFacts, IstioVersion, SourceFacts};

/// Words of registries and repositories for a chart that is not there, or not for us: no later attempt finds it.
const NOT_TO_BE_HAD: [&str; 7] =
    ["no chart version found", "version matching", "not found", "unknown", "404", "unauthorized", "denied"];

/// One release, whatever its Kustomization says.
pub(super) fn stand(
    cluster: &str,
    release: &HelmReleaseFacts,
    sources: &[SourceFacts],
    target: &IstioVersion,
) -> Arrival {
    let name = &release.name;
    let subject = || format!("{cluster}: HelmRelease {name}");
    if release.is_suspended {
        return Arrival::Stuck(suspended(cluster, &format!("HelmRelease {name}")));
    }
    if release.is_left_alone {
        return Arrival::Stuck(Finding::unknown(
            "FLUX_SUSPENDED",
            subject(),
            "annotated kustomize.toolkit.fluxcd.io/reconcile: disabled: the merged change cannot arrive",
            "remove the annotation, then start the batch again",
        ));
    }
    if release.spec_version.as_deref().and_then(IstioVersion::from_chart_version).as_ref() != Some(target) {
        let at = release.spec_version.as_deref().unwrap_or("no version");
        return Arrival::OnItsWay(format!("HelmRelease {name} still asks for {at}"));
    }
    if let Some((source, words)) = missing_chart(release, sources, target) {
        return Arrival::Stuck(Finding::blocking(
            "CHART_NOT_FOUND",
            subject(),
            format!("{source}: {words}"),
            "bring the chart of this version to where Flux takes it from, before trying again",
        ));
    }
    if !release.is_observed {
        return Arrival::OnItsWay(format!("HelmRelease {name} waits for the helm-controller"));
    }
    if let Some(failed) = failed(release) {
        let (code, remedy) = failed.told(release);
        return Arrival::Stuck(Finding::blocking(code, subject(), said(release), remedy));
    }
    let deployed = release.deployed_version.as_deref().and_then(IstioVersion::from_chart_version);
    if release.drifted.status == Some(true) && release.corrects_drift && release.ready.status != Some(true) {
        return Arrival::Drifting(Finding::blocking(
            "DRIFT_LOOP",
            subject(),
            format!("Helm corrects again and again what somebody else sets: {}", release.drifted.message),
            "set spec.driftDetection.mode to warn for istiod and base: istiod writes the caBundle of its webhooks itself",
        ));
    }
    if release.ready.status == Some(true) && deployed.as_ref() == Some(target) {
        return Arrival::Arrived;
    }
    let at = release.deployed_version.as_deref().unwrap_or("nothing");
    let why = match (release.ready.reason.as_str(), release.ready.message.as_str()) {
        ("", _) | (_, "") => String::new(),
        (reason, message) if release.ready.status != Some(true) => format!(" ({reason}: {message})"),
        _ => String::new(),
    };
    Arrival::OnItsWay(format!("HelmRelease {name} has deployed {at}{why}"))
}

/// What ails a release for good. Helm's failures are final where no attempt is left.
fn failed(release: &HelmReleaseFacts) -> Option<Trouble> {
    if release.ready.status != Some(false) {
        return None;
    }
    let has_attempts =
        release.retries < 0 || i64::try_from(release.failures).is_ok_and(|n| n <= release.retries);
    match Trouble::of(release)? {
        // It says nothing that is told apart: it waits for something.
        Trouble::NotReady => None,
        // The helm-controller goes back between two attempts, too.
        Trouble::ActionFailed | Trouble::Remediated if has_attempts && release.retries != 0 => None,
        lasting => Some(lasting),
    }
}

/// The source of the target's chart that the release waits for, and why it is not to be had.
fn missing_chart(
    release: &HelmReleaseFacts,
    sources: &[SourceFacts],
    target: &IstioVersion,
) -> Option<(String, String)> {
    if release.ready.status == Some(true) {
        return None;
    }
    let is_named = |one: &&SourceFacts| {
        Some(&one.source) == release.source.as_ref() || Some(&one.source.name) == release.helm_chart.as_ref()
    };
    let is_of_target = |one: &&SourceFacts| {
        one.is_observed
            && one.version.as_deref().and_then(IstioVersion::from_chart_version).as_ref() == Some(target)
    };
    sources.iter().filter(is_named).filter(is_of_target).find_map(|one| {
        let words = one.ready.message.to_lowercase();
        let is_lasting = NOT_TO_BE_HAD.iter().any(|said| words.contains(said));
        (one.ready.status == Some(false) && is_lasting).then(|| (one.source.to_string(), one.in_words()))
    })
}
