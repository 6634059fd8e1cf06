//! Does Flux follow?

use super::{Check, Source, Subject, blocks};
use crate::Finding;
use crate::flux_chain::Chain;

pub(super) const CHECK: Check = Check {
    asks: "Is nothing suspended between the branch and Istio's releases?",
    because: "A suspended source, Kustomization or HelmRelease is a merged change that never arrives (Flux, spec.suspend), \
              and one that its Kustomization leaves alone is the same (annotation reconcile: disabled). Looked at are the \
              Kustomizations of the cluster's files, what they depend on, and their GitRepositories.",
    reads: &[Source::Flux],
    codes: &[blocks(
        "FLUX_SUSPENDED",
        "a GitRepository, a Kustomization or an Istio HelmRelease on that way is suspended or left alone",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let flux = subject.facts.flux.as_ref().ok()?;
    let path = &subject.planned.record.flux_config_path;
    let chain = Chain::of(&flux.kustomizations, &flux.repositories, path);
    let suspended = chain.suspended().chain(
        flux.releases.iter().filter(|one| one.is_suspended).map(|one| format!("HelmRelease {}", one.name)),
    );
    let mut found: Vec<Finding> = suspended
        .map(|name| {
            Finding::blocking(
                "FLUX_SUSPENDED",
                format!("{}: {name}", subject.name()),
                "suspended: a merged change would never arrive",
                "resume it, or take the cluster out of the batch",
            )
        })
        .collect();
    found.extend(flux.releases.iter().filter(|one| one.is_left_alone).map(|one| {
        Finding::blocking(
            "FLUX_SUSPENDED",
            format!("{}: HelmRelease {}", subject.name(), one.name),
            "its Kustomization leaves it alone (annotation kustomize.toolkit.fluxcd.io/reconcile: disabled)",
            "take the annotation away, or take the cluster out of the batch",
        )
    }));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{finds, passes};

    #[test]
    fn each_kind_that_is_suspended_blocks() {
        let found = |bend: fn(&mut crate::FluxFacts)| {
            finds(&CHECK, "FLUX_SUSPENDED", |scene| bend(scene.facts.flux.as_mut().unwrap()))
                .remove(0)
                .subject
        };
        assert_eq!(
            found(|flux| flux.repositories[0].is_suspended = true),
            "c1: GitRepository flux-system/fleet"
        );
        assert_eq!(
            found(|flux| flux.kustomizations[0].is_suspended = true),
            "c1: Kustomization flux-system/istio"
        );
        assert_eq!(found(|flux| flux.releases[0].is_suspended = true), "c1: HelmRelease istio-system/istiod");
        assert_eq!(
            found(|flux| flux.releases[0].is_left_alone = true),
            "c1: HelmRelease istio-system/istiod"
        );
    }

    #[test]
    fn what_others_suspend_is_theirs() {
        passes(|scene| {
            let flux = scene.facts.flux.as_mut().unwrap();
            let mut other = flux.kustomizations[0].clone();
            (other.name, other.path, other.is_suspended) = ("shop/web".into(), "apps/web".into(), true);
            flux.kustomizations.push(other);
            let mut other = flux.repositories[0].clone();
            (other.source.name, other.is_suspended) = ("shop/web".into(), true);
            flux.repositories.push(other);
        });
    }
}
