//! Is istiod what the registry says?

use super::{Check, Source, Subject, blocks};
use crate::{Direction, Finding};

pub(super) const CHECK: Check = Check {
    asks: "Does every istiod pod run the version that the registry says?",
    because: "The plan, and the way back, begin at the registry's version. An image by digest has no version: it is \
              unknown, never equal.",
    reads: &[Source::Istiod],
    codes: &[blocks("ISTIOD_VERSION", "a pod runs another version, or one that its image does not tell")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let istiod = subject.facts.istiod.as_ref().ok()?;
    let expected = subject.planned.from(Direction::Upgrade);
    let strange = istiod.pods.iter().filter(|(version, _)| version.as_ref() != Some(expected));
    let found = strange.map(|(version, pods)| {
        let seen = version.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string);
        Finding::blocking(
            "ISTIOD_VERSION",
            subject.name(),
            format!("{pods} istiod pods run {seen}, the registry says {expected}"),
            "correct the registry's current_istio_version, or finish the change that is under way",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::IstioVersion;
    use crate::checks::tests::finds;

    #[test]
    fn another_version_and_an_unknown_one_block() {
        for version in [None, Some(IstioVersion::parse("1.28.4").unwrap())] {
            finds(&CHECK, "ISTIOD_VERSION", |scene| scene.facts.istiod.as_mut().unwrap().pods[0].0 = version);
        }
    }
}
