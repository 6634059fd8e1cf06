//! Does one release own each control plane?

use super::{Check, Source, Subject, blocks, is_open};
use crate::{Component, Finding, HelmReleaseFacts};

pub(super) const CHECK: Check = Check {
    asks: "Does one release only render istiod of each revision?",
    because: "Two releases that render the same revision fight for the same names, and which of them is upgraded is chance \
              (two definitions, 1.26.0 and 1.20.0, stood side by side in a public repository). The files of one cluster \
              cannot show it where the other one comes from elsewhere.",
    reads: &[Source::Flux],
    codes: &[
        blocks("ISTIOD_RELEASED_TWICE", "two HelmReleases of chart istiod have the same revision"),
        is_open(
            "ISTIOD_REVISION_UNKNOWN",
            "there are several, and one takes values from a ConfigMap or Secret: its revision may be any",
        ),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let releases = &subject.facts.flux.as_ref().ok()?.releases;
    let istiod: Vec<&HelmReleaseFacts> =
        releases.iter().filter(|one| one.component == Component::Istiod).collect();
    let mut found = Vec::new();
    for (at, release) in istiod.iter().enumerate() {
        let others = || istiod.iter().take(at);
        let named = format!("{}: HelmRelease {}", subject.name(), release.name);
        if let Some(first) = others().find(|one| one.revision == release.revision) {
            let revision = release.revision.as_deref().unwrap_or("default");
            found.push(Finding::blocking(
                "ISTIOD_RELEASED_TWICE",
                named,
                format!("it renders istiod of revision {revision}, and so does {}", first.name),
                "take one of them away, or give each a revision of its own",
            ));
        } else if others().any(|one| one.has_other_values || release.has_other_values) {
            found.push(Finding::unknown(
                "ISTIOD_REVISION_UNKNOWN",
                named,
                "spec.valuesFrom of it or of another istiod release may set the revision",
                "write the revision into spec.values of each",
            ));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};
    use crate::{Component, HelmReleaseFacts};

    fn with_another(change: impl FnOnce(&mut HelmReleaseFacts)) -> impl FnOnce(&mut Scene) {
        move |scene| {
            let releases = &mut scene.facts.flux.as_mut().unwrap().releases;
            let mut other = releases[0].clone();
            other.name = "mesh/other".into();
            change(&mut other);
            releases.push(other);
        }
    }

    #[test]
    fn two_of_one_revision_block() {
        let found = finds(&CHECK, "ISTIOD_RELEASED_TWICE", with_another(|_| {}));
        assert_eq!(found[0].subject, "c1: HelmRelease mesh/other");
    }

    #[test]
    fn two_revisions_and_two_charts_are_fine() {
        passes(with_another(|other| other.revision = Some("1-30".into())));
        passes(with_another(|other| other.component = Component::Gateway));
    }

    #[test]
    fn values_from_elsewhere_may_set_any_revision() {
        finds(
            &CHECK,
            "ISTIOD_REVISION_UNKNOWN",
            with_another(|other| {
                other.revision = Some("1-30".into());
                other.has_other_values = true;
            }),
        );
        passes(|scene| scene.facts.flux.as_mut().unwrap().releases[0].has_other_values = true);
    }
}
