//! Does Flux follow?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is nothing of Flux suspended?",
    because: "A suspended source, Kustomization or HelmRelease is a merged change that never arrives (Flux, spec.suspend).",
    reads: &[Source::Flux],
    codes: &[blocks(
        "FLUX_SUSPENDED",
        "a GitRepository, a Kustomization or an Istio HelmRelease is suspended",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let flux = subject.facts.flux.as_ref().ok()?;
    let sources = flux.suspended_sources.iter().map(|name| format!("GitRepository {name}"));
    let kustomizations = flux.kustomizations.iter().filter(|one| one.is_suspended);
    let releases = flux.releases.iter().filter(|one| one.is_suspended);
    let suspended = sources
        .chain(kustomizations.map(|one| format!("Kustomization {}", one.name)))
        .chain(releases.map(|one| format!("HelmRelease {}", one.name)));
    let found = suspended.map(|name| {
        Finding::blocking(
            "FLUX_SUSPENDED",
            format!("{}: {name}", subject.name()),
            "suspended: a merged change would never arrive",
            "resume it, or take the cluster out of the batch",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn each_kind_that_is_suspended_blocks() {
        let found = |bend: fn(&mut crate::FluxFacts)| {
            finds(&CHECK, "FLUX_SUSPENDED", |scene| bend(scene.facts.flux.as_mut().unwrap()))
                .remove(0)
                .subject
        };
        assert_eq!(
            found(|flux| flux.suspended_sources.push("flux-system/fleet".into())),
            "c1: GitRepository flux-system/fleet"
        );
        assert_eq!(
            found(|flux| flux.kustomizations[0].is_suspended = true),
            "c1: Kustomization flux-system/istio"
        );
        assert_eq!(found(|flux| flux.releases[0].is_suspended = true), "c1: HelmRelease istio-system/istiod");
    }
}
