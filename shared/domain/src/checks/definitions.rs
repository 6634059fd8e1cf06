//! Can the chart own Istio's definitions?

use super::{Check, Source, Subject, blocks, first};
use crate::{Direction, Finding};

pub(super) const CHECK: Check = Check {
    asks: "Are Istio's CustomResourceDefinitions there, and the chart's own?",
    because: "From 1.24 the base chart templates its CRDs, and Helm refuses those that carry another release's name or \
              none (istio#43204, istio#39646, release note 53318): the upgrade stops in the middle. A stored version that \
              a definition does not list any more cannot be dropped by any chart (istio#20861, istio#57834).",
    reads: &[Source::Definitions],
    codes: &[
        blocks(
            "ISTIO_CRD_NOT_OWNED",
            "the target is 1.24 or later, and a CRD of Istio has no labels of Helm's",
        ),
        blocks("ISTIO_CRDS_MISSING", "no CRD of networking.istio.io is there"),
        blocks("ISTIO_CRD_STORED_VERSION", "objects are stored in a version that the CRD does not list"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let all = subject.facts.definitions.as_ref().ok()?;
    let istio: Vec<_> = all.iter().filter(|one| one.group.ends_with(".istio.io")).collect();
    let name = subject.name();
    let mut found = Vec::new();
    if !istio.iter().any(|one| one.group == "networking.istio.io") {
        found.push(Finding::blocking(
            "ISTIO_CRDS_MISSING",
            name,
            "no CustomResourceDefinition of networking.istio.io",
            "is Istio installed here? look at the base chart's release",
        ));
    }
    let target = subject.planned.to(Direction::Upgrade);
    let stray: Vec<String> = istio.iter().filter(|one| !one.is_helms).map(|one| one.name.clone()).collect();
    if (target.major(), target.minor()) >= (1, 24) && !stray.is_empty() {
        found.push(Finding::blocking(
            "ISTIO_CRD_NOT_OWNED",
            name,
            format!("{} CRDs have no owner that Helm accepts: {}", stray.len(), first(&stray)),
            "label them app.kubernetes.io/managed-by=Helm and annotate meta.helm.sh/release-name and -namespace of the \
             base release, once",
        ));
    }
    let stuck: Vec<String> = istio
        .iter()
        .filter(|one| one.stored.iter().any(|version| !one.versions.contains(version)))
        .map(|one| one.name.clone())
        .collect();
    if !stuck.is_empty() {
        found.push(Finding::blocking(
            "ISTIO_CRD_STORED_VERSION",
            name,
            format!("{} CRDs name a stored version they do not list: {}", stuck.len(), first(&stuck)),
            "migrate the objects and clean status.storedVersions",
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::IstioVersion;
    use crate::checks::tests::{finds, passes};

    #[test]
    fn a_definition_that_helm_does_not_know_blocks_from_1_24_on() {
        finds(&CHECK, "ISTIO_CRD_NOT_OWNED", |scene| {
            scene.facts.definitions.as_mut().unwrap()[0].is_helms = false;
        });
        passes(|scene| {
            scene.facts.definitions.as_mut().unwrap()[0].is_helms = false;
            scene.goes(IstioVersion::parse("1.22.0").unwrap(), IstioVersion::parse("1.23.0").unwrap());
            scene.facts.kubernetes_version = Ok("1.28".into());
        });
    }

    #[test]
    fn no_definitions_block() {
        finds(&CHECK, "ISTIO_CRDS_MISSING", |scene| scene.facts.definitions.as_mut().unwrap().clear());
    }

    #[test]
    fn a_stored_version_that_is_not_listed_blocks() {
        finds(&CHECK, "ISTIO_CRD_STORED_VERSION", |scene| {
            scene.facts.definitions.as_mut().unwrap()[0].stored.push("v1alpha3".into());
        });
    }
}
