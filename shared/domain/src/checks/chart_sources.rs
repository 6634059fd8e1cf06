//! Can Flux fetch Istio's charts?

use std::collections::BTreeSet;

use super::{Check, Source, Subject, blocks};
use crate::{Finding, SourceFacts, SourceKind, SourceRef};

pub(super) const CHECK: Check = Check {
    asks: "Are the sources of Istio's charts there, Ready and not suspended?",
    because: "The new version's chart comes from them, and on the way back the old one's. A source that cannot be fetched \
              keeps the last index, so nothing is amiss until a version is asked for that it does not know (Flux, \
              HelmRepository, OCIRepository and HelmChart status; a rollback failed for an image that was gone).",
    reads: &[Source::Flux, Source::ChartSources],
    codes: &[
        blocks("CHART_SOURCE_NOT_READY", "one of them is not Ready at its newest generation"),
        blocks("CHART_SOURCE_MISSING", "a release names one that is not there"),
        blocks("CHART_SOURCE_SUSPENDED", "one of them is suspended: it knows no newer chart"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let named = in_use(subject)?;
    let sources = subject.facts.chart_sources.as_ref().ok()?;
    let mut found = Vec::new();
    for source in named {
        let whole = format!("{}: {source}", subject.name());
        match sources.iter().find(|one| one.source == source) {
            None => found.push(Finding::blocking(
                "CHART_SOURCE_MISSING",
                whole,
                "a release of Istio takes its chart from it, and it is not there",
                "make it, or correct the release",
            )),
            Some(one) if one.is_suspended => found.push(Finding::blocking(
                "CHART_SOURCE_SUSPENDED",
                whole,
                "suspended: the chart of the new version would never be fetched",
                "resume it, or take the cluster out of the batch",
            )),
            Some(one) if !one.is_well() => found.push(Finding::blocking(
                "CHART_SOURCE_NOT_READY",
                whole,
                one.in_words(),
                "let Flux fetch it again: look at its URL, credentials and version",
            )),
            Some(_) => {}
        }
    }
    Some(found)
}

/// What Istio's releases take their charts from, each once: chart, and the repository behind it.
pub(super) fn in_use(subject: &Subject<'_>) -> Option<BTreeSet<SourceRef>> {
    let releases = &subject.facts.flux.as_ref().ok()?.releases;
    let sources = subject.facts.chart_sources.as_ref().ok()?;
    let mut named = BTreeSet::new();
    for release in releases {
        let made = release
            .helm_chart
            .iter()
            .map(|name| SourceRef { kind: SourceKind::HelmChart, name: name.clone() });
        for source in release.source.iter().cloned().chain(made) {
            let behind = sources
                .iter()
                .find(|one| one.source == source)
                .and_then(|one: &SourceFacts| one.from.clone());
            named.extend(behind);
            named.insert(source);
        }
    }
    // Charts that are folders of a repository or bucket are refused by the edit.
    named.retain(|source| {
        matches!(source.kind, SourceKind::HelmRepository | SourceKind::OCIRepository | SourceKind::HelmChart)
    });
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};
    use crate::{SourceFacts, SourceKind, SourceRef};

    fn source(scene: &mut Scene, at: usize) -> &mut SourceFacts {
        &mut scene.facts.chart_sources.as_mut().unwrap()[at]
    }

    #[test]
    fn repository_and_chart_must_be_ready_at_their_newest_spec() {
        for at in [0, 1] {
            finds(&CHECK, "CHART_SOURCE_NOT_READY", |scene| source(scene, at).ready.status = Some(false));
            finds(&CHECK, "CHART_SOURCE_NOT_READY", |scene| source(scene, at).is_observed = false);
            finds(&CHECK, "CHART_SOURCE_SUSPENDED", |scene| source(scene, at).is_suspended = true);
            finds(&CHECK, "CHART_SOURCE_MISSING", |scene| {
                scene.facts.chart_sources.as_mut().unwrap().remove(at);
            });
        }
    }

    #[test]
    fn an_address_has_nothing_to_be_ready_of() {
        passes(|scene| {
            let repository = source(scene, 0);
            repository.is_address = true;
            repository.ready.status = None;
            repository.is_observed = false;
        });
    }

    #[test]
    fn what_no_release_of_istio_uses_is_others() {
        passes(|scene| {
            let mut other = source(scene, 0).clone();
            other.source.name = "flux-system/podinfo".into();
            other.ready.status = Some(false);
            scene.facts.chart_sources.as_mut().unwrap().push(other);
        });
    }

    /// `chartRef` to a HelmChart: the repository behind it counts.
    #[test]
    fn the_repository_behind_a_chart_counts() {
        let found = finds(&CHECK, "CHART_SOURCE_SUSPENDED", |scene| {
            let release = &mut scene.facts.flux.as_mut().unwrap().releases[0];
            let name = release.helm_chart.take().unwrap();
            release.source = Some(SourceRef { kind: SourceKind::HelmChart, name });
            source(scene, 0).is_suspended = true;
        });
        assert_eq!(found[0].subject, "c1: HelmRepository flux-system/istio");
    }
}
