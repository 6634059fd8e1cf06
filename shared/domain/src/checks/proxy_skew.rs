//! Will the running proxies understand the new istiod?

use std::collections::BTreeMap;

use super::{Check, Source, Subject, blocks, first, is_open};
use crate::skew::Distance;
use crate::{Direction, Finding, IstioVersion};

pub(super) const CHECK: Check = Check {
    asks: "Will every running proxy understand the target's istiod?",
    because: "Between istiod's upgrade and its own restart each proxy is served by the new istiod. istio.io allows one \
              minor (supported releases), and some patches are further apart than that: sidecars before 1.29.2 reject the \
              listeners of istiod 1.30.0 (istio#60486; and across minors istio#49764, istio#44328). The rules are data \
              with a date. A proxy whose image tells no version could never be seen to arrive.",
    reads: &[Source::Workloads],
    codes: &[
        blocks("PROXY_TOO_OLD", "proxies are more than one minor behind the target"),
        blocks("PROXY_AHEAD", "proxies are a minor or more ahead of the target"),
        blocks("PROXY_REJECTS", "proxies are known to reject what the target's istiod sends"),
        is_open(
            "PROXY_VERSION_UNKNOWN",
            "the image of proxies tells no version: by digest, or a tag that is none",
        ),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let target = subject.planned.to(Direction::Upgrade);
    let mut by_version: BTreeMap<Option<&IstioVersion>, Vec<String>> = BTreeMap::new();
    for workload in workloads {
        for (version, _) in &workload.proxies {
            by_version.entry(version.as_ref()).or_default().push(workload.workload.to_string());
        }
    }
    let mut found = Vec::new();
    for (version, names) in by_version {
        let (count, name) = (names.len(), subject.name());
        let Some(version) = version else {
            found.push(Finding::unknown(
                "PROXY_VERSION_UNKNOWN",
                name,
                format!("{count} workloads run proxies of an unknown version: {}", first(&names)),
                "let istiod's injector choose the image, by tag (global.tag, sidecar.istio.io/proxyImage)",
            ));
            continue;
        };
        let seen = format!("{count} workloads run proxies {version}: {}", first(&names));
        let restart = "restart them now, so that they come to the version of the istiod that runs";
        found.extend(match subject.skew.between(version, target) {
            Distance::Fits => None,
            Distance::Behind => Some(Finding::blocking(
                "PROXY_TOO_OLD",
                name,
                format!("{seen}; istiod {target} serves proxies of its own minor and the one before"),
                restart,
            )),
            Distance::Ahead => Some(Finding::blocking(
                "PROXY_AHEAD",
                name,
                format!("{seen}; istiod {target} serves none that are ahead of it"),
                "choose a target of their minor or the next",
            )),
            Distance::Rejects(rule) => Some(Finding::blocking(
                "PROXY_REJECTS",
                name,
                format!("{seen}; under istiod {target} {} ({})", rule.what, rule.source),
                format!("choose a later patch than {target}, or {restart}"),
            )),
        });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};

    fn proxies(version: Option<&str>) -> impl FnOnce(&mut Scene) {
        let version = version.map(|text| text.parse().unwrap());
        move |scene| {
            let workload = &mut scene.facts.workloads.as_mut().unwrap()[0];
            let (present, pods) = workload.proxies[0].clone();
            workload.proxies = vec![(version, 1), (present, pods - 1)];
        }
    }

    #[test]
    fn too_far_in_either_direction_blocks() {
        let found = finds(&CHECK, "PROXY_TOO_OLD", proxies(Some("1.28.9")));
        assert!(found[0].message.contains("1.28.9: shop/Deployment/web"), "{}", found[0]);
        finds(&CHECK, "PROXY_AHEAD", proxies(Some("1.31.0")));
    }

    #[test]
    fn a_patch_that_rejects_the_targets_configuration_blocks() {
        let goes = |to: &'static str| {
            move |scene: &mut Scene| scene.goes("1.29.1".parse().unwrap(), to.parse().unwrap())
        };
        let found = finds(&CHECK, "PROXY_REJECTS", goes("1.30.1"));
        assert!(found[0].message.contains("istio#60486"), "{}", found[0]);
        passes(goes("1.30.5"));
    }

    #[test]
    fn an_image_without_a_version_is_no_answer() {
        finds(&CHECK, "PROXY_VERSION_UNKNOWN", proxies(None));
    }
}
