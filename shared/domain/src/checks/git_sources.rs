//! Does Flux see what is merged?

use super::{Check, Source, Subject, blocks};
use crate::flux_chain::Chain;
use crate::{Finding, SourceFacts};

pub(super) const CHECK: Check = Check {
    asks: "Is the GitRepository of the cluster's files there and Ready?",
    because: "Nothing is applied from a repository that Flux cannot fetch: an expired key, a renamed branch (Flux, \
              GitRepository status).",
    reads: &[Source::Flux],
    codes: &[
        blocks("GIT_SOURCE_NOT_READY", "it is not Ready at its newest generation"),
        blocks("GIT_SOURCE_MISSING", "a Kustomization on the way names one that is not there"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let flux = subject.facts.flux.as_ref().ok()?;
    let chain = Chain::of(&flux.kustomizations, &flux.repositories, &subject.planned.record.flux_config_path);
    let named = |what: &dyn std::fmt::Display| format!("{}: {what}", subject.name());
    let missing = chain.missing.iter().map(|source| {
        Finding::blocking(
            "GIT_SOURCE_MISSING",
            named(source),
            "a Kustomization follows it, and it is not there",
            "make it, or correct spec.sourceRef",
        )
    });
    let unready = chain.repositories.iter().filter(|one| !one.is_suspended && !one.is_well()).map(|one| {
        Finding::blocking(
            "GIT_SOURCE_NOT_READY",
            named(&one.source),
            one.in_words(),
            "let Flux fetch it again: look at its URL, key and branch",
        )
    });
    Some(missing.chain(unready).collect())
}

impl SourceFacts {
    /// Ready, and of its newest spec.
    pub(crate) fn is_well(&self) -> bool {
        self.is_address || (self.ready.status == Some(true) && self.is_observed)
    }

    /// Why it is not.
    pub(crate) fn in_words(&self) -> String {
        if self.is_observed {
            format!("{} {}", self.ready.reason, self.ready.message)
        } else {
            format!("its newest spec was not looked at yet; {} {}", self.ready.reason, self.ready.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn one_that_cannot_be_fetched_blocks() {
        for ready in [None, Some(false)] {
            finds(&CHECK, "GIT_SOURCE_NOT_READY", |scene| {
                scene.facts.flux.as_mut().unwrap().repositories[0].ready.status = ready;
            });
        }
        finds(&CHECK, "GIT_SOURCE_NOT_READY", |scene| {
            scene.facts.flux.as_mut().unwrap().repositories[0].is_observed = false;
        });
    }

    #[test]
    fn one_that_is_not_there_blocks() {
        let found = finds(&CHECK, "GIT_SOURCE_MISSING", |scene| {
            scene.facts.flux.as_mut().unwrap().repositories.clear();
        });
        assert_eq!(found[0].subject, "c1: GitRepository flux-system/fleet");
    }
}
