//! Does the target run on this Kubernetes?

use super::{Check, Source, Subject, blocks, is_open, warns};
use crate::compatibility::Fit;
use crate::{Direction, Finding};

pub(super) const CHECK: Check = Check {
    asks: "Does the target support the cluster's Kubernetes?",
    because: "Istio names the Kubernetes versions that each of its minor versions supports; charts do not check it. The \
              table is data with a date, the stricter of what istio.io documents and what istioctl's code demands.",
    reads: &[Source::KubernetesVersion],
    codes: &[
        blocks("KUBERNETES_UNSUPPORTED", "the version is outside of the table's range"),
        is_open("KUBERNETES_UNKNOWN", "one of the two versions is not in the table"),
        warns("KUBERNETES_OVERRIDDEN", "policy.kubernetes_overrides allows the pair, with its reason"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let have = subject.facts.kubernetes_version.as_deref().ok()?;
    let target = subject.planned.to(Direction::Upgrade);
    let name = subject.name();
    Some(match subject.compatibility.fit(target, have, &subject.config.policy.kubernetes_overrides) {
        Fit::Supported => Vec::new(),
        Fit::Overridden(reason) => vec![Finding::warning(
            "KUBERNETES_OVERRIDDEN",
            name,
            format!("Istio {target} on Kubernetes {have} is allowed by policy: {reason}"),
            "nothing to do",
        )],
        Fit::Unsupported { oldest, newest } => vec![Finding::blocking(
            "KUBERNETES_UNSUPPORTED",
            name,
            format!("Istio {target} supports Kubernetes {oldest} to {newest}, this cluster runs {have}"),
            "upgrade Kubernetes first, or add a policy.kubernetes_overrides entry with a reason",
        )],
        Fit::Unknown => vec![Finding::unknown(
            "KUBERNETES_UNKNOWN",
            name,
            format!(
                "Istio {target} on Kubernetes `{have}` is not in the table of {}",
                subject.compatibility.as_of
            ),
            "update GUARD, or add a policy.kubernetes_overrides entry with a reason",
        )],
    })
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::KubernetesOverride;
    use crate::checks::tests::{Scene, finds};

    fn runs(version: &str) -> impl FnOnce(&mut Scene) {
        move |scene| scene.facts.kubernetes_version = Ok(version.into())
    }

    #[test]
    fn the_table_decides_and_what_is_not_in_it_is_open() {
        finds(&CHECK, "KUBERNETES_UNSUPPORTED", runs("1.31"));
        finds(&CHECK, "KUBERNETES_UNKNOWN", runs("?"));
        finds(&CHECK, "KUBERNETES_UNKNOWN", runs(""));
    }

    #[test]
    fn an_override_is_told_with_its_reason() {
        let found = finds(&CHECK, "KUBERNETES_OVERRIDDEN", |scene| {
            runs("1.31")(scene);
            scene.config.policy.kubernetes_overrides = vec![KubernetesOverride {
                istio: "1.30".into(),
                kubernetes: "1.31".into(),
                reason: "tested by us".into(),
            }];
        });
        assert!(found[0].message.ends_with("tested by us"), "{}", found[0]);
    }
}
