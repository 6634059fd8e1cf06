//! Does Flux apply what is merged?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is the Kustomization of the cluster's files there and Ready?",
    because: "The merged change reaches the cluster through the one Kustomization whose path holds its files. One that does \
              not build applies nothing (Flux, Kustomization status).",
    reads: &[Source::Flux],
    codes: &[
        blocks("KUSTOMIZATION_NOT_READY", "it is not Ready"),
        blocks("NO_KUSTOMIZATION", "none has a path above the registry's flux_config_path, or the same"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let flux = subject.facts.flux.as_ref().ok()?;
    let files = subject.planned.record.flux_config_path.trim_start_matches("./").trim_end_matches('/');
    let holds = |path: &str| {
        let path = path.trim_end_matches('/');
        path.is_empty() || path == "." || files == path || files.starts_with(&format!("{path}/"))
    };
    let mut holding = flux.kustomizations.iter().filter(|one| holds(&one.path)).peekable();
    if holding.peek().is_none() {
        return Some(vec![Finding::blocking(
            "NO_KUSTOMIZATION",
            subject.name(),
            format!("no Kustomization applies {files}"),
            "correct the registry's flux_config_path, or make Flux follow it",
        )]);
    }
    let found = holding.filter(|one| !one.is_suspended && one.ready.status != Some(true)).map(|one| {
        Finding::blocking(
            "KUSTOMIZATION_NOT_READY",
            format!("{}: Kustomization {}", subject.name(), one.name),
            format!("{} {}", one.ready.reason, one.ready.message),
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
