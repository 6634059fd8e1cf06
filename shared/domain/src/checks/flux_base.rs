//! Is the cluster where the change begins?

use super::{Check, Source, Subject, is_open};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Has Flux applied the commit that the change is built on?",
    because: "A change that is merged but not yet applied would arrive together with the upgrade, and be judged with it. \
              Later commits are fine, and so are earlier ones in which the cluster's files are the same \
              (Kustomization status.lastAppliedRevision; GitLab's comparison says which commit holds which).",
    reads: &[Source::Flux, Source::Base],
    codes: &[is_open(
        "FLUX_BEHIND",
        "a Kustomization of the cluster's files has applied a commit in which they are others; asked again first",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    subject.facts.flux.as_ref().ok()?;
    let base = subject.base.as_ref().ok()?;
    let found = base.behind().map(|(name, applied)| {
        Finding::unknown(
            "FLUX_BEHIND",
            format!("{}: Kustomization {name}", subject.name()),
            format!("it has applied {}, the branch is at {}", applied.unwrap_or("no commit"), base.commit),
            "wait for Flux, or look at why it does not apply the newest commit",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::Standing;
    use crate::checks::tests::{Scene, finds, passes};

    fn stands(standing: Standing) -> impl FnOnce(&mut Scene) {
        move |scene| {
            let base = scene.base.as_mut().unwrap();
            base.applied.insert("flux-system/istio".into(), (None, standing));
        }
    }

    #[test]
    fn other_files_than_the_branchs_are_no_answer() {
        let found = finds(&CHECK, "FLUX_BEHIND", stands(Standing::OtherFiles));
        assert_eq!(found[0].subject, "c1: Kustomization flux-system/istio");
    }

    #[test]
    fn a_later_commit_and_one_with_the_same_files_pass() {
        passes(stands(Standing::Holds));
        passes(stands(Standing::SameFiles));
    }
}
