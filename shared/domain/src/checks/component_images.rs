//! What do ambient's components run?

use std::collections::BTreeMap;

use super::{Check, Source, Subject, blocks, is_open, warns};
use crate::upgrade_path::step;
use crate::{Direction, Finding, IstioVersion, MeshRole};

pub(super) const CHECK: Check = Check {
    asks: "Do istio-cni and ztunnel run the version that the registry says, or one from which the target is a step?",
    because: "Their charts may say one thing and their pods another: a DaemonSet that did not roll, a tag in the values. \
              istio-cni and ztunnel work with a control plane of their own minor and the next (istio.io, ambient upgrades), \
              and new pods do not start beside a CNI agent that is ill (istio#57438, istio#53843). An image by digest has no \
              version: it is unknown, never equal.",
    reads: &[Source::Mesh],
    codes: &[
        blocks("COMPONENT_IMAGE_TOO_FAR", "pods run a version from which the target is no allowed step"),
        warns("COMPONENT_IMAGE", "pods run another version than the registry says, from which it is one"),
        is_open("COMPONENT_IMAGE_UNKNOWN", "the image of pods tells no version"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let pods = subject.facts.mesh.as_ref().ok()?;
    let (from, to) = (subject.planned.from(Direction::Upgrade), subject.planned.to(Direction::Upgrade));
    let mut running: BTreeMap<(MeshRole, Option<&IstioVersion>), usize> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| matches!(pod.role, MeshRole::Cni | MeshRole::Ztunnel)) {
        *running.entry((pod.role, pod.version.as_ref())).or_default() += 1;
    }
    let found = running.into_iter().filter_map(|((role, version), pods)| {
        let what = if role == MeshRole::Cni { "istio-cni" } else { "ztunnel" };
        let Some(version) = version else {
            return Some(Finding::unknown(
                "COMPONENT_IMAGE_UNKNOWN",
                subject.name(),
                format!("{pods} pods of {what} run an image that tells no version"),
                "take its image by tag",
            ));
        };
        let seen = format!("{pods} pods of {what} run {version}, the registry says {from}");
        if version == from {
            return None;
        }
        Some(match step(version, to, true) {
            Ok(_) => Finding::warning(
                "COMPONENT_IMAGE",
                subject.name(),
                seen,
                "the upgrade brings them to the others",
            ),
            Err(refusal) => Finding::blocking(
                "COMPONENT_IMAGE_TOO_FAR",
                subject.name(),
                format!("{seen}; {refusal}"),
                "bring this component to the others first, or choose another target",
            ),
        })
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::MeshRole;
    use crate::checks::tests::{Scene, finds, passes};

    fn runs(role: MeshRole, version: Option<&str>) -> impl FnOnce(&mut Scene) {
        let version = version.map(|text| text.parse().unwrap());
        move |scene| {
            let pods = scene.facts.mesh.as_mut().unwrap();
            let mut pod = pods[0].clone();
            (pod.role, pod.version) = (role, version);
            pods.push(pod);
        }
    }

    #[test]
    fn each_of_the_two_is_measured_by_what_runs() {
        for role in [MeshRole::Cni, MeshRole::Ztunnel] {
            passes(runs(role, Some("1.29.3")));
            finds(&CHECK, "COMPONENT_IMAGE", runs(role, Some("1.29.1")));
            finds(&CHECK, "COMPONENT_IMAGE_TOO_FAR", runs(role, Some("1.27.0")));
            finds(&CHECK, "COMPONENT_IMAGE_TOO_FAR", runs(role, Some("1.31.0")));
            finds(&CHECK, "COMPONENT_IMAGE_UNKNOWN", runs(role, None));
        }
    }
}
