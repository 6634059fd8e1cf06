//! Does Flux apply what is merged?

use super::{Check, Source, Subject, blocks, is_open};
use crate::flux_chain::Chain;
use crate::{Finding, KustomizationFacts};

pub(super) const CHECK: Check = Check {
    asks: "Is the Kustomization of the cluster's files there and Ready?",
    because: "The merged change reaches the cluster through the one Kustomization whose path holds its files. One that does \
              not build applies nothing (Flux, Kustomization status).",
    reads: &[Source::Flux],
    codes: &[
        blocks(
            "KUSTOMIZATION_NOT_READY",
            "it, or one that it depends on, is not Ready at its newest generation",
        ),
        is_open("KUSTOMIZATION_PROGRESSING", "Flux is applying one of them just now; asked again first"),
        blocks("NO_KUSTOMIZATION", "none has a path above the registry's flux_config_path, or the same"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let flux = subject.facts.flux.as_ref().ok()?;
    let files = &subject.planned.record.flux_config_path;
    let chain = Chain::of(&flux.kustomizations, &flux.repositories, files);
    if chain.applying.is_empty() {
        return Some(vec![Finding::blocking(
            "NO_KUSTOMIZATION",
            subject.name(),
            format!("no Kustomization applies {files}"),
            "correct the registry's flux_config_path, or make Flux follow it",
        )]);
    }
    let is_well = |one: &KustomizationFacts| one.ready.status == Some(true) && one.is_observed;
    let found = chain.kustomizations.iter().filter(|one| !one.is_suspended && !is_well(one)).map(|one| {
        if one.ready.is_progressing() {
            return Finding::unknown(
                "KUSTOMIZATION_PROGRESSING",
                format!("{}: Kustomization {}", subject.name(), one.name),
                &one.ready.message,
                "wait until Flux has applied it",
            );
        }
        let said = if one.is_observed { "" } else { "its newest spec was not looked at yet; " };
        Finding::blocking(
            "KUSTOMIZATION_NOT_READY",
            format!("{}: Kustomization {}", subject.name(), one.name),
            format!("{said}{} {}", one.ready.reason, one.ready.message),
            "bring it to Ready first",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{finds, passes};

    #[test]
    fn one_that_is_not_ready_blocks() {
        for ready in [None, Some(false)] {
            finds(&CHECK, "KUSTOMIZATION_NOT_READY", |scene| {
                scene.facts.flux.as_mut().unwrap().kustomizations[0].ready.status = ready;
            });
        }
    }

    #[test]
    fn one_that_is_being_applied_is_no_answer() {
        finds(&CHECK, "KUSTOMIZATION_PROGRESSING", |scene| {
            let kustomization = &mut scene.facts.flux.as_mut().unwrap().kustomizations[0];
            (kustomization.ready.status, kustomization.ready.reason) = (None, "Progressing".into());
        });
    }

    #[test]
    fn ready_with_an_older_spec_is_not_ready() {
        finds(&CHECK, "KUSTOMIZATION_NOT_READY", |scene| {
            scene.facts.flux.as_mut().unwrap().kustomizations[0].is_observed = false;
        });
    }

    #[test]
    fn one_that_it_depends_on_counts_and_any_other_does_not() {
        for (is_needed, bend) in [(true, "flux-system/crds"), (false, "shop/web")] {
            let scene = |scene: &mut crate::checks::tests::Scene| {
                let flux = scene.facts.flux.as_mut().unwrap();
                let mut other = flux.kustomizations[0].clone();
                (other.name, other.path, other.ready.status) = (bend.into(), "other".into(), Some(false));
                flux.kustomizations.push(other);
                flux.kustomizations[0].depends_on = vec!["flux-system/crds".into()];
            };
            if is_needed { _ = finds(&CHECK, "KUSTOMIZATION_NOT_READY", scene) } else { passes(scene) }
        }
    }

    #[test]
    fn one_that_is_elsewhere_is_none() {
        for path in ["clusters/c10", "clusters/c", "clusters/c1/other", "apps"] {
            finds(&CHECK, "NO_KUSTOMIZATION", |scene| {
                scene.facts.flux.as_mut().unwrap().kustomizations[0].path = path.into();
            });
        }
        for path in ["clusters", "clusters/c1", "clusters/c1/", ""] {
            passes(|scene| scene.facts.flux.as_mut().unwrap().kustomizations[0].path = path.into());
        }
    }
}
